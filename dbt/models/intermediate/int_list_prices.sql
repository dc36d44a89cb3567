{# The first band's price of each product in each drafted period: what a unit nobody bills is worth. #}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    distributors as (select * from {{ ref("stg_distributors") }}),

    price_bands as (select * from {{ ref("stg_price_bands") }})

select
    periods.period,
    periods.distributor_id,
    distributors.currency,
    price_bands.product_code,
    min(price_bands.unit_price) as list_price
from periods
inner join
    distributors
    on periods.distributor_id = distributors.distributor_id
    and {{ valid_on("distributors", "periods.cutoff_on") }}
inner join
    price_bands
    on distributors.currency = price_bands.currency
    and price_bands.min_quantity = 1
    and {{ valid_on("price_bands", "periods.cutoff_on") }}
group by periods.period, periods.distributor_id, distributors.currency, price_bands.product_code
