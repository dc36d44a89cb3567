{#
    Each active device's days, under the customer (R8) and the user (R6) they count for.

    R8 first: a device active under several customers counts for the one of its latest active date.
    Then R6: its activity belongs to the named user of the latest active date under that customer,
    or it is a unit by itself when no row names a user. Under the policy `any` every named user
    keeps its own rows. Rows that do not count carry the reason.

    Most devices are seen under one customer and user: only the others have to be chosen for. The table of
    devices is imported once for each use, as what is used twice is held as a whole.
#}
with
    devices as (select * from {{ ref("int_devices_in_window") }}),

    fingerprinted as (
        select
            {{ fingerprint(["window_id", "product_code", "device_id"]) }} as device_fingerprint,
            {{ fingerprint(["customer_id", "user_id"]) }} as seen_under
        from {{ ref("int_devices_in_window") }}
    ),

    fingerprinted_devices as (
        select *, {{ fingerprint(["window_id", "product_code", "device_id"]) }} as device_fingerprint
        from {{ ref("int_devices_in_window") }}
    ),

    products as (select * from {{ ref("stg_products") }}),

    contested as (
        select device_fingerprint
        from fingerprinted
        group by device_fingerprint
        having min(seen_under) <> max(seen_under)
    ),

    to_be_chosen_for as (select * from fingerprinted_devices semi join contested using (device_fingerprint)),

    customer_of_device as (
        select
            window_id,
            product_code,
            device_id,
            {{ latest_then_smallest("last_active_on", "window_ends_on", "customer_id") }} as customer_id
        from to_be_chosen_for
        group by all
    ),

    user_of_device as (
        select
            window_id,
            customer_id,
            product_code,
            device_id,
            {{ latest_then_smallest("last_active_on", "window_ends_on", "user_id") }} as user_id
        from to_be_chosen_for
        where user_id is not null
        group by all
    ),

    attributed as (
        select
            devices.window_id,
            devices.window_ends_on,
            devices.customer_id,
            devices.product_code,
            coalesce(products.billing_unit, 'user') as billing_unit,
            devices.device_id,
            devices.user_id as seen_user_id,
            case
                when devices.device_user_attribution = 'any'
                then devices.user_id
                else coalesce(user_of_device.user_id, devices.user_id)
            end as user_id,
            coalesce(user_of_device.user_id, devices.user_id) is not null as has_named_user,
            devices.customer_id <> coalesce(customer_of_device.customer_id, devices.customer_id) as is_moved,
            devices.activity_month,
            devices.active_days,
            devices.last_active_on,
            devices.last_evidence
        from devices
        left join
            customer_of_device
            on devices.window_id = customer_of_device.window_id
            and devices.product_code = customer_of_device.product_code
            and devices.device_id = customer_of_device.device_id
        left join
            user_of_device
            on devices.window_id = user_of_device.window_id
            and devices.customer_id = user_of_device.customer_id
            and devices.product_code = user_of_device.product_code
            and devices.device_id = user_of_device.device_id
        left join
            products
            on devices.product_code = products.product_code
            and {{ valid_on("products", "devices.window_ends_on") }}
    )

select
    window_id,
    window_ends_on,
    customer_id,
    product_code,
    billing_unit,
    case when billing_unit = 'user' and user_id is not null then 'user' else 'device' end as unit_kind,
    case when billing_unit = 'user' then coalesce(user_id, device_id) else device_id end as unit_id,
    device_id,
    seen_user_id,
    activity_month,
    active_days,
    last_active_on,
    last_evidence,
    is_moved
from attributed
where
    {# Of firewalls only their own heartbeats are evidence (R10). #}
    billing_unit <> 'firewall'
    {# Under `any`, a row without a user says nothing about a device that has one (R6). #}
    and (billing_unit <> 'user' or user_id is not null or not has_named_user)
