{#
    The tax rate of each drafted period (R20): in effect on the cut-off from the seller's country to the
    distributor's. None or two leave it open, and the gate holds whatever there is to bill.
#}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    distributors as (select * from {{ ref("stg_distributors") }}),

    sellers as (select * from {{ ref("stg_seller") }}),

    tax_rates as (select * from {{ ref("stg_tax_rates") }}),

    countries as (
        select
            periods.period,
            periods.distributor_id,
            periods.cutoff_on,
            sellers.country as seller_country,
            distributors.country as buyer_country
        from periods
        inner join
            distributors
            on periods.distributor_id = distributors.distributor_id
            and {{ valid_on("distributors", "periods.cutoff_on") }}
        inner join sellers on {{ valid_on("sellers", "periods.cutoff_on") }}
    ),

    in_effect as (
        select
            countries.period,
            countries.distributor_id,
            count(tax_rates.tax_category) as rate_count,
            any_value(tax_rates.tax_category) as tax_category,
            any_value(tax_rates.rate) as rate,
            any_value(tax_rates.reason) as reason
        from countries
        left join
            tax_rates
            on countries.seller_country = tax_rates.seller_country
            and countries.buyer_country = tax_rates.buyer_country
            and {{ valid_on("tax_rates", "countries.cutoff_on") }}
        group by countries.period, countries.distributor_id
    )

select
    period,
    distributor_id,
    rate_count,
    case when rate_count = 1 then tax_category end as tax_category,
    case when rate_count = 1 then rate end as rate,
    case when rate_count = 1 then reason end as reason
from in_effect
