{# The lines of what was issued, from the ledger: never recomputed. #}
select distributor_id, sequence, period, currency, line_number, partner_id, product_code, quantity, unit_price, amount
from {{ ref("stg_issued_lines") }}
