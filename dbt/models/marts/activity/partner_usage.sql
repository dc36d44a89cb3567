{# Licence units summed over all of a partner's customers on a date: additive, never distinct people (R7). #}
with
    customer_usage as (select * from {{ ref("customer_usage") }}),

    customer_partners as (select * from {{ ref("int_customer_partners") }})

select
    customer_usage.as_of,
    customer_partners.distributor_id,
    customer_partners.partner_id,
    customer_usage.product_code,
    count(*) as customers,
    cast(sum(customer_usage.active_units) as bigint) as active_units
from customer_usage
inner join
    customer_partners
    on customer_usage.customer_id = customer_partners.customer_id
    and customer_usage.as_of between customer_partners.valid_from and customer_partners.valid_to
group by
    customer_usage.as_of, customer_partners.distributor_id, customer_partners.partner_id, customer_usage.product_code
