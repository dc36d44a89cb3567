{#
    R7: licence units are additive: on every date the partners' units add up to those of their customers, per
    distributor, product and in total, and the categories' to the partners'. Every drill-down in a report relies on it.
    Breaks when a customer has two partners on a date.
#}
{{ config(meta={"dagster": {"ref": {"name": "partner_usage"}}}) }}

with
    {# Customers the registry does not know, or not on that date, are nobody's: they are orphans (R10). #}
    of_customers as (
        select as_of, product_code, sum(active_units) as active_units
        from {{ ref("customer_usage") }} as customer_usage
        where
            exists (
                select 1
                from {{ ref("int_customer_partners") }} as customer_partners
                where
                    customer_usage.customer_id = customer_partners.customer_id
                    and customer_usage.as_of between customer_partners.valid_from and customer_partners.valid_to
            )
        group by as_of, product_code
    ),

    of_distributors as (
        select as_of, distributor_id, product_code, sum(active_units) as active_units
        from {{ ref("partner_usage") }}
        group by as_of, distributor_id, product_code
    ),

    of_partners as (
        select as_of, product_code, sum(active_units) as active_units from of_distributors group by as_of, product_code
    ),

    by_category as (
        select as_of, distributor_id, partner_id, sum(active_units) as active_units
        from {{ ref("category_usage") }}
        group by as_of, distributor_id, partner_id
    ),

    by_partner as (
        select as_of, distributor_id, partner_id, sum(active_units) as active_units
        from {{ ref("partner_usage") }}
        group by as_of, distributor_id, partner_id
    )

select
    'whole' as level,
    cast(null as string) as distributor_id,
    coalesce(of_customers.as_of, of_partners.as_of) as as_of,
    coalesce(of_customers.product_code, of_partners.product_code) as what,
    of_customers.active_units as expected,
    of_partners.active_units as found
from of_customers
full join of_partners on of_customers.as_of = of_partners.as_of and of_customers.product_code = of_partners.product_code
where of_customers.active_units is distinct from of_partners.active_units
union all
select
    'category' as level,
    coalesce(by_partner.distributor_id, by_category.distributor_id) as distributor_id,
    coalesce(by_partner.as_of, by_category.as_of) as as_of,
    coalesce(by_partner.partner_id, by_category.partner_id) as what,
    by_partner.active_units as expected,
    by_category.active_units as found
from by_partner
full join
    by_category
    on by_partner.as_of = by_category.as_of
    and by_partner.distributor_id = by_category.distributor_id
    and by_partner.partner_id = by_category.partner_id
where by_partner.active_units is distinct from by_category.active_units
