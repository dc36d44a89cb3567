{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days"],
        contract={"enforced": false},
        persist_docs={"relation": false, "columns": false},
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
    ),

    units as (
        select
            with_user.customer_id,
            with_user.product_code,
            with_user.device_id,
            case
                when coalesce(products.billing_unit, 'user') = 'user' and with_user.user_id is not null
                then 'user'
                else 'device'
            end as unit_kind,
            case
                when coalesce(products.billing_unit, 'user') = 'user' and with_user.user_id is not null
                then with_user.user_id
                else with_user.device_id
            end as unit_id
        from with_user
        left join
            products
            on with_user.product_code = products.product_code
            and {{ valid_on("products", "cast(as_of as date)") }}
    ),

    {# All days of its devices are the unit's, whoever was at them: as on the roster of an invoice. #}
    by_month as (
        select
            units.customer_id,
            units.product_code,
            units.unit_kind,
            units.unit_id,
            masked.activity_month,
            bit_or(masked.active_days) as active_days
        from units
        inner join
            masked
            on units.customer_id = masked.customer_id
            and units.product_code = masked.product_code
            and units.device_id = masked.device_id
        where masked.active_days <> 0
        group by units.customer_id, units.product_code, units.unit_kind, units.unit_id, masked.activity_month
    )

select
    cast(as_of as date) as as_of,
    customer_id,
    product_code,
    unit_kind,
    unit_id,
    max({{ latest_day("active_days", "activity_month") }}) as last_active_on,
    list_sort(flatten(list({{ active_dates("active_days", "activity_month") }}))) as active_on
from by_month
group by customer_id, product_code, unit_kind, unit_id
