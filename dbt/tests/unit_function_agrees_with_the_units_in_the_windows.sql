-- depends_on: {{ ref("int_windows") }}
-- depends_on: {{ ref("int_period_windows") }}
-- depends_on: {{ ref("active_units_under_policy") }}
-- depends_on: {{ ref("firewalls_by_evidence") }}
{#
    R2, R5-R9: active_units_under_policy(as_of, window_days, device_user_attribution) and firewalls_by_evidence(as_of,
    window_days, firewall_evidence), which answer for any date, give in the billing window of every drafted period, under its policies, the
    units, and the dates of each, that the invoice is counted from. The live page of managed customers rests on them. A
    second path from the bits to the unit.
#}
{{
    config(
        tags=["code_agreement"],
        enabled=target.type == "duckdb",
        meta={"dagster": {"ref": {"name": "active_units_under_policy"}}},
    )
}}

{%- set billing_windows = [] -%}
{%- if execute -%}
    {%- set found = run_query(
        "select distinct windows.window_id, windows.window_ends_on,"
        ~ " windows.window_ends_on - windows.window_starts_on + 1 as window_days, windows.device_user_attribution,"
        ~ " windows.firewall_evidence from "
        ~ ref("int_windows")
        ~ " as windows inner join "
        ~ ref("int_period_windows")
        ~ " as period_windows on windows.window_id = period_windows.window_id"
        ~ " where period_windows.purpose = 'billing' order by 1"
    ) -%}
    {%- set billing_windows = found.rows -%}
{%- endif %}

with
    by_function as (
        select
            cast(null as bigint) as window_id,
            cast(null as date) as as_of,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            cast(null as string) as unit_kind,
            cast(null as string) as unit_id,
            cast(null as date) as last_active_on,
            cast(null as date[]) as active_on
        where false
        {% for window_id, window_ends_on, window_days, attribution, evidence in billing_windows %}
            union all
            select {{ window_id }}, *
            from
                {{ ref("active_units_under_policy") }} (
                    date '{{ window_ends_on }}', {{ window_days }}, '{{ attribution }}'
                )
            union all
            select {{ window_id }}, as_of, customer_id, null, 'firewall', serial_number, last_active_on, active_on
            from {{ ref("firewalls_by_evidence") }} (date '{{ window_ends_on }}', {{ window_days }}, '{{ evidence }}')
        {% endfor %}
    ),

    windows as (
        select window_id, window_ends_on as as_of
        from {{ ref("int_windows") }}
        {# Not asked of the rows: read twice, all of them would be held. #}
        where
            window_id in (
                cast(null as bigint)
                {% for window_id, window_ends_on, window_days, attribution, evidence in billing_windows %}
                    , {{ window_id }}
                {% endfor %}
            )
    ),

    by_window as (
        select
            windows.window_id,
            windows.as_of,
            units.customer_id,
            units.product_code,
            units.unit_kind,
            units.unit_id,
            units.last_active_on,
            array_sort(units.active_on) as active_on
        from windows
        inner join {{ ref("int_active_units") }} as units on windows.window_id = units.window_id
        union all
        select
            windows.window_id,
            windows.as_of,
            firewalls.customer_id,
            null,
            'firewall',
            firewalls.serial_number,
            firewalls.last_active_on,
            array_sort(firewalls.active_on) as active_on
        from windows
        inner join {{ ref("int_firewalls_in_window") }} as firewalls on windows.window_id = firewalls.window_id
    ),

    {# Units and dates of a customer, product and date as one number each: comparing them one by one takes minutes. #}
    function_sums as (
        select
            window_id,
            as_of,
            customer_id,
            product_code,
            count(*) as units,
            sum({{ fingerprint(["unit_kind", "unit_id", "last_active_on", "active_on"]) }}) as fingerprints
        from by_function
        group by window_id, as_of, customer_id, product_code
    ),

    window_sums as (
        select
            window_id,
            as_of,
            customer_id,
            product_code,
            count(*) as units,
            sum({{ fingerprint(["unit_kind", "unit_id", "last_active_on", "active_on"]) }}) as fingerprints
        from by_window
        group by window_id, as_of, customer_id, product_code
    )

    (
        select 'function only' as side, *
        from function_sums
        except all
        select 'function only' as side, *
        from window_sums
    )
union all
(
    select 'window only' as side, *
    from window_sums
    except all
    select 'window only' as side, *
    from function_sums
)
