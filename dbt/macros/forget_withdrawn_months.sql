{#
    OR cannot be undone: before new files are folded in, the activity months that a superseded or
    retracted file had rows in are forgotten; the model rebuilds them from the raw rows.
#}
{% macro forget_withdrawn_months(feed) -%}
    {{ return(adapter.dispatch("forget_withdrawn_months", "musterhouse")(feed)) }}
{%- endmacro %}

{% macro duckdb__forget_withdrawn_months(feed) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where
            activity_month in (
                select activity_month
                from {{ ref("stg_withdrawn_activity") }}
                where feed = '{{ feed }}' and load_id > (select coalesce(max(load_id), 0) from {{ this }})
            )
    {%- endif -%}
{%- endmacro %}

{# Spark deletes no rows from Parquet files: the store is partitioned by month, so its partition goes. #}
{% macro spark__forget_withdrawn_months(feed) -%}
    {%- if execute and is_incremental() -%}
        {%- set withdrawn = run_query(
            "select distinct cast(activity_month as string) from "
            ~ ref("stg_withdrawn_activity")
            ~ " where feed = '"
            ~ feed
            ~ "' and load_id > (select coalesce(max(load_id), 0) from "
            ~ this
            ~ ")"
        ) -%}
        {%- for month in withdrawn.columns[0].values() -%}
            {%- do run_query(
                "alter table " ~ this ~ " drop if exists partition (activity_month = date '" ~ month ~ "')"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
