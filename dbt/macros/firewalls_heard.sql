{#
    The firewalls that sent a heartbeat in the window_days dates up to as_of, as int_firewalls_in_window has them, under
    the policy that the expression gives: for table functions. No catalog name: a function is copied into the
    published file and reads the tables beside it.
#}
{% macro firewalls_heard(firewall_evidence) -%}
    with
        activity as (select * from {{ ref("firewall_activity").include(database=false) }}),

        asked as (select {{ firewall_evidence }} as evidence),

        masked as (
            select
                customer_id,
                serial_number,
                operating_system,
                {{ is_sfos_evidence("operating_system", "asked.evidence") }} as is_sfos,
                asked.evidence,
                cluster_id,
                cluster_mode,
                model,
                {{
                    days_in_window(
                        "active_days",
                        "activity_month",
                        add_days("cast(as_of as date)", "1 - window_days"),
                        "cast(as_of as date)",
                    )
                }} as active_days,
                activity_month
            from activity
            cross join asked
            where
                activity_month
                between {{ month_of(add_days("cast(as_of as date)", "1 - window_days")) }} and cast(as_of as date)
        ),

        evidence as (
            select *
            from masked
            where active_days <> 0
            qualify evidence = 'latest' or is_sfos = bool_or(is_sfos) over (partition by serial_number)
        ),

        {# Under whichever customer and description it was heard: the days are the firewall's. #}
        by_month as (
            select serial_number, activity_month, bit_or(active_days) as active_days
            from evidence
            group by serial_number, activity_month
        ),

        decoded as (
            select
                serial_number,
                array_sort(flatten(array_agg({{ active_dates("active_days", "activity_month") }}))) as active_on
            from by_month
            group by serial_number
        ),

        described as (
            select *, {{ latest_day("active_days", "activity_month") }} as last_active_on
            from evidence
            qualify
                row_number() over (
                    partition by serial_number
                    order by
                        last_active_on desc,
                        customer_id,
                        operating_system,
                        cluster_id nulls last,
                        cluster_mode nulls last,
                        model
                )
                = 1
        )

    select
        cast(as_of as date) as as_of,
        described.customer_id,
        described.serial_number,
        described.model,
        case when described.is_sfos then 'SFOS' else described.operating_system end as operating_system,
        described.cluster_id,
        described.cluster_mode,
        described.last_active_on,
        decoded.active_on
    from described
    inner join decoded on described.serial_number = decoded.serial_number
{%- endmacro %}
