{# The corrections that the next run issues, customer by customer, with their causes (R25). #}
with
    corrections as (select * from {{ ref("int_corrections") }} where is_correctable),

    causes as (select * from {{ ref("int_correction_causes") }}),

    causes_of_customer as (
        select
            period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            customer_id,
            {{
                json_list(
                    {"cause": "cause", "quantity": "units", "amount": "cast(amount as string)"}, order_by=["cause"]
                )
            }} as causes
        from causes
        group by all
    ),

    numbered as (
        select
            period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            cast(
                row_number() over (
                    partition by period, distributor_id, currency
                    order by partner_id, min(listing_order) nulls last, product_code
                ) as bigint
            ) as line_number
        from corrections
        group by period, distributor_id, currency, partner_id, product_code
    )

select
    corrections.period,
    corrections.distributor_id,
    corrections.currency,
    numbered.line_number,
    corrections.partner_id,
    corrections.partner_name,
    corrections.product_code,
    corrections.product_name,
    corrections.category,
    corrections.billing_unit,
    corrections.sku,
    corrections.listing_order,
    corrections.customer_id,
    corrections.customer_name,
    corrections.licence_type,
    corrections.owner,
    corrections.billed_quantity,
    corrections.billed_amount,
    corrections.known_quantity,
    corrections.known_amount,
    corrections.quantity,
    corrections.amount,
    causes_of_customer.causes
from corrections
inner join
    numbered
    on corrections.period = numbered.period
    and corrections.distributor_id = numbered.distributor_id
    and corrections.currency = numbered.currency
    and corrections.partner_id = numbered.partner_id
    and corrections.product_code = numbered.product_code
left join
    causes_of_customer
    on corrections.period = causes_of_customer.period
    and corrections.distributor_id = causes_of_customer.distributor_id
    and corrections.currency = causes_of_customer.currency
    and corrections.partner_id = causes_of_customer.partner_id
    and corrections.product_code = causes_of_customer.product_code
    and corrections.customer_id = causes_of_customer.customer_id
