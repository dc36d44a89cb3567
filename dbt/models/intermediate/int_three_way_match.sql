{#
    Warehouse, vendor portal and PSA quantities side by side, per monthly customer and product, on
    the latest snapshot of each portal and PSA source up to the cut-off.
#}
with
    quantities as (select * from {{ ref("int_quantities") }}),

    portal_files as (
        select * from {{ ref("int_comparison_files") }} where feed = 'portal_usage' and distributor_id is not null
    ),

    portal_usage as (select * from {{ ref("stg_portal_usage") }}),

    psa_additions as (select * from {{ ref("int_psa_additions") }} where distributor_id is not null),

    psa_companies as (select * from {{ ref("int_psa_companies") }} where distributor_id is not null),

    portal_dates as (
        select period, distributor_id, max(counted_on) as snapshot_date
        from portal_files
        group by period, distributor_id
    ),

    portal as (
        select
            portal_files.period,
            portal_files.distributor_id,
            max(portal_files.counted_on) as snapshot_date,
            portal_usage.customer_id,
            portal_usage.product_code,
            cast(sum(portal_usage.quantity) as bigint) as quantity
        from portal_files
        inner join
            portal_usage
            on portal_files.source = portal_usage.source
            and portal_files.counted_on = portal_usage.snapshot_date
        group by portal_files.period, portal_files.distributor_id, portal_usage.customer_id, portal_usage.product_code
    ),

    psa as (
        select period, distributor_id, customer_id, product_code, cast(sum(quantity) as bigint) as quantity
        from psa_additions
        where customer_id is not null and product_code is not null
        group by period, distributor_id, customer_id, product_code
    ),

    {# Only customers the PSA is known to bill can differ from it. #}
    psa_customers as (select distinct period, distributor_id, customer_id from psa_companies)

select
    quantities.period,
    quantities.distributor_id,
    quantities.partner_id,
    quantities.customer_id,
    quantities.product_code,
    quantities.quantity as warehouse_quantity,
    coalesce(portal.snapshot_date, portal_dates.snapshot_date) as portal_snapshot_date,
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
