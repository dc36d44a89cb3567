{#
    Discrepancies about usage rows that say what cannot be: that a device is a firewall, or is at two customers on one
    day (R8, R10).
#}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    {# Whom nobody knew on a cut-off is nobody's in that period. #}
    of_record as (select distinct period, customer_id from {{ ref("int_partners_of_record") }}),

    licence_types as (select * from {{ ref("int_licence_types") }}),

    list_prices as (select * from {{ ref("int_list_prices") }}),

    products as (select * from {{ ref("stg_products") }}),

    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    devices as (
        select * from {{ ref("int_devices_in_window") }} where window_id in (select window_id from period_windows)
    ),

    unit_activity as (
        select * from {{ ref("int_unit_activity") }} where window_id in (select window_id from period_windows)
    ),

    activity as (select * from {{ ref("int_usage_activity") }}),

    usage as (select * from {{ ref("stg_usage") }}),

    {# Found by their bits: there are few, and only their rows are looked up. #}
    under_firewall_products as (
        select distinct
            periods.period,
            periods.distributor_id,
            periods.window_starts_on,
            periods.cutoff_on,
            activity.customer_id,
            activity.product_code,
            activity.device_id
        from periods
        inner join
            activity on activity.activity_month between {{ month_of("periods.window_starts_on") }} and periods.cutoff_on
        inner join
            products
            on activity.product_code = products.product_code
            and products.billing_unit = 'firewall'
            and {{ valid_on("products", "periods.cutoff_on") }}
        where
            {{
                days_in_window(
                    "activity.active_days", "activity.activity_month", "periods.window_starts_on", "periods.cutoff_on"
                )
            }} <> 0
    ),

    {# Of the distributor that bills the customer; of nobody where nobody does. #}
    of_distributors as (
        select under_firewall_products.*, customers.distributor_id as billed_by, customers.partner_id
        from under_firewall_products
        inner join
            customers
            on under_firewall_products.period = customers.period
            and under_firewall_products.distributor_id = customers.distributor_id
            and under_firewall_products.customer_id = customers.customer_id
        union all
        select under_firewall_products.*, cast(null as string) as billed_by, cast(null as string) as partner_id
        from under_firewall_products
        anti join
            of_record
            on under_firewall_products.period = of_record.period
            and under_firewall_products.customer_id = of_record.customer_id
    ),

    {# The windows of two distributors may show the same row of a customer nobody knows. #}
    their_rows as (
        select distinct
            of_distributors.period,
            of_distributors.billed_by as distributor_id,
            of_distributors.partner_id,
            of_distributors.customer_id,
            of_distributors.product_code,
            of_distributors.device_id,
            usage.snapshot_date,
            usage.source,
            usage.row_number
        from of_distributors
        inner join
            usage
            on of_distributors.customer_id = usage.customer_id
            and of_distributors.product_code = usage.product_code
            and of_distributors.device_id = usage.device_id
            and usage.active_on between of_distributors.window_starts_on and of_distributors.cutoff_on
    ),

    counted_rows as (
        select
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            count(*) as row_count,
            count(distinct device_id) as devices,
            min(
                {{ record({"snapshot_date": "snapshot_date", "source": "source", "row_number": "row_number"}) }}
            ) as first_row
        from their_rows
        group by period, distributor_id, partner_id, customer_id, product_code
    ),

    usage_of_firewall_product as (
        select
            'usage_of_firewall_product' as kind,
            'warning' as severity,
            counted_rows.period,
            counted_rows.distributor_id,
            counted_rows.partner_id,
            counted_rows.customer_id,
            counted_rows.product_code,
            '' as subject,
            'a heartbeat, as the product is counted by firewall' as expected,
            concat_ws(
                '',
                'row ',
                counted_rows.first_row.row_number,
                ' of usage/',
                counted_rows.first_row.snapshot_date,
                '/',
                counted_rows.first_row.source,
                case
                    when counted_rows.row_count > 1 then concat_ws('', ' and ', counted_rows.row_count - 1, ' more')
                end
            ) as found,
            counted_rows.devices * list_prices.list_price as stake,
            counted_rows.devices as units,
            'usage rows in the window that name this product' as evidence,
            'Nothing is counted from it. Have the source correct the product code.' as action
        from counted_rows
        left join
            list_prices
            on counted_rows.period = list_prices.period
            and counted_rows.distributor_id = list_prices.distributor_id
            and counted_rows.product_code = list_prices.product_code
    ),

    {# Few devices have two customers: only of these the dates are compared. #}
    devices_of_several as (select distinct window_id, product_code, device_id from unit_activity where is_moved),

    last_seen as (
        select window_id, product_code, device_id, customer_id, max(last_active_on) as last_active_on
        from devices
        semi join devices_of_several using (window_id, product_code, device_id)
        group by window_id, product_code, device_id, customer_id
    ),

    on_latest_date as (
        select *
        from last_seen
        qualify last_active_on = max(last_active_on) over (partition by window_id, product_code, device_id)
    ),

    at_two_customers as (
        select * from on_latest_date qualify count(*) over (partition by window_id, product_code, device_id) > 1
    ),

    units_concerned as (
        select distinct window_id, customer_id, product_code, unit_kind, unit_id
        from unit_activity
        semi join at_two_customers using (window_id, customer_id, product_code, device_id)
    ),

    {# A user with another device at the customer counts there in any case. #}
    counted_anyway as (
        select distinct window_id, customer_id, product_code, unit_kind, unit_id
        from unit_activity
        semi join units_concerned using (window_id, customer_id, product_code, unit_kind, unit_id)
        anti join at_two_customers using (window_id, customer_id, product_code, device_id)
        where not is_moved
    ),

    units_in_doubt as (
        select window_id, customer_id, product_code, count(*) as units
        from units_concerned
        anti join counted_anyway using (window_id, customer_id, product_code, unit_kind, unit_id)
        group by window_id, customer_id, product_code
    ),

    devices_in_doubt as (
        select
            window_id,
            customer_id,
            product_code,
            count(*) as devices,
            {{ a_few("array_agg(concat_ws('', device_id, ' on ', last_active_on))") }} as seen
        from at_two_customers
        group by window_id, customer_id, product_code
    ),

    {# Told to either side in its own window; at stake where a monthly licence would bill. #}
    device_at_two_customers as (
        select
            'device_at_two_customers' as kind,
            'warning' as severity,
            customers.period,
            customers.distributor_id,
            customers.partner_id,
            customers.customer_id,
            devices_in_doubt.product_code,
            '' as subject,
            'a device at one customer a day' as expected,
            concat_ws('', 'also seen at another customer that day: ', devices_in_doubt.seen) as found,
            case
                when licence_types.product_code is null
                then cast(0 as decimal(18, 6))
                else coalesce(units_in_doubt.units, 0) * list_prices.list_price
            end as stake,
            devices_in_doubt.devices as units,
            'usage rows of the latest date in the window' as evidence,
            'Counted for the smaller customer id. Find out whose device it is and have the source correct the other rows.'
            as action
        from devices_in_doubt
        inner join period_windows on devices_in_doubt.window_id = period_windows.window_id
        inner join
            customers
            on period_windows.period = customers.period
            and period_windows.distributor_id = customers.distributor_id
            and devices_in_doubt.customer_id = customers.customer_id
        left join
            units_in_doubt
            on devices_in_doubt.window_id = units_in_doubt.window_id
            and devices_in_doubt.customer_id = units_in_doubt.customer_id
            and devices_in_doubt.product_code = units_in_doubt.product_code
        left join
            licence_types
            on customers.period = licence_types.period
            and customers.distributor_id = licence_types.distributor_id
            and customers.customer_id = licence_types.customer_id
            and devices_in_doubt.product_code = licence_types.product_code
            and licence_types.reason is null
        left join
            list_prices
            on customers.period = list_prices.period
            and customers.distributor_id = list_prices.distributor_id
            and devices_in_doubt.product_code = list_prices.product_code
    )

select *
from usage_of_firewall_product
union all
select *
from device_at_two_customers
