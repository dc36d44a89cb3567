{#
    Every managed customer of a partner in a drafted period, product by product: how it is licensed,
    who owns the licence, what was active and what of it is billed. Term and trial stay visible (R11).
#}
with
    licence_types as (select * from {{ ref("int_licence_types") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    roster as (select * from {{ ref("int_roster") }} where is_active),

    active as (
        select
            period,
            distributor_id,
            customer_id,
            product_code,
            count(*) as active_units,
            count(*) filter (where reason is null) as billed_units
        from roster
        group by period, distributor_id, customer_id, product_code
    ),

    licensed_or_active as (
        select period, distributor_id, customer_id, product_code
        from licence_types
        union
        select period, distributor_id, customer_id, product_code
        from active
    )

select
    licensed_or_active.period,
    licensed_or_active.distributor_id,
    customers.partner_id,
    customers.partner_name,
    licensed_or_active.customer_id,
    customers.customer_name,
    licensed_or_active.product_code,
    coalesce(licence_types.licence_type, 'none') as licence_type,
    licence_types.owner,
    licence_types.licensed_quantity,
    licence_types.licence_starts_on,
    licence_types.licence_ends_on,
    coalesce(active.active_units, 0) as active_units,
    coalesce(active.billed_units, 0) as billed_units
from licensed_or_active
inner join
    customers
    on licensed_or_active.period = customers.period
    and licensed_or_active.distributor_id = customers.distributor_id
    and licensed_or_active.customer_id = customers.customer_id
left join
    licence_types
    on licensed_or_active.period = licence_types.period
    and licensed_or_active.distributor_id = licence_types.distributor_id
    and licensed_or_active.customer_id = licence_types.customer_id
    and licensed_or_active.product_code = licence_types.product_code
left join
    active
    on licensed_or_active.period = active.period
    and licensed_or_active.distributor_id = active.distributor_id
    and licensed_or_active.customer_id = active.customer_id
    and licensed_or_active.product_code = active.product_code
