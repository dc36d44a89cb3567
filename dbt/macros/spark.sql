{#
    What only Spark needs. A source is an external table over the Parquet files that `muster` exports into the home;
    it is declared by the staging model that reads it, before that is built.
#}
{% macro source_tables() -%} {{ return(adapter.dispatch("source_tables", "musterhouse")()) }} {%- endmacro %}

{% macro duckdb__source_tables() -%} {%- endmacro %}

{% macro spark__source_tables() -%}
    {%- if execute -%}
        {%- for source_name, table in model.sources -%}
            {%- set relation = source_name ~ "." ~ table -%}
            {%- do run_query("create schema if not exists " ~ source_name) -%}
            {%- if flags.FULL_REFRESH -%} {%- do run_query("drop table if exists " ~ relation) -%} {%- endif -%}
            {%- do run_query(
                "create table if not exists "
                ~ relation
                ~ " using parquet location '"
                ~ env_var("MUSTER_SPARK_HOME", "../home/spark")
                ~ "/sources/"
                ~ source_name
                ~ "/"
                ~ table
                ~ "'"
            ) -%}
            {# A session that was there before remembers the files of an earlier export. #}
            {%- do run_query("refresh table " ~ relation) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{# The functions are for DuckDB, in whose file they are published; on Spark they are only names in the lineage. #}
{% materialization table_function, adapter = "spark" %}
    {% call noop_statement("main", "SKIP") %} {% endcall %} {{ return({"relations": []}) }}
{% endmaterialization %}

{# Tables of Parquet files carry no constraints: the contracts' are enforced where DuckDB takes the marts in. #}
{% macro spark__persist_constraints(relation, model) -%} {%- endmacro %}

{#
    Between the CTEs of a large query: from here on, `name` is what the CTE `computed` found. Spark computes a CTE again
    wherever it is read, and plans it as often, which grows out of any memory when they build on each other; there the
    rows are kept in a table of their own. The comment is where the materialization below cuts.
#}
{% macro checkpoint(name, computed) -%}
    {{ return(adapter.dispatch("checkpoint", "musterhouse")(name, computed)) }}
{%- endmacro %}

{% macro duckdb__checkpoint(name, computed) -%} {{ name }} as (select * from {{ computed }}) {%- endmacro %}

{% macro spark__checkpoint(name, computed) -%}
    /* checkpoint {{ computed }} */
    {{ name }} as (select * from {{ this }}__{{ computed }})
{%- endmacro %}

{% materialization table, adapter = "spark" %}
    {%- set target = this.incorporate(type="table") -%}
    {{ run_hooks(pre_hooks) }}
    {%- set kept = [] -%}
    {%- set pieces = compiled_code.split("/* checkpoint ") -%}
    {%- for piece in pieces[1:] -%}
        {%- set computed = piece.split(" */")[0] -%}
        {%- set table = this ~ "__" ~ computed -%}
        {%- set so_far = "/* checkpoint ".join(pieces[: loop.index]).rstrip().rstrip(",") -%}
        {%- do run_query("drop table if exists " ~ table) -%}
        {%- do run_query("create table " ~ table ~ " using parquet as " ~ so_far ~ " select * from " ~ computed) -%}
        {%- do kept.append(table) -%}
    {%- endfor -%}
    {%- do run_query("drop table if exists " ~ target) -%}
    {% call statement("main") -%} {{ create_table_as(False, target, compiled_code) }} {%- endcall %}
    {%- for table in kept -%} {%- do run_query("drop table " ~ table) -%} {%- endfor -%}
    {{ run_hooks(post_hooks) }}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
