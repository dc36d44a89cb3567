{#
    What the partners' PSAs bill on each source's latest snapshot up to each cut-off, beside what is billed here: one
    row per addition, and one for each product that no addition bills yet. Several additions for one customer and
    product keep what they have, smallest first; the largest takes up the difference. Where nothing is billed here,
    because no licence is left or nobody's customer is that company, an addition goes down to nothing.
#}
with
    quantities as (select * from {{ ref("int_quantities") }}),

    additions as (select * from {{ ref("int_psa_additions") }} where distributor_id is not null),

    {# A customer may be several companies there: what it is billed for is spread over all their additions. #}
    companies as (select * from {{ ref("int_psa_companies") }} where distributor_id is not null),

    psa_products as (select * from {{ ref("stg_psa_products") }}),

    stray as (select * from {{ ref("int_psa_strays") }} where partner_id is not null),

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
            billed.* except (first_company_id, counted_on),
            additions.counted_on,
            additions.company_id,
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
            additions
            on billed.period = additions.period
            and billed.distributor_id = additions.distributor_id
            and billed.psa = additions.psa
            and billed.customer_id = additions.customer_id
            and billed.product_code = additions.product_code
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
            period,
            distributor_id,
            psa,
            company_id,
            case when min(agreement_id) = max(agreement_id) then min(agreement_id) end as agreement_id
        from additions
        group by period, distributor_id, psa, company_id
    ),

    {# Several of a PSA's products may stand for one of ours; a new addition is for the first of them. #}
    first_products as (
        select dates.psa, dates.counted_on, psa_products.product_code, min(psa_products.product_id) as product_id
        from (select distinct psa, counted_on from companies) as dates
        inner join psa_products on dates.psa = psa_products.psa and {{ valid_on("psa_products", "dates.counted_on") }}
        group by dates.psa, dates.counted_on, psa_products.product_code
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
            first_products.product_id,
            cast(null as decimal(18, 6)) as unit_price,
            billed.counted_on,
            cast(0 as bigint) as from_quantity,
            billed.quantity as to_quantity
        from billed
        left join
            agreements
            on billed.period = agreements.period
            and billed.distributor_id = agreements.distributor_id
            and billed.psa = agreements.psa
            and billed.first_company_id = agreements.company_id
        left join
            first_products
            on billed.psa = first_products.psa
            and billed.counted_on = first_products.counted_on
            and billed.product_code = first_products.product_code
        anti join
            changed
            on billed.period = changed.period
            and billed.distributor_id = changed.distributor_id
            and billed.psa = changed.psa
            and billed.customer_id = changed.customer_id
            and billed.product_code = changed.product_code
        where billed.quantity > 0
    ),

    {# Billed there and by no line here: down to nothing. #}
    billed_there_alone as (
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
            quantity as from_quantity,
            cast(0 as bigint) as to_quantity
        from stray
    ),

    combined as (
        select *
        from changed
        union all
        select *
        from not_billed_there
        union all
        select *
        from billed_there_alone
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
        when customer_id is null
        then 'unknown_customer'
        when to_quantity = 0 and from_quantity > 0
        then 'remove'
        when to_quantity <> from_quantity
        then 'change'
        else 'keep'
    end as action
from combined
