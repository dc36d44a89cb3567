{#
    OR cannot be undone: before new files are folded in, the activity months that a superseded or
    retracted file had rows in are forgotten; the model rebuilds them from the raw rows.
#}
{% macro forget_withdrawn_months(feed) -%}
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
