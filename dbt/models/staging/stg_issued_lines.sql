select distributor_id, sequence, period, currency, line_number, partner_id, product_code, quantity, unit_price, amount
from {{ source("ledger", "lines") }}
