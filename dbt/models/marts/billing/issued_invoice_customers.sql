{#
    The customers behind the lines of every issued document, from the ledger; those of notes are differences. A
    customer without use is shown with 0 (R20), also under a product that has no line.
#}
with
    customers as (select * from {{ ref("stg_issued_customers") }}),

    lines as (select * from {{ ref("issued_invoice_lines") }}),

    documents as (select * from {{ ref("stg_issued_documents") }})

select
    customers.distributor_id,
    customers.sequence,
    documents.number,
    documents.kind,
    documents.is_cancelled,
    documents.period,
    customers.billed_period,
    customers.currency,
    lines.line_number,
    customers.partner_id,
    customers.partner_name,
    customers.product_code,
    customers.product_name,
    customers.category,
    customers.billing_unit,
    customers.customer_id,
    customers.customer_name,
    customers.licence_type,
    customers.owner,
    customers.quantity,
    customers.amount
from customers
inner join documents on customers.distributor_id = documents.distributor_id and customers.sequence = documents.sequence
left join
    lines
    on customers.distributor_id = lines.distributor_id
    and customers.sequence = lines.sequence
    and customers.partner_id = lines.partner_id
    and customers.product_code = lines.product_code
