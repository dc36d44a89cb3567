select
    psa,
    company_id,
    agreement_id,
    addition_id,
    product_id,
    quantity,
    unit_price,
    snapshot_date,
    source,
    row_number,
    load_id
from {{ source("raw", "psa_additions") }}
