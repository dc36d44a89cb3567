select
    distributor_id,
    billed_period,
    currency,
    partner_id,
    product_code,
    customer_id,
    unit_kind,
    unit_id,
    is_counted,
    reason
from {{ source("ledger", "rosters") }}
