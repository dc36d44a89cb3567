with
    lines as (select * from {{ ref("int_priced_lines") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    products as (select * from {{ ref("stg_products") }}),

    described as (
        select
            lines.*,
            products.product_name,
            products.category,
            products.billing_unit,
            products.sku,
            products.listing_order
        from lines
        inner join periods on lines.period = periods.period and lines.distributor_id = periods.distributor_id
        inner join
            products on lines.product_code = products.product_code and {{ valid_on("products", "periods.cutoff_on") }}
    )

select
    period,
    distributor_id,
    currency,
    cast(
        row_number() over (
            partition by period, distributor_id, currency order by partner_id, listing_order nulls last, product_code
        ) as bigint
    ) as line_number,
    partner_id,
    partner_name,
    product_code,
    product_name,
    category,
    billing_unit,
    sku,
    quantity,
    pricing_model,
    unit_price,
    band_min,
    band_max,
    units_to_next_band,
    cast(bands as string) as bands,
    amount,
    customer_count
from described
