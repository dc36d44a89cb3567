-- depends_on: {{ ref("int_billing_periods") }}
-- depends_on: {{ ref("stg_policies") }}
-- depends_on: {{ ref("active_users") }}
{#
    R2, R5-R8: active_users(as_of, window_days), which answers for any date, gives on every cut-off of a drafted period
    what customer_usage says for products counted by user or device, whatever the policies in force. Analysts rely on it
    when they move the date; it is a second path from the bits to the count. A period that was issued under other
    policies is not reported by customer_usage: for it see unit_function_agrees_with_the_units_in_the_windows.
#}
{{
    config(
        tags=["code_agreement"], enabled=target.type == "duckdb", meta={"dagster": {"ref": {"name": "active_users"}}}
    )
}}

{%- set cutoffs = [] -%}
{%- if execute -%}
    {%- set found = run_query(
        "select distinct periods.cutoff_on, periods.active_window_days from "
        ~ ref("int_billing_periods")
        ~ " as periods inner join "
        ~ ref("stg_policies")
        ~ " as policies on periods.device_user_attribution = policies.device_user_attribution"
        ~ " and periods.active_window_days = policies.active_window_days"
        ~ " and periods.firewall_evidence = policies.firewall_evidence order by 1"
    ) -%}
    {%- set cutoffs = found.rows -%}
{%- endif %}

with
    by_function as (
        select
            cast(null as date) as as_of,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            cast(null as bigint) as active_units,
            cast(null as bigint) as active_devices
        where false
        {% for cutoff_on, window_days in cutoffs %}
            union all
            select as_of, customer_id, product_code, active_units, active_devices
            from {{ ref("active_users") }} (date '{{ cutoff_on }}', {{ window_days }})
        {% endfor %}
    ),

    by_mart as (
        select as_of, customer_id, product_code, active_units, active_devices
        from {{ ref("customer_usage") }}
        where billing_unit <> 'firewall' and as_of in (select as_of from by_function)
    )

    (
        select 'function only' as side, *
        from by_function
        except all
        select 'function only' as side, *
        from by_mart
    )
union all
(
    select 'mart only' as side, *
    from by_mart
    except all
    select 'mart only' as side, *
    from by_function
)
