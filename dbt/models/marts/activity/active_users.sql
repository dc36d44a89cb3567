{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days"],
        contract={"enforced": false},
    )
}}

{# No catalog name: the function is copied into the published file and reads the tables beside it. #}
with
    activity as (select * from {{ ref("device_activity").include(database=false) }}),

    products as (select * from {{ ref("products").include(database=false) }}),

    masked as (
        select
            customer_id,
            product_code,
            device_id,
            user_id,
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
        where
            activity_month
            between {{ month_of(add_days("cast(as_of as date)", "1 - window_days")) }} and cast(as_of as date)
    ),

    active as (
        select
            customer_id,
            product_code,
            device_id,
            user_id,
            max({{ latest_day("active_days", "activity_month") }}) as last_active_on
        from masked
        where active_days <> 0
        group by customer_id, product_code, device_id, user_id
    ),

    under_one_customer as (
        select *
        from active
        qualify
            customer_id = first_value(customer_id) over (
                partition by product_code, device_id order by last_active_on desc, customer_id
            )
    ),

    with_user as (
        select distinct
            customer_id,
            product_code,
            device_id,
            first_value(user_id) over (
                partition by customer_id, product_code, device_id order by user_id is null, last_active_on desc, user_id
            ) as user_id
        from under_one_customer
    )

select
    cast(as_of as date) as as_of,
    with_user.customer_id,
    with_user.product_code,
    count(
        distinct
        case
            when coalesce(products.billing_unit, 'user') = 'user' and with_user.user_id is not null
            then concat('user ', with_user.user_id)
            else concat('device ', with_user.device_id)
        end
    ) as active_units,
    count(distinct with_user.device_id) as active_devices
from with_user
left join
    products on with_user.product_code = products.product_code and {{ valid_on("products", "cast(as_of as date)") }}
group by with_user.customer_id, with_user.product_code
