{#
    R25, R26: the incremental store is what the files in force say, no more and no less: for every entity and month, the
    set of days decoded from its bits is the set of dates in the raw rows. Breaks when a replaced or retracted file's
    days survive in the store, or a late file is never folded in; then drafts would depend on the order of arrival.
    It reads every raw row, not only the new ones: the tag lets a daily run leave it out.
#}
{{ config(tags=["full_scan"], meta={"dagster": {"ref": {"name": "int_usage_activity"}}}) }}

with
    usage_rows as (
        select customer_id, product_code, device_id, user_id, activity_month, count(distinct active_on) as active_dates
        from {{ ref("stg_usage") }}
        group by customer_id, product_code, device_id, user_id, activity_month
    ),

    heartbeat_rows as (
        select
            customer_id,
            serial_number,
            model,
            operating_system,
            cluster_id,
            cluster_mode,
            activity_month,
            count(distinct active_on) as active_dates
        from {{ ref("stg_heartbeat") }}
        group by all
    )

select
    'usage' as feed, coalesce(stored.device_id, usage_rows.device_id) as id, stored.active_days, usage_rows.active_dates
from {{ ref("int_usage_activity") }} as stored
full join
    usage_rows
    on stored.customer_id = usage_rows.customer_id
    and stored.product_code = usage_rows.product_code
    and stored.device_id = usage_rows.device_id
    and stored.user_id is not distinct from usage_rows.user_id
    and stored.activity_month = usage_rows.activity_month
where bit_count(stored.active_days) is distinct from usage_rows.active_dates
union all
select
    'heartbeat' as feed,
    coalesce(stored.serial_number, heartbeat_rows.serial_number) as id,
    stored.active_days,
    heartbeat_rows.active_dates
from {{ ref("int_heartbeat_activity") }} as stored
full join
    heartbeat_rows
    on stored.customer_id = heartbeat_rows.customer_id
    and stored.serial_number = heartbeat_rows.serial_number
    and stored.model is not distinct from heartbeat_rows.model
    and stored.operating_system = heartbeat_rows.operating_system
    and stored.cluster_id is not distinct from heartbeat_rows.cluster_id
    and stored.cluster_mode is not distinct from heartbeat_rows.cluster_mode
    and stored.activity_month = heartbeat_rows.activity_month
where bit_count(stored.active_days) is distinct from heartbeat_rows.active_dates
