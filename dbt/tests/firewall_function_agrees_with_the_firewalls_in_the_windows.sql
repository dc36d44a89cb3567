-- depends_on: {{ ref("int_billing_periods") }}
-- depends_on: {{ ref("firewalls_by_evidence") }}
{#
    R2, R9: firewalls_by_evidence(as_of, 30, policy) describes on every cut-off of a drafted period the same firewalls,
    by the same heartbeat, as the windows the invoice is counted over. A second path from the bits to the count.
#}
{{
    config(
        tags=["code_agreement"],
        enabled=target.type == "duckdb",
        meta={"dagster": {"ref": {"name": "firewalls_by_evidence"}}},
    )
}}

{%- set cutoffs = [] -%}
{%- if execute -%}
    {%- set found = run_query(
        "select distinct cutoff_on, firewall_evidence from "
        ~ ref("int_billing_periods")
        ~ " where active_window_days = 30 order by 1, 2"
    ) -%}
    {%- set cutoffs = found.rows -%}
{%- endif %}

with
    by_function as (
        select
            cast(null as date) as as_of,
            cast(null as string) as firewall_evidence,
            cast(null as string) as customer_id,
            cast(null as string) as serial_number,
            cast(null as string) as operating_system,
            cast(null as string) as cluster_id,
            cast(null as string) as cluster_mode,
            cast(null as date) as last_active_on
        where false
        {% for cutoff_on, evidence in cutoffs %}
            union all
            select
                as_of,
                '{{ evidence }}' as firewall_evidence,
                customer_id,
                serial_number,
                operating_system,
                cluster_id,
                cluster_mode,
                last_active_on
            from {{ ref("firewalls_by_evidence") }} (date '{{ cutoff_on }}', 30, '{{ evidence }}')
        {% endfor %}
    ),

    by_window as (
        select distinct
            periods.cutoff_on as as_of,
            periods.firewall_evidence,
            firewalls.customer_id,
            firewalls.serial_number,
            firewalls.operating_system,
            firewalls.cluster_id,
            firewalls.cluster_mode,
            firewalls.last_active_on
        from {{ ref("int_billing_periods") }} as periods
        inner join
            {{ ref("int_period_windows") }} as period_windows
            on periods.period = period_windows.period
            and periods.distributor_id = period_windows.distributor_id
            and period_windows.purpose = 'billing'
        inner join {{ ref("int_firewalls_in_window") }} as firewalls on period_windows.window_id = firewalls.window_id
        where periods.active_window_days = 30
    )

    (
        select 'function only' as side, *
        from by_function
        except all
        select 'function only' as side, *
        from by_window
    )
union all
(
    select 'window only' as side, *
    from by_window
    except all
    select 'window only' as side, *
    from by_function
)
