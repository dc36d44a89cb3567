{#
    Licence units per partner and product category, and beside them the distinct people: a person
    with two products is two licence units and one person, so that column does not add up (R7).
#}
with
    windows as (select * from {{ ref("int_windows") }}),

    policies as (select * from {{ ref("stg_policies") }}),

    units as (select * from {{ ref("int_active_units") }}),

    products as (select * from {{ ref("stg_products") }}),

    customer_partners as (select * from {{ ref("int_customer_partners") }}),

    partner_usage as (select * from {{ ref("partner_usage") }}),

    people as (
        select
            windows.window_ends_on as as_of,
            customer_partners.distributor_id,
            customer_partners.partner_id,
            products.category,
            count(distinct(units.customer_id, units.unit_id)) as distinct_people
        from windows
        inner join
            policies
            on windows.device_user_attribution = policies.device_user_attribution
            and windows.firewall_evidence = policies.firewall_evidence
            and windows.window_starts_on
            = {{ window_starts_on("windows.window_ends_on", "policies.active_window_days") }}
        inner join units on windows.window_id = units.window_id and units.unit_kind = 'user'
        inner join
            products
            on units.product_code = products.product_code
            and {{ valid_on("products", "windows.window_ends_on") }}
        inner join
            customer_partners
            on units.customer_id = customer_partners.customer_id
            and windows.window_ends_on between customer_partners.valid_from and customer_partners.valid_to
        group by all
    ),

    licence_units as (
        select
            partner_usage.as_of,
            partner_usage.distributor_id,
            partner_usage.partner_id,
            coalesce(products.category, 'unassigned') as category,
            cast(sum(partner_usage.active_units) as bigint) as active_units
        from partner_usage
        left join
            products
            on partner_usage.product_code = products.product_code
            and {{ valid_on("products", "partner_usage.as_of") }}
        group by all
    )

select licence_units.*, coalesce(people.distinct_people, 0) as distinct_people
from licence_units
left join
    people
    on licence_units.as_of = people.as_of
    and licence_units.distributor_id = people.distributor_id
    and licence_units.partner_id = people.partner_id
    and licence_units.category = people.category
