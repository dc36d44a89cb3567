{#
    What the vendor portal and the partners' PSAs count, on their latest snapshot up to each cut-off: one row per
    drafted period, customer and product. Where they list nothing for something we bill the quantity is null. Ids we
    have no customer or product for keep the other side's own name, and have no distributor.
#}
with
    quantities as (select * from {{ ref("int_quantities") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    of_record as (select * from {{ ref("int_partners_of_record") }}),

    files as (select * from {{ ref("stg_files") }}),

    portal_usage as (select * from {{ ref("stg_portal_usage") }}),

    psa_additions as (select * from {{ ref("stg_psa_additions") }}),

    psa_companies as (select * from {{ ref("stg_psa_companies") }}),

    psa_products as (select * from {{ ref("stg_psa_products") }}),

    {# Per distributor by its cut-off; for customers of nobody, without a distributor, by the month's last one. #}
    dates_asked as (
        select period, distributor_id, cutoff_on
        from periods
        union all
        select period, cast(null as string) as distributor_id, max(cutoff_on) as cutoff_on
        from periods
        group by period
    ),

    dates as (
        select
            dates_asked.period,
            dates_asked.distributor_id,
            case files.feed when 'portal_usage' then 'portal' else 'psa' end as against,
            max(files.snapshot_date) as counted_on
        from dates_asked
        inner join
            files on files.feed in ('portal_usage', 'psa_additions') and files.snapshot_date <= dates_asked.cutoff_on
        group by all
    ),

    listed as (
        select
            'portal' as against,
            snapshot_date as counted_on,
            customer_id,
            product_code,
            cast(sum(quantity) as bigint) as quantity
        from portal_usage
        where snapshot_date in (select counted_on from dates where against = 'portal')
        group by all
        union all
        select
            'psa' as against,
            psa_additions.snapshot_date as counted_on,
            coalesce(
                psa_companies.customer_id, concat_ws('', psa_additions.psa, ' ', psa_additions.company_id)
            ) as customer_id,
            coalesce(
                psa_products.product_code, concat_ws('', psa_additions.psa, ' ', psa_additions.product_id)
            ) as product_code,
            cast(sum(psa_additions.quantity) as bigint) as quantity
        from psa_additions
        left join
            psa_companies
            on psa_additions.psa = psa_companies.psa
            and psa_additions.company_id = psa_companies.company_id
            and {{ valid_on("psa_companies", "psa_additions.snapshot_date") }}
        left join
            psa_products
            on psa_additions.psa = psa_products.psa
            and psa_additions.product_id = psa_products.product_id
            and {{ valid_on("psa_products", "psa_additions.snapshot_date") }}
        where psa_additions.snapshot_date in (select counted_on from dates where against = 'psa')
        group by all
    ),

    of_customers as (
        select dates.period, dates.distributor_id, listed.*
        from dates
        inner join listed on dates.against = listed.against and dates.counted_on = listed.counted_on
        semi join
            customers
            on dates.period = customers.period
            and dates.distributor_id = customers.distributor_id
            and listed.customer_id = customers.customer_id
    ),

    of_nobody as (
        select dates.period, dates.distributor_id, listed.*
        from dates
        inner join listed on dates.against = listed.against and dates.counted_on = listed.counted_on
        anti join of_record on dates.period = of_record.period and listed.customer_id = of_record.customer_id
        where dates.distributor_id is null
    ),

    {# A PSA that is not known to bill a customer says nothing about it; the portal shows everybody. #}
    not_listed as (
        select
            dates.period,
            dates.distributor_id,
            dates.against,
            dates.counted_on,
            quantities.customer_id,
            quantities.product_code,
            cast(null as bigint) as quantity
        from quantities
        inner join dates on quantities.period = dates.period and quantities.distributor_id = dates.distributor_id
        left join
            (
                select distinct dates.counted_on, psa_companies.customer_id
                from dates
                inner join psa_companies on {{ valid_on("psa_companies", "dates.counted_on") }}
                where dates.against = 'psa'
            ) as psa_customers
            on dates.counted_on = psa_customers.counted_on
            and quantities.customer_id = psa_customers.customer_id
        anti join
            of_customers
            on quantities.period = of_customers.period
            and quantities.distributor_id = of_customers.distributor_id
            and dates.against = of_customers.against
            and quantities.customer_id = of_customers.customer_id
            and quantities.product_code = of_customers.product_code
        where dates.against = 'portal' or psa_customers.customer_id is not null
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
