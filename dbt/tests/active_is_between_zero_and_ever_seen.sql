{#
    R2, R5: 0 < active <= ever seen: a customer's active units of a product are no more than the devices or users that
    ever appeared for it, and its active devices no more than its devices. The portal's readers compare the two. Breaks
    when a join multiplies units.
#}
{{ config(meta={"dagster": {"ref": {"name": "customer_usage"}}}) }}

with
    ever_seen as (
        select
            customer_id,
            product_code,
            count(distinct device_id) as devices,
            count(distinct device_id) + count(distinct user_id) as devices_and_users
        from {{ ref("device_activity") }}
        group by customer_id, product_code
    )

select customer_usage.*, ever_seen.devices
from {{ ref("customer_usage") }} as customer_usage
left join
    ever_seen
    on customer_usage.customer_id = ever_seen.customer_id
    and customer_usage.product_code = ever_seen.product_code
where
    customer_usage.active_units <= 0
    or (
        customer_usage.billing_unit <> 'firewall'
        and (
            ever_seen.devices is null
            or customer_usage.active_devices > ever_seen.devices
            or customer_usage.active_units > ever_seen.devices_and_users
        )
    )
