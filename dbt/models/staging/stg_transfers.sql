select
    transfer_id,
    customer_id,
    from_partner_id,
    to_partner_id,
    effective_on,
    current_partner_approved_on,
    new_partner_approved_on,
    customer_approved_on,
    snapshot_date,
    source,
    row_number,
    load_id
from {{ source("raw", "transfers") }}
