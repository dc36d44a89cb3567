select
    distributor_id,
    sequence,
    period,
    billed_period,
    currency,
    line_number,
    corrects_line,
    partner_id,
    product_code,
    quantity,
    unit_price,
    bands,
    amount
from {{ source("ledger", "lines") }}
