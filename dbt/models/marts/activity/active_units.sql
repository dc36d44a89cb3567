{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days"],
        contract={"enforced": false},
        persist_docs={"relation": false, "columns": false},
    )
}}

with
    {{ devices_with_users() }},

    products as (select * from {{ ref("products").include(database=false) }}),

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
    array_sort(flatten(array_agg({{ active_dates("active_days", "activity_month") }}))) as active_on
from by_month
group by customer_id, product_code, unit_kind, unit_id
