with
    quantities as (select * from {{ ref("int_quantities") }}),

    shares as (select * from {{ ref("int_customer_shares") }}),

    lines as (select * from {{ ref("draft_invoice_lines") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    products as (select * from {{ ref("stg_products") }})

select
    quantities.period,
    quantities.distributor_id,
    quantities.currency,
    quantities.partner_id,
    quantities.partner_name,
    quantities.product_code,
    products.product_name,
    products.category,
    products.billing_unit,
    products.sku,
    products.listing_order,
    lines.line_number,
    quantities.customer_id,
    quantities.customer_name,
    quantities.licence_type,
    quantities.owner,
    quantities.quantity,
    quantities.calendar_month_units,
    quantities.whole_month_units,
    cast(coalesce(shares.amount, 0) as decimal(18, 3)) as amount,
    quantities.joined,
    quantities.left_since
from quantities
inner join periods on quantities.period = periods.period and quantities.distributor_id = periods.distributor_id
left join
    products on quantities.product_code = products.product_code and {{ valid_on("products", "periods.cutoff_on") }}
left join
    lines
    on quantities.period = lines.period
    and quantities.distributor_id = lines.distributor_id
    and quantities.currency = lines.currency
    and quantities.partner_id = lines.partner_id
    and quantities.product_code = lines.product_code
left join
    shares
    on quantities.period = shares.period
    and quantities.distributor_id = shares.distributor_id
    and quantities.currency = shares.currency
    and quantities.partner_id = shares.partner_id
    and quantities.product_code = shares.product_code
    and quantities.customer_id = shares.customer_id
