{#
    What the vendor portal and the partners' PSAs count, on each source's latest snapshot up to each cut-off: one row per
    drafted period, customer and product. Where they list nothing for something we bill the quantity is null. Ids we
    have no customer or product for keep the other side's own name, and have no distributor.
#}
with
    quantities as (select * from {{ ref("int_quantities") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    of_record as (select * from {{ ref("int_partners_of_record") }}),

    comparison_files as (select * from {{ ref("int_comparison_files") }}),

    portal_usage as (select * from {{ ref("stg_portal_usage") }}),

    psa_additions as (select * from {{ ref("int_psa_additions") }}),

    psa_companies as (select * from {{ ref("int_psa_companies") }}),

    portal_files as (select * from comparison_files where feed = 'portal_usage'),

    listed as (
        select
            portal_files.period,
            portal_files.distributor_id,
            'portal' as against,
            max(portal_files.counted_on) as counted_on,
            portal_usage.customer_id,
            portal_usage.product_code,
            cast(sum(portal_usage.quantity) as bigint) as quantity
        from portal_files
        inner join
            portal_usage
            on portal_files.source = portal_usage.source
            and portal_files.counted_on = portal_usage.snapshot_date
        group by portal_files.period, portal_files.distributor_id, portal_usage.customer_id, portal_usage.product_code
        union all
        select
            period,
            distributor_id,
            'psa' as against,
            max(counted_on) as counted_on,
            coalesce(customer_id, concat_ws('', psa, ' ', company_id)) as customer_id,
            coalesce(product_code, concat_ws('', psa, ' ', product_id)) as product_code,
            cast(sum(quantity) as bigint) as quantity
        from psa_additions
        group by
            period,
            distributor_id,
            coalesce(customer_id, concat_ws('', psa, ' ', company_id)),
            coalesce(product_code, concat_ws('', psa, ' ', product_id))
    ),

    of_customers as (
        select listed.*
        from listed
        semi join
            customers
            on listed.period = customers.period
            and listed.distributor_id = customers.distributor_id
            and listed.customer_id = customers.customer_id
    ),

    of_nobody as (
        select listed.*
        from listed
        anti join of_record on listed.period = of_record.period and listed.customer_id = of_record.customer_id
        where listed.distributor_id is null
    ),

    {#
        Who can be asked, and on which date: the portal shows everybody, a PSA only the customers it is known to bill.
        A customer that a source lists was counted on that source's date.
    #}
    asked as (
        select
            customers.period,
            customers.distributor_id,
            'portal' as against,
            customers.customer_id,
            coalesce(max(of_customers.counted_on), max(portal_files.counted_on)) as counted_on
        from customers
        inner join
            portal_files
            on customers.period = portal_files.period
            and customers.distributor_id = portal_files.distributor_id
        left join
            of_customers
            on of_customers.against = 'portal'
            and customers.period = of_customers.period
            and customers.distributor_id = of_customers.distributor_id
            and customers.customer_id = of_customers.customer_id
        group by customers.period, customers.distributor_id, customers.customer_id
        union all
        select period, distributor_id, 'psa' as against, customer_id, max(counted_on) as counted_on
        from psa_companies
        where distributor_id is not null
        group by period, distributor_id, customer_id
    ),

    not_listed as (
        select
            quantities.period,
            quantities.distributor_id,
            asked.against,
            asked.counted_on,
            quantities.customer_id,
            quantities.product_code,
            cast(null as bigint) as quantity
        from quantities
        inner join
            asked
            on quantities.period = asked.period
            and quantities.distributor_id = asked.distributor_id
            and quantities.customer_id = asked.customer_id
        anti join
            of_customers
            on quantities.period = of_customers.period
            and quantities.distributor_id = of_customers.distributor_id
            and asked.against = of_customers.against
            and quantities.customer_id = of_customers.customer_id
            and quantities.product_code = of_customers.product_code
    ),

    combined as (
        select *
        from of_customers
        union all
        select *
        from of_nobody
        union all
        select *
        from not_listed
    )

select against, period, distributor_id, customer_id, product_code, quantity, counted_on
from combined
