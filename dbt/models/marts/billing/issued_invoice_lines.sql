{# The lines of every issued document, from the ledger: never recomputed. Those of notes are differences. #}
with
    lines as (select * from {{ ref("stg_issued_lines") }}),

    documents as (select * from {{ ref("stg_issued_documents") }})

select
    lines.distributor_id,
    lines.sequence,
    documents.number,
    documents.kind,
    documents.is_cancelled,
    lines.period,
    lines.billed_period,
    lines.currency,
    lines.line_number,
    lines.corrects_line,
    lines.partner_id,
    lines.partner_name,
    lines.product_code,
    lines.product_name,
    lines.category,
    lines.billing_unit,
    lines.sku,
    lines.quantity,
    lines.unit_price,
    lines.bands,
    lines.causes,
    lines.amount
from lines
inner join documents on lines.distributor_id = documents.distributor_id and lines.sequence = documents.sequence
