{#
    Each firewall that sent a heartbeat in a window, as its latest heartbeat in it describes it (R9).
    Two descriptions on that date: the smallest customer, then the smallest of the rest.
#}
with
    windows as (select * from {{ ref("int_windows") }}),

    activity as (select * from {{ ref("int_heartbeat_activity") }}),

    masked as (
        select
            windows.window_id,
            activity.customer_id,
            activity.serial_number,
            activity.model,
            activity.operating_system,
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

    active as (
        select *, {{ latest_day("active_days", "activity_month") }} as last_active_on from masked where active_days <> 0
    ),

    latest_description as (
        select *
        from active
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
        select window_id, serial_number, activity_month, bit_or(active_days) as active_days from active group by all
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
    latest_description.serial_number,
    latest_description.customer_id,
    latest_description.model,
    latest_description.operating_system,
    latest_description.cluster_id,
    latest_description.cluster_mode,
    latest_description.last_active_on,
    decoded.active_on
from latest_description
inner join
    decoded
    on latest_description.window_id = decoded.window_id
    and latest_description.serial_number = decoded.serial_number
