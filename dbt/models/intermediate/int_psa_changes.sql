{#
    What the partners' PSAs bill for monthly customers on their latest snapshot up to each cut-off, beside what is
    billed here: one row per addition, and one for each product that no addition bills yet. Several additions for
    one customer and product keep what they have, smallest first; the largest takes up the difference.
#}
with
    quantities as (select * from {{ ref("int_quantities") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    files as (select * from {{ ref("stg_files") }} where feed = 'psa_additions'),

    {# An addition that two sources list on one day is one addition. #}
    additions as (
        select *
        from {{ ref("stg_psa_additions") }}
        qualify row_number() over (partition by snapshot_date, psa, addition_id order by source, row_number) = 1
    ),

    psa_companies as (select * from {{ ref("stg_psa_companies") }}),

    psa_products as (select * from {{ ref("stg_psa_products") }}),

    dates as (
        select periods.period, periods.distributor_id, max(files.snapshot_date) as counted_on
        from periods
        inner join files on files.snapshot_date <= periods.cutoff_on
        group by periods.period, periods.distributor_id
    ),

    {# A customer may be several companies there: what it is billed for is spread over all their additions. #}
    companies as (
        select
            dates.period,
            dates.distributor_id,
            dates.counted_on,
            psa_companies.psa,
            psa_companies.company_id,
            psa_companies.customer_id
        from dates
        inner join psa_companies on {{ valid_on("psa_companies", "dates.counted_on") }}
    ),

    {# Several of a PSA's products may stand for one of ours; a new addition is for the first of them. #}
    products as (
        select dates.period, dates.distributor_id, psa_products.psa, psa_products.product_code, psa_products.product_id
        from dates
        inner join psa_products on {{ valid_on("psa_products", "dates.counted_on") }}
    ),

    billed as (
        select
            companies.period,
            companies.distributor_id,
            quantities.currency,
            quantities.partner_id,
            quantities.customer_id,
            quantities.customer_name,
            quantities.product_code,
            companies.psa,
            companies.counted_on,
            quantities.quantity,
            min(companies.company_id) as first_company_id
        from quantities
        inner join
            companies
            on quantities.period = companies.period
            and quantities.distributor_id = companies.distributor_id
            and quantities.customer_id = companies.customer_id
        group by all
    ),

    found as (
        select
            billed.* except (first_company_id),
            companies.company_id,
            additions.agreement_id,
            additions.addition_id,
            additions.product_id,
            additions.unit_price,
            additions.quantity as from_quantity,
            coalesce(
                sum(additions.quantity) over (
                    partition by
                        billed.period, billed.distributor_id, billed.psa, billed.customer_id, billed.product_code
                    order by additions.quantity, additions.agreement_id nulls last, additions.addition_id
                    rows between unbounded preceding and 1 preceding
                ),
                0
            ) as kept_before,
            row_number() over (
                partition by billed.period, billed.distributor_id, billed.psa, billed.customer_id, billed.product_code
                order by additions.quantity desc, additions.agreement_id desc, additions.addition_id desc
            )
            = 1 as is_largest
        from billed
        inner join
            companies
            on billed.period = companies.period
            and billed.distributor_id = companies.distributor_id
            and billed.psa = companies.psa
            and billed.customer_id = companies.customer_id
        inner join
            products
            on billed.period = products.period
            and billed.distributor_id = products.distributor_id
            and billed.psa = products.psa
            and billed.product_code = products.product_code
        inner join
            additions
            on billed.psa = additions.psa
            and companies.company_id = additions.company_id
            and billed.counted_on = additions.snapshot_date
            and products.product_id = additions.product_id
    ),

    known as (
        select
            period,
            distributor_id,
            currency,
            partner_id,
            customer_id,
            customer_name,
            product_code,
            psa,
            company_id,
            agreement_id,
            addition_id,
            product_id,
            unit_price,
            counted_on,
            from_quantity,
            cast(greatest(0, quantity - kept_before) as bigint) as left_to_bill,
            is_largest
        from found
    ),

    changed as (
        select
            * except (left_to_bill, is_largest),
            case when is_largest then left_to_bill else least(from_quantity, left_to_bill) end as to_quantity
        from known
    ),

    {# Where all additions of a company are in one agreement, a new one belongs there too. #}
    agreements as (
        select
            psa,
            company_id,
            snapshot_date,
            case when min(agreement_id) = max(agreement_id) then min(agreement_id) end as agreement_id
        from additions
        group by psa, company_id, snapshot_date
    ),

    not_billed_there as (
        select
            billed.period,
            billed.distributor_id,
            billed.currency,
            billed.partner_id,
            billed.customer_id,
            billed.customer_name,
            billed.product_code,
            billed.psa,
            billed.first_company_id as company_id,
            agreements.agreement_id,
            cast(null as string) as addition_id,
            (
                select min(products.product_id)
                from products
                where
                    products.period = billed.period
                    and products.distributor_id = billed.distributor_id
                    and products.psa = billed.psa
                    and products.product_code = billed.product_code
            ) as product_id,
            cast(null as decimal(18, 6)) as unit_price,
            billed.counted_on,
            cast(0 as bigint) as from_quantity,
            billed.quantity as to_quantity
        from billed
        left join
            agreements
            on billed.psa = agreements.psa
            and billed.first_company_id = agreements.company_id
            and billed.counted_on = agreements.snapshot_date
        anti join
            changed
            on billed.period = changed.period
            and billed.distributor_id = changed.distributor_id
            and billed.psa = changed.psa
            and billed.customer_id = changed.customer_id
            and billed.product_code = changed.product_code
        where billed.quantity > 0
    ),

    combined as (
        select *
        from changed
        union all
        select *
        from not_billed_there
    )

select
    period,
    distributor_id,
    currency,
    partner_id,
    customer_id,
    customer_name,
    product_code,
    psa,
    company_id,
    agreement_id,
    addition_id,
    product_id,
    unit_price,
    counted_on,
    from_quantity,
    to_quantity,
    case
        when addition_id is null
        then 'add'
        when to_quantity = 0 and from_quantity > 0
        then 'remove'
        when to_quantity <> from_quantity
        then 'change'
        else 'keep'
    end as action
from combined
