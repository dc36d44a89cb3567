{#
    Which partner, and through it which distributor, had a customer on which days. A customer that
    vanished stays with the partner it had last.
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
    ),

    partners_carried as (
        select
            * except (valid_to),
            coalesce(
                {{ add_days("lead(valid_from) over (partition by partner_id order by valid_from)", "-1") }},
                date '9999-12-31'
            ) as valid_to
        from partners
    )

select
    customers_carried.customer_id,
    customers_carried.customer_name,
    customers_carried.partner_id,
    partners_carried.partner_name,
    partners_carried.distributor_id,
    partners_carried.programme,
    partners_carried.country,
    partners_carried.registered_on,
    partners_carried.parent_partner_id,
    greatest(customers_carried.asserted_on, partners_carried.asserted_on) as asserted_on,
    greatest(customers_carried.valid_from, partners_carried.valid_from) as valid_from,
    least(customers_carried.valid_to, partners_carried.valid_to) as valid_to
from customers_carried
inner join
    partners_carried
    on customers_carried.partner_id = partners_carried.partner_id
    and customers_carried.valid_from <= partners_carried.valid_to
    and customers_carried.valid_to >= partners_carried.valid_from
