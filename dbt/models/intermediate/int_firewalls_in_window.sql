{#
    Each firewall that sent a heartbeat in a window, as its latest heartbeat in it describes it (R9). Under the
    policy `firewall_evidence` = `sfos` that is its latest one as SFOS, and only days with such a one are active; a
    firewall without any is described by what it sent instead. What counts as SFOS is called `SFOS` from here on,
    however it was written. Two descriptions on that date: the smallest customer, then the smallest of the rest.
#}
with
    windows as (select * from {{ ref("int_windows") }}),

    activity as (select * from {{ ref("int_heartbeat_activity") }}),

    masked as (
        select
            windows.window_id,
            windows.firewall_evidence,
            activity.customer_id,
            activity.serial_number,
            activity.model,
            activity.operating_system,
            {{ is_sfos_evidence("activity.operating_system", "windows.firewall_evidence") }} as is_sfos,
            activity.cluster_id,
            activity.cluster_mode,
            activity.activity_month,
            {{
                days_in_window(
                    "activity.active_days",
                    "activity.activity_month",
                    "windows.window_starts_on",
                    "windows.window_ends_on",
                )
            }} as active_days
        from windows
        inner join
            activity
            on activity.activity_month between {{ month_of("windows.window_starts_on") }} and windows.window_ends_on
    ),

    heard as (select * from masked where active_days <> 0),

    evidence as (
        select *, {{ latest_day("active_days", "activity_month") }} as last_active_on
        from heard
        qualify firewall_evidence = 'latest' or is_sfos = bool_or(is_sfos) over (partition by window_id, serial_number)
    ),

    latest_description as (
        select *
        from evidence
        qualify
            row_number() over (
                partition by window_id, serial_number
                order by
                    last_active_on desc,
                    customer_id,
                    operating_system,
                    cluster_id nulls last,
                    cluster_mode nulls last,
                    model nulls last
            )
            = 1
    ),

    by_month as (
        select window_id, serial_number, activity_month, bit_or(active_days) as active_days from evidence group by all
    ),

    {# A name the list does not know may be SFOS in another spelling: what was sent as one is told (R9). #}
    unknown as (
        select window_id, serial_number, {{ distinct_texts("operating_system", ", ") }} as unknown_systems
        from heard
        where firewall_evidence is distinct from 'latest' and not {{ is_known_operating_system("operating_system") }}
        group by window_id, serial_number
    ),

    decoded as (
        select
            window_id,
            serial_number,
            array_sort(flatten(array_agg({{ active_dates("active_days", "activity_month") }}))) as active_on
        from by_month
        group by all
    )

select
    latest_description.window_id,
    latest_description.firewall_evidence,
    latest_description.serial_number,
    latest_description.customer_id,
    latest_description.model,
    case when latest_description.is_sfos then 'SFOS' else latest_description.operating_system end as operating_system,
    latest_description.cluster_id,
    latest_description.cluster_mode,
    latest_description.last_active_on,
    decoded.active_on,
    unknown.unknown_systems
from latest_description
inner join
    decoded
    on latest_description.window_id = decoded.window_id
    and latest_description.serial_number = decoded.serial_number
left join
    unknown
    on latest_description.window_id = unknown.window_id
    and latest_description.serial_number = unknown.serial_number
