{#
    Every active user, device and firewall of a drafted period with the one reason it is not billed,
    if any (R21), and the near misses: units that are not active in the sense of the rules but
    that a person comparing counts would look for.
#}
with
    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    periods as (select * from {{ ref("int_billing_periods") }}),

    customers as (select * from {{ ref("int_customers_of_period") }}),

    units as (select * from {{ ref("int_active_units") }}),

    unit_activity as (select * from {{ ref("int_unit_activity") }}),

    usage_activity as (select * from {{ ref("int_usage_activity") }}),

    firewalls as (select * from {{ ref("int_active_firewalls") }}),

    licence_types as (select * from {{ ref("int_licence_types") }}),

    products as (select * from {{ ref("stg_products") }}),

    active_units as (
        select
            customers.period,
            customers.distributor_id,
            customers.partner_id,
            units.customer_id,
            units.product_code,
            units.unit_kind,
            units.unit_id,
            true as is_active,
            case
                when not customers.is_of_record
                then 'other_partner_of_record'
                when products.product_code is null
                then 'unknown_product'
                when licence_types.licence_type is null
                then 'unlicensed'
                else licence_types.reason
            end as reason,
            units.last_device_id,
            units.device_count,
            units.last_active_on,
            units.active_on
        from customers
        inner join
            period_windows
            on customers.period = period_windows.period
            and customers.distributor_id = period_windows.distributor_id
        inner join periods on customers.period = periods.period and customers.distributor_id = periods.distributor_id
        inner join units on period_windows.window_id = units.window_id and customers.customer_id = units.customer_id
        left join
            licence_types
            on customers.period = licence_types.period
            and customers.distributor_id = licence_types.distributor_id
            and customers.customer_id = licence_types.customer_id
            and units.product_code = licence_types.product_code
        left join
            products on units.product_code = products.product_code and {{ valid_on("products", "periods.cutoff_on") }}
    ),

    active_firewalls as (
        select
            firewalls.period,
            firewalls.distributor_id,
            customers.partner_id,
            firewalls.customer_id,
            firewalls.product_code,
            'firewall' as unit_kind,
            firewalls.serial_number as unit_id,
            true as is_active,
            coalesce(firewalls.reason, licence_types.reason) as reason,
            firewalls.serial_number as last_device_id,
            1 as device_count,
            firewalls.last_active_on,
            firewalls.active_on
        from firewalls
        inner join
            customers
            on firewalls.period = customers.period
            and firewalls.distributor_id = customers.distributor_id
            and firewalls.customer_id = customers.customer_id
        left join
            licence_types
            on firewalls.period = licence_types.period
            and firewalls.distributor_id = licence_types.distributor_id
            and firewalls.customer_id = licence_types.customer_id
            and firewalls.product_code = licence_types.product_code
    ),

    monthly as (select * from licence_types where reason is null),

    {# R8: the device counts for another customer. #}
    moved as (
        select
            monthly.period,
            monthly.distributor_id,
            monthly.partner_id,
            monthly.customer_id,
            monthly.product_code,
            unit_activity.unit_kind,
            unit_activity.unit_id,
            'moved_to_other_customer' as reason,
            min(unit_activity.device_id) as last_device_id,
            count(distinct unit_activity.device_id) as device_count,
            max(unit_activity.last_active_on) as last_active_on
        from monthly
        inner join
            period_windows
            on monthly.period = period_windows.period
            and monthly.distributor_id = period_windows.distributor_id
        inner join
            unit_activity
            on period_windows.window_id = unit_activity.window_id
            and monthly.customer_id = unit_activity.customer_id
            and monthly.product_code = unit_activity.product_code
        where unit_activity.is_moved
        group by all
    ),

    {# R6: the user's devices all count for other users. #}
    attributed_elsewhere as (
        select
            monthly.period,
            monthly.distributor_id,
            monthly.partner_id,
            monthly.customer_id,
            monthly.product_code,
            'user' as unit_kind,
            unit_activity.seen_user_id as unit_id,
            'attributed_to_other_user' as reason,
            min(unit_activity.device_id) as last_device_id,
            count(distinct unit_activity.device_id) as device_count,
            max(unit_activity.last_active_on) as last_active_on
        from monthly
        inner join
            period_windows
            on monthly.period = period_windows.period
            and monthly.distributor_id = period_windows.distributor_id
        inner join
            unit_activity
            on period_windows.window_id = unit_activity.window_id
            and monthly.customer_id = unit_activity.customer_id
            and monthly.product_code = unit_activity.product_code
        where
            not unit_activity.is_moved
            and unit_activity.unit_kind = 'user'
            and unit_activity.seen_user_id <> unit_activity.unit_id
        group by all
    ),

    {# R2: last seen in the days just before the window, the 31st day back being the first of them. #}
    masked_before_window as (
        select
            monthly.period,
            monthly.distributor_id,
            monthly.partner_id,
            monthly.customer_id,
            monthly.product_code,
            coalesce(products.billing_unit, 'user') as billing_unit,
            usage_activity.user_id,
            usage_activity.device_id,
            usage_activity.activity_month,
            {{
                days_in_window(
                    "usage_activity.active_days",
                    "usage_activity.activity_month",
                    add_days("periods.window_starts_on", "-" ~ var("near_miss_days")),
                    add_days("periods.window_starts_on", "-1"),
                )
            }} as active_days
        from monthly
        inner join periods on monthly.period = periods.period and monthly.distributor_id = periods.distributor_id
        inner join
            usage_activity
            on monthly.customer_id = usage_activity.customer_id
            and monthly.product_code = usage_activity.product_code
            and usage_activity.activity_month
            between {{ month_of(add_days("periods.window_starts_on", "-" ~ var("near_miss_days"))) }}
            and {{ add_days("periods.window_starts_on", "-1") }}
        left join
            products on monthly.product_code = products.product_code and {{ valid_on("products", "periods.cutoff_on") }}
        where products.billing_unit is distinct from 'firewall'
    ),

    before_window as (
        select
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            case when billing_unit = 'user' and user_id is not null then 'user' else 'device' end as unit_kind,
            case when billing_unit = 'user' then coalesce(user_id, device_id) else device_id end as unit_id,
            'outside_window' as reason,
            min(device_id) as last_device_id,
            count(distinct device_id) as device_count,
            max({{ latest_day("active_days", "activity_month") }}) as last_active_on
        from masked_before_window
        where active_days <> 0
        group by all
    ),

    near_misses as (
        select *
        from moved
        union all
        select *
        from attributed_elsewhere
        union all
        select *
        from before_window
    ),

    {# A near miss that is active after all is none; of several reasons the first in rule order stays. #}
    missed as (
        select near_misses.*
        from near_misses
        anti join
            active_units
            on near_misses.period = active_units.period
            and near_misses.distributor_id = active_units.distributor_id
            and near_misses.customer_id = active_units.customer_id
            and near_misses.product_code = active_units.product_code
            and near_misses.unit_kind = active_units.unit_kind
            and near_misses.unit_id = active_units.unit_id
        qualify
            row_number() over (
                partition by
                    near_misses.period,
                    near_misses.distributor_id,
                    near_misses.customer_id,
                    near_misses.product_code,
                    near_misses.unit_kind,
                    near_misses.unit_id
                order by
                    case
                        near_misses.reason
                        when 'moved_to_other_customer'
                        then 1
                        when 'attributed_to_other_user'
                        then 2
                        else 3
                    end
            )
            = 1
    )

select *
from active_units
union all
select *
from active_firewalls
union all
select
    period,
    distributor_id,
    partner_id,
    customer_id,
    product_code,
    unit_kind,
    unit_id,
    false as is_active,
    reason,
    last_device_id,
    device_count,
    last_active_on,
    {{ empty_list("date") }} as active_on
from missed
