{#
    Additions of products we sell that are billed in a PSA and by no line here: the customer has no licence for the
    product in the period, be it that it ended, or the company is nobody's that we know (`is_company_unknown`). The
    partner of an unknown company is known when all the customers its source lists are of one partner.
#}
with
    additions as (select * from {{ ref("int_psa_additions") }} where product_code is not null and quantity > 0),

    licence_types as (select * from {{ ref("int_licence_types") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    of_record as (select * from {{ ref("int_partners_of_record") }}),

    without_licence as (
        select
            additions.period,
            additions.distributor_id,
            additions.psa,
            additions.company_id,
            additions.agreement_id,
            additions.addition_id,
            additions.product_id,
            additions.product_code,
            additions.unit_price,
            additions.quantity,
            additions.counted_on,
            additions.customer_id,
            customers.customer_name,
            customers.partner_id,
            customers.currency,
            false as is_company_unknown
        from additions
        inner join
            customers
            on additions.period = customers.period
            and additions.distributor_id = customers.distributor_id
            and additions.customer_id = customers.customer_id
        anti join
            licence_types
            on additions.period = licence_types.period
            and additions.distributor_id = licence_types.distributor_id
            and additions.customer_id = licence_types.customer_id
            and additions.product_code = licence_types.product_code
    ),

    {# By the month's last cut-off, so that every source has one answer. #}
    partners_of_source as (
        select
            additions.period,
            additions.source,
            min(of_record.distributor_id) as distributor_id,
            min(of_record.partner_id) as partner_id,
            min(of_record.currency) as currency
        from {{ ref("int_psa_additions") }} as additions
        inner join of_record on additions.period = of_record.period and additions.customer_id = of_record.customer_id
        where additions.distributor_id is null
        group by additions.period, additions.source
        having min(of_record.partner_id) = max(of_record.partner_id)
    ),

    of_unknown_company as (
        select additions.*
        from additions
        anti join of_record on additions.period = of_record.period and additions.customer_id = of_record.customer_id
    ),

    unknown_company as (
        select
            of_unknown_company.period,
            of_unknown_company.distributor_id,
            of_unknown_company.psa,
            of_unknown_company.company_id,
            of_unknown_company.agreement_id,
            of_unknown_company.addition_id,
            of_unknown_company.product_id,
            of_unknown_company.product_code,
            of_unknown_company.unit_price,
            of_unknown_company.quantity,
            of_unknown_company.counted_on,
            cast(null as string) as customer_id,
            cast(null as string) as customer_name,
            partners_of_source.partner_id,
            partners_of_source.currency,
            true as is_company_unknown
        from of_unknown_company
        left join
            partners_of_source
            on of_unknown_company.period = partners_of_source.period
            and of_unknown_company.source = partners_of_source.source
        where of_unknown_company.distributor_id is not distinct from partners_of_source.distributor_id
    ),

    combined as (
        select *
        from without_licence
        union all
        select *
        from unknown_company
    )

select
    period,
    distributor_id,
    partner_id,
    currency,
    customer_id,
    customer_name,
    is_company_unknown,
    product_code,
    psa,
    company_id,
    agreement_id,
    addition_id,
    product_id,
    unit_price,
    quantity,
    counted_on
from combined
