{#
    For every device and firewall in a billing window: the row of a landing file that asserted its
    last active date. The activity store holds it for the month's latest day; where the cut-off lies
    before that day, the raw rows are asked.
#}
with
    windows as (select window_id from {{ ref("int_period_windows") }} where purpose = 'billing'),

    devices as (select * from {{ ref("int_devices_in_window") }} where window_id in (select window_id from windows)),

    usage as (select * from {{ ref("stg_usage") }}),

    firewalls as (
        select * from {{ ref("int_firewalls_in_window") }} where window_id in (select window_id from windows)
    ),

    heartbeat as (select * from {{ ref("stg_heartbeat") }}),

    latest as (
        select *
        from devices
        qualify last_active_on = max(last_active_on) over (partition by window_id, customer_id, product_code, device_id)
    ),

    stored as (
        select
            window_id,
            customer_id,
            product_code,
            device_id,
            any_value(last_active_on) as last_active_on,
            min(last_evidence) as last_evidence,
            count(*) = count(last_evidence) as is_complete
        from latest
        group by window_id, customer_id, product_code, device_id
    ),

    looked_up as (
        select
            stored.window_id,
            stored.customer_id,
            stored.product_code,
            stored.device_id,
            min({{ activity_evidence("usage") }}) as last_evidence
        from stored
        inner join
            usage
            on stored.customer_id = usage.customer_id
            and stored.product_code = usage.product_code
            and stored.device_id = usage.device_id
            and stored.last_active_on = usage.active_on
        where not stored.is_complete
        group by stored.window_id, stored.customer_id, stored.product_code, stored.device_id
    ),

    of_firewalls as (
        select firewalls.window_id, firewalls.serial_number, min({{ activity_evidence("heartbeat") }}) as last_evidence
        from firewalls
        inner join
            heartbeat
            on firewalls.serial_number = heartbeat.serial_number
            and firewalls.customer_id = heartbeat.customer_id
            and firewalls.last_active_on = heartbeat.active_on
        group by firewalls.window_id, firewalls.serial_number
    ),

    combined as (
        select
            stored.window_id,
            'usage' as source_feed,
            stored.customer_id,
            stored.product_code,
            stored.device_id as entity_id,
            coalesce(looked_up.last_evidence, stored.last_evidence) as last_evidence
        from stored
        left join
            looked_up
            on stored.window_id = looked_up.window_id
            and stored.customer_id = looked_up.customer_id
            and stored.product_code = looked_up.product_code
            and stored.device_id = looked_up.device_id
        union all
        select
            window_id,
            'heartbeat' as source_feed,
            null as customer_id,
            null as product_code,
            serial_number as entity_id,
            last_evidence
        from of_firewalls
    )

select
    window_id,
    source_feed,
    customer_id,
    product_code,
    entity_id,
    last_evidence.snapshot_date as source_snapshot_date,
    last_evidence.source as source_name,
    last_evidence.row_number as source_row
from combined
