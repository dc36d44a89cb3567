-- depends_on: {{ ref("int_billing_periods") }}
-- depends_on: {{ ref("stg_policies") }}
-- depends_on: {{ ref("active_units") }}
-- depends_on: {{ ref("active_firewalls") }}
{#
    R2, R5-R9: active_units(as_of, 30) and active_firewalls(as_of, 30), which answer for any date, give on every
    cut-off of a drafted period the units, and the dates of each, that the invoice is counted from. The live page of
    managed customers rests on them. A second path from the bits to the unit; policy `any` is not their business.
#}
{{ config(enabled=target.type == "duckdb", meta={"dagster": {"ref": {"name": "active_units"}}}) }}

{%- set cutoffs = [] -%}
{%- if execute -%}
    {%- set found = run_query(
        "select distinct periods.cutoff_on from "
        ~ ref("int_billing_periods")
        ~ " as periods cross join "
        ~ ref("stg_policies")
        ~ " as policies where policies.device_user_attribution = 'latest' and policies.active_window_days = 30"
        ~ " and periods.device_user_attribution = 'latest' and periods.active_window_days = 30"
        ~ " and periods.firewall_evidence = policies.firewall_evidence order by 1"
    ) -%}
    {%- set cutoffs = found.columns[0].values() -%}
{%- endif %}

with
    by_function as (
        select
            cast(null as date) as as_of,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            cast(null as string) as unit_kind,
            cast(null as string) as unit_id,
            cast(null as date) as last_active_on,
            cast(null as date[]) as active_on
        where false
        {% for cutoff_on in cutoffs %}
            union all
            select *
            from {{ ref("active_units") }} (date '{{ cutoff_on }}', 30)
            union all
            select as_of, customer_id, null, 'firewall', serial_number, last_active_on, active_on
            from {{ ref("active_firewalls") }} (date '{{ cutoff_on }}', 30)
        {% endfor %}
    ),

    windows as (
        select window_id, window_ends_on as as_of
        from {{ ref("int_windows") }}
        where
            device_user_attribution = 'latest'
            and firewall_evidence = (select firewall_evidence from {{ ref("stg_policies") }})
            and window_starts_on = {{ window_starts_on("window_ends_on", "30") }}
            {# Not asked of the rows: read twice, all of them would be held. #}
            and window_ends_on
            in (cast(null as date) {% for cutoff_on in cutoffs %}, date '{{ cutoff_on }}' {% endfor %})
    ),

    by_window as (
        select
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
            as_of,
            customer_id,
            product_code,
            count(*) as units,
            sum({{ fingerprint(["unit_kind", "unit_id", "last_active_on", "active_on"]) }}) as fingerprints
        from by_function
        group by as_of, customer_id, product_code
    ),

    window_sums as (
        select
            as_of,
            customer_id,
            product_code,
            count(*) as units,
            sum({{ fingerprint(["unit_kind", "unit_id", "last_active_on", "active_on"]) }}) as fingerprints
        from by_window
        group by as_of, customer_id, product_code
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
