{#
    R25: for every issued period, what it was billed (documents and notes) + what the next run corrects + what is
    reported as unbilled = the period as known now, by customer, product and currency, in units and money. Whatever
    arrives late, nothing is charged twice and nothing gets lost. The sums are made from the documents again, not from
    the corrections. A period whose invoice was cancelled is left out until it is issued again.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_note_customers"}}}) }}

with
    settled as (select period, distributor_id from {{ ref("int_billing_periods") }} where is_issued or is_passed_over),

    entries as (
        select
            billed_period as period, distributor_id, currency, partner_id, product_code, customer_id, quantity, amount
        from {{ ref("stg_issued_customers") }}
        union all
        select period, distributor_id, currency, partner_id, product_code, customer_id, quantity, amount
        from {{ ref("draft_note_customers") }}
        union all
        select period, distributor_id, currency, partner_id, product_code, customer_id, quantity, amount
        from {{ ref("unbilled_corrections") }}
        union all
        select period, distributor_id, currency, partner_id, product_code, customer_id, - quantity, - amount
        from {{ ref("draft_invoice_customers") }}
        anti join
            (select * from {{ ref("draft_invoices") }} where not is_issued and not is_passed_over) as to_come using (
                period, distributor_id, currency
            )
    )

select
    period,
    distributor_id,
    currency,
    partner_id,
    product_code,
    customer_id,
    sum(quantity) as quantity,
    sum(amount) as amount
from entries
semi join settled using (period, distributor_id)
group by period, distributor_id, currency, partner_id, product_code, customer_id
having sum(quantity) <> 0 or sum(amount) <> 0
