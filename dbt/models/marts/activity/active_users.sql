-- depends_on: {{ ref("stg_policies") }}
{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days"],
        contract={"enforced": false},
    )
}}

with {{ devices_with_users(attribution_in_force()) }}

select
    cast(as_of as date) as as_of,
    with_user.customer_id,
    with_user.product_code,
    count(
        distinct
        case
            when coalesce(products.billing_unit, 'user') = 'user' and with_user.user_id is not null
            then concat_ws('', 'user ', with_user.user_id)
            else concat_ws('', 'device ', with_user.device_id)
        end
    ) as active_units,
    count(distinct with_user.device_id) as active_devices
from with_user
left join
    products on with_user.product_code = products.product_code and {{ valid_on("products", "cast(as_of as date)") }}
group by with_user.customer_id, with_user.product_code
