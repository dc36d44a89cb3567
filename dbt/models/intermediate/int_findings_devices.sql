{# Discrepancies about usage rows that say what cannot be: that a device is a firewall (R10). #}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    {# Whom nobody knew on a cut-off is nobody's in that period. #}
    of_record as (select distinct period, customer_id from {{ ref("int_partners_of_record") }}),

    list_prices as (select * from {{ ref("int_list_prices") }}),

    products as (select * from {{ ref("stg_products") }}),

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
    )

select *
from usage_of_firewall_product
