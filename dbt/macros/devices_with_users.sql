{#
    The devices of device_activity that were active in the window_days dates up to as_of, each under the customer of
    its latest active date (R8) with the user of that date, or under the policy `any` with each of its users (R6): CTEs
    down to `with_user`, for table functions. `attribution` is an expression that gives the policy. No catalog name: a
    function is copied into the published file and reads the tables beside it.
#}
{% macro devices_with_users(attribution) -%}
    products as (select * from {{ ref("products").include(database=false) }}),

    {# Usage rows are no evidence of a firewall (R10). #}
    activity as (
        select *
        from {{ ref("device_activity").include(database=false) }} as device_activity
        anti join
            products
            on device_activity.product_code = products.product_code
            and products.billing_unit = 'firewall'
            and {{ valid_on("products", "cast(as_of as date)") }}
    ),

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
            {# Under `any` too, a row without a user says nothing about a device that has one. #}
            coalesce(
                case when {{ attribution }} = 'any' then user_id end,
                first_value(user_id) over (
                    partition by customer_id, product_code, device_id
                    order by user_id is null, last_active_on desc, user_id
                )
            ) as user_id
        from under_one_customer
    )
{%- endmacro %}

{# The units of those devices with their dates: what active_units() and active_units_under_policy() answer. #}
{% macro units_on_date(attribution) -%}
    with
        {{ devices_with_users(attribution) }},

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

        {#
            All days of its devices are the unit's, whoever was at them: as on the roster of an invoice. Under the policy
            `any` a user has its own days only.
        #}
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
                and ({{ attribution }} <> 'any' or units.unit_kind = 'device' or units.unit_id = masked.user_id)
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
{%- endmacro %}

{# The policy in force, read from the reference data that are published beside the functions. #}
{% macro attribution_in_force() -%}
    (select value from reference.policies where policy = 'device_user_attribution')
{%- endmacro %}
