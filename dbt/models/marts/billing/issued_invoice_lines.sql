{# The lines of every issued document, from the ledger: never recomputed. Those of notes are differences. #}
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
    amount
from {{ ref("stg_issued_lines") }}
