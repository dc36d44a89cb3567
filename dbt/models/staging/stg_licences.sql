select
    licence_id,
    customer_id,
    product_code,
    licence_type,
    owner,
    quantity,
    serial_number,
    starts_on,
    ends_on,
    snapshot_date,
    source,
    row_number,
    load_id
from {{ source("raw", "licences") }}
