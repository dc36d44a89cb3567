{#
    Every managed customer of a draft, product by product, whatever its licence (R11): what the document
    keeps of those it does not bill, so that the page handed to a partner can be made again from it.
#}
with
    managed as (select * from {{ ref("managed_customer_usage") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    periods as (select * from {{ ref("int_billing_periods") }}),

    products as (select * from {{ ref("stg_products") }})

select
    managed.period,
    managed.distributor_id,
    customers.currency,
    managed.partner_id,
    managed.partner_name,
    managed.customer_id,
    managed.customer_name,
    managed.product_code,
    products.product_name,
    products.billing_unit,
    products.listing_order,
    managed.licence_type,
    managed.owner,
    managed.licensed_quantity,
    managed.active_units,
    managed.billed_units
from managed
inner join
    customers
    on managed.period = customers.period
    and managed.distributor_id = customers.distributor_id
    and managed.customer_id = customers.customer_id
inner join periods on managed.period = periods.period and managed.distributor_id = periods.distributor_id
left join products on managed.product_code = products.product_code and {{ valid_on("products", "periods.cutoff_on") }}
