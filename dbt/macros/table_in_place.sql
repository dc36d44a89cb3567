{#
    Tables are made in place of the old ones, in one transaction: dbt-duckdb's own way (another name,
    two renames, a drop) asks DuckDB four more times for every model, a third of a small build.
    Until the commit the old table is there, as before.
#}
{% materialization table, adapter = "duckdb" %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type="table") -%}
    {{ run_hooks(pre_hooks) }}
    {% call statement("main") -%}
        {% if existing is not none %}drop {{ existing.type }} {{ existing }}
            ;
        {% endif %}
        {{ create_table_as(False, target, compiled_code) }}
    {%- endcall %}
    {{ run_hooks(post_hooks) }}
    {% do persist_docs(target, model) %}
    {{ adapter.commit() }}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
