{#
    How each customer is licensed for each product in a drafted period (R11): monthly before term
    before trial. Only a monthly licence bills, and only when nothing blocks it (R15, R16).
#}
with
    licences as (select * from {{ ref("int_licences_in_period") }} where is_of_record),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    programmes as (select * from {{ ref("stg_programmes") }}),

    blocks as (
        select period, distributor_id, customer_id, product_code, min(reason) as reason
        from {{ ref("int_billing_blocks") }}
        where decision is distinct from 'bill'
        group by period, distributor_id, customer_id, product_code
    ),

    waived_outside_flex as (
        select distinct period, distributor_id, customer_id, product_code
        from {{ ref("int_billing_blocks") }}
        where kind = 'monthly_outside_flex' and decision = 'bill'
    ),

    ranked as (
        select *
        from licences
        qualify
            row_number() over (
                partition by period, distributor_id, customer_id, product_code
                order by
                    case licence_type when 'monthly' then 1 when 'term' then 2 else 3 end,
                    in_effect_to desc,
                    in_effect_from,
                    licence_id
            )
            = 1
    )

select
    ranked.period,
    ranked.distributor_id,
    customers.partner_id,
    ranked.customer_id,
    ranked.product_code,
    ranked.licence_type,
    ranked.owner,
    ranked.quantity as licensed_quantity,
    ranked.starts_on as licence_starts_on,
    ranked.ends_on as licence_ends_on,
    case
        when ranked.licence_type <> 'monthly'
        then ranked.licence_type
        when blocks.reason is not null
        then blocks.reason
        when not coalesce(programmes.bills_monthly, false) and waived_outside_flex.customer_id is null
        then 'legacy_programme'
    end as reason
from ranked
inner join
    customers
    on ranked.period = customers.period
    and ranked.distributor_id = customers.distributor_id
    and ranked.customer_id = customers.customer_id
left join programmes on customers.programme = programmes.programme
left join
    blocks
    on ranked.period = blocks.period
    and ranked.distributor_id = blocks.distributor_id
    and ranked.customer_id = blocks.customer_id
    and ranked.product_code = blocks.product_code
left join
    waived_outside_flex
    on ranked.period = waived_outside_flex.period
    and ranked.distributor_id = waived_outside_flex.distributor_id
    and ranked.customer_id = waived_outside_flex.customer_id
    and ranked.product_code = waived_outside_flex.product_code
