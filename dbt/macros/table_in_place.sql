{#
    Tables are made in place of the old ones, in one transaction: dbt-duckdb's own way (another name,
    two renames, a drop) asks DuckDB four more times for every model, a third of a small build.
    Until the commit the old table is there, as before.
#}
{% materialization table, adapter = "duckdb" %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type="table") -%}
    {#- Built by another engine: its rows are taken as they are. -#}
    {%- set taken_from = env_var("MUSTER_MARTS", "") | replace("'", "''") -%}
    {%- set rows = (
        "select * from read_parquet('"
        ~ taken_from
        ~ "/"
        ~ schema
        ~ ".db/"
        ~ this.identifier
        ~ "/*.parquet')"
    ) -%}
    {{ run_hooks(pre_hooks) }}
    {% call statement("main") -%}
        {% if existing is not none %}drop {{ existing.type }} {{ existing }}
            ;
        {% endif %}
        {{ create_table_as(False, target, rows if taken_from else compiled_code) }}
    {%- endcall %}
    {{ run_hooks(post_hooks) }}
    {% do persist_docs(target, model) %}
    {{ adapter.commit() }}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
