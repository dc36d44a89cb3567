{#
    Warehouse, vendor portal and PSA quantities side by side, per monthly customer and product, on
    the latest portal and PSA snapshot up to the cut-off.
#}
with
    quantities as (select * from {{ ref("int_quantities") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    portal_usage as (select * from {{ ref("stg_portal_usage") }}),

    psa_additions as (select * from {{ ref("stg_psa_additions") }}),

    psa_companies as (select * from {{ ref("stg_psa_companies") }}),

    psa_products as (select * from {{ ref("stg_psa_products") }}),

    portal_dates as (
        select periods.period, periods.distributor_id, max(files.snapshot_date) as snapshot_date
        from periods
        inner join
            {{ ref("stg_files") }} as files on files.feed = 'portal_usage' and files.snapshot_date <= periods.cutoff_on
        group by periods.period, periods.distributor_id
    ),

    portal as (
        select
            portal_dates.period,
            portal_dates.distributor_id,
            portal_dates.snapshot_date,
            portal_usage.customer_id,
            portal_usage.product_code,
            cast(sum(portal_usage.quantity) as bigint) as quantity
        from portal_dates
        inner join portal_usage on portal_dates.snapshot_date = portal_usage.snapshot_date
        group by all
    ),

    psa_dates as (
        select periods.period, periods.distributor_id, max(files.snapshot_date) as snapshot_date
        from periods
        inner join
            {{ ref("stg_files") }} as files on files.feed = 'psa_additions' and files.snapshot_date <= periods.cutoff_on
        group by periods.period, periods.distributor_id
    ),

    psa as (
        select
            psa_dates.period,
            psa_dates.distributor_id,
            psa_dates.snapshot_date,
            psa_companies.customer_id,
            psa_products.product_code,
            cast(sum(psa_additions.quantity) as bigint) as quantity
        from psa_dates
        inner join psa_additions on psa_dates.snapshot_date = psa_additions.snapshot_date
        inner join
            psa_companies
            on psa_additions.psa = psa_companies.psa
            and psa_additions.company_id = psa_companies.company_id
            and {{ valid_on("psa_companies", "psa_additions.snapshot_date") }}
        inner join
            psa_products
            on psa_additions.psa = psa_products.psa
            and psa_additions.product_id = psa_products.product_id
            and {{ valid_on("psa_products", "psa_additions.snapshot_date") }}
        group by all
    ),

    {# Only customers the PSA is known to bill can differ from it. #}
    psa_customers as (
        select distinct psa_dates.period, psa_dates.distributor_id, psa_companies.customer_id
        from psa_dates
        inner join psa_companies on {{ valid_on("psa_companies", "psa_dates.snapshot_date") }}
    )

select
    quantities.period,
    quantities.distributor_id,
    quantities.partner_id,
    quantities.customer_id,
    quantities.product_code,
    quantities.quantity as warehouse_quantity,
    portal_dates.snapshot_date as portal_snapshot_date,
    case when portal_dates.snapshot_date is not null then coalesce(portal.quantity, 0) end as portal_quantity,
    case when psa_customers.customer_id is not null then coalesce(psa.quantity, 0) end as psa_quantity
from quantities
left join
    portal_dates on quantities.period = portal_dates.period and quantities.distributor_id = portal_dates.distributor_id
left join
    portal
    on quantities.period = portal.period
    and quantities.distributor_id = portal.distributor_id
    and quantities.customer_id = portal.customer_id
    and quantities.product_code = portal.product_code
left join
    psa_customers
    on quantities.period = psa_customers.period
    and quantities.distributor_id = psa_customers.distributor_id
    and quantities.customer_id = psa_customers.customer_id
left join
    psa
    on quantities.period = psa.period
    and quantities.distributor_id = psa.distributor_id
    and quantities.customer_id = psa.customer_id
    and quantities.product_code = psa.product_code
