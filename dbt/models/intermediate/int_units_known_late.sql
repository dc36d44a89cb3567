{#
    The counted units whose last activity in a billing window was told by a file of a later date than the activity,
    with the first snapshot date on which any file had told of their activity in the window. Of all others the file
    of the day itself told.
#}
with
    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    windows as (select * from {{ ref("int_windows") }}),

    counted as (select * from {{ ref("int_roster") }} where is_active and reason is null),

    unit_activity as (
        select *
        from {{ ref("int_unit_activity") }}
        where not is_moved and window_id in (select window_id from period_windows)
    ),

    evidence as (select * from {{ ref("int_last_evidence") }}),

    usage as (select * from {{ ref("stg_usage") }}),

    heartbeat as (select * from {{ ref("stg_heartbeat") }} where {{ is_sfos("operating_system") }}),

    counted_in_window as (
        select counted.*, windows.window_id, windows.window_starts_on, windows.window_ends_on
        from counted
        inner join
            period_windows
            on counted.period = period_windows.period
            and counted.distributor_id = period_windows.distributor_id
        inner join windows on period_windows.window_id = windows.window_id
    ),

    told_later as (
        select counted_in_window.*
        from counted_in_window
        semi join
            evidence
            on counted_in_window.window_id = evidence.window_id
            and counted_in_window.last_device_id = evidence.entity_id
            and (
                (counted_in_window.unit_kind = 'firewall' and evidence.source_feed = 'heartbeat')
                or (
                    counted_in_window.unit_kind <> 'firewall'
                    and evidence.source_feed = 'usage'
                    and counted_in_window.customer_id = evidence.customer_id
                    and counted_in_window.product_code = evidence.product_code
                )
            )
            and evidence.source_snapshot_date > counted_in_window.last_active_on
    ),

    devices as (
        select distinct
            told_later.period,
            told_later.distributor_id,
            told_later.customer_id,
            told_later.product_code,
            told_later.unit_kind,
            told_later.unit_id,
            told_later.window_starts_on,
            told_later.window_ends_on,
            unit_activity.device_id
        from told_later
        inner join
            unit_activity
            on told_later.window_id = unit_activity.window_id
            and told_later.customer_id = unit_activity.customer_id
            and told_later.product_code = unit_activity.product_code
            and told_later.unit_kind = unit_activity.unit_kind
            and told_later.unit_id = unit_activity.unit_id
    ),

    told as (
        select devices.* except (device_id, window_starts_on, window_ends_on), usage.snapshot_date
        from devices
        inner join
            usage
            on devices.customer_id = usage.customer_id
            and devices.product_code = usage.product_code
            and devices.device_id = usage.device_id
            and usage.active_on between devices.window_starts_on and devices.window_ends_on
        union all
        select
            told_later.period,
            told_later.distributor_id,
            told_later.customer_id,
            told_later.product_code,
            told_later.unit_kind,
            told_later.unit_id,
            heartbeat.snapshot_date
        from told_later
        inner join
            heartbeat
            on told_later.unit_id = heartbeat.serial_number
            and heartbeat.active_on between told_later.window_starts_on and told_later.window_ends_on
        where told_later.unit_kind = 'firewall'
    )

select period, distributor_id, customer_id, product_code, unit_kind, unit_id, min(snapshot_date) as first_known_on
from told
group by period, distributor_id, customer_id, product_code, unit_kind, unit_id
