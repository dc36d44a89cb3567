{#
    Which partner, and through it which distributor, had a customer on which days. A customer that
    vanished stays with the partner it had last; a partner that vanished has no customer any more (R10).
#}
with
    customers as (select * from {{ ref("int_customers") }}),

    partners as (select * from {{ ref("int_partners") }}),

    customers_carried as (
        select
            customer_id,
            customer_name,
            partner_id,
            asserted_on,
            valid_from,
            coalesce(
                {{ add_days("lead(valid_from) over (partition by customer_id order by valid_from)", "-1") }},
                date '9999-12-31'
            ) as valid_to
        from customers
    )

select
    customers_carried.customer_id,
    customers_carried.customer_name,
    customers_carried.partner_id,
    partners.partner_name,
    partners.distributor_id,
    partners.programme,
    partners.country,
    partners.registered_on,
    partners.parent_partner_id,
    greatest(customers_carried.asserted_on, partners.asserted_on) as asserted_on,
    greatest(customers_carried.valid_from, partners.valid_from) as valid_from,
    least(customers_carried.valid_to, partners.valid_to) as valid_to
from customers_carried
inner join
    partners
    on customers_carried.partner_id = partners.partner_id
    and customers_carried.valid_from <= partners.valid_to
    and customers_carried.valid_to >= partners.valid_from
