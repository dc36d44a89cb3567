{#
    Activity store: a row has at least one bit, and none beyond its month's last day: 28 bits in February, 29 in a leap
    year. Every window is a mask over these bits: a stray bit is a day of activity that never was.
#}
{{ config(meta={"dagster": {"ref": {"name": "device_activity"}}}) }}

with
    stored as (
        select 'device' as entity, customer_id, device_id as id, activity_month, active_days
        from {{ ref("device_activity") }}
        union all
        select 'firewall' as entity, customer_id, serial_number as id, activity_month, active_days
        from {{ ref("firewall_activity") }}
    )

select *
from stored
where
    active_days <= 0
    or active_days >= power(2, extract(day from last_day(activity_month)))
    or activity_month <> date_trunc('month', activity_month)
