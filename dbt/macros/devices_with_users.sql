{#
    The devices of device_activity that were active in the window_days dates up to as_of, each under the customer of
    its latest active date (R8) with the user of that date (R6): CTEs down to `with_user`, for table functions. No
    catalog name: a function is copied into the published file and reads the tables beside it.
#}
{% macro devices_with_users() -%}
    activity as (select * from {{ ref("device_activity").include(database=false) }}),

    masked as (
        select
            customer_id,
            product_code,
            device_id,
            user_id,
            activity_month,
            {{
                days_in_window(
                    "active_days",
                    "activity_month",
                    add_days("cast(as_of as date)", "1 - window_days"),
                    "cast(as_of as date)",
                )
            }} as active_days
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

    {# A device with one row has one customer and one user: only for the others they are chosen. #}
    fingerprinted as (select *, {{ fingerprint(["product_code", "device_id"]) }} as device_fingerprint from active),

    contested as (select device_fingerprint from fingerprinted group by device_fingerprint having count(*) > 1),

    under_one_customer as (
        select *
        from fingerprinted
        semi join contested using (device_fingerprint)
        qualify
            customer_id = first_value(customer_id) over (
                partition by product_code, device_id order by last_active_on desc, customer_id
            )
    ),

    with_user as (
        select customer_id, product_code, device_id, user_id
        from fingerprinted
        anti join contested using (device_fingerprint)
        union all
        select distinct
            customer_id,
            product_code,
            device_id,
            first_value(user_id) over (
                partition by customer_id, product_code, device_id order by user_id is null, last_active_on desc, user_id
            ) as user_id
        from under_one_customer
    )
{%- endmacro %}
