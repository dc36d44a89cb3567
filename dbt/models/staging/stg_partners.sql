select
    partner_id,
    partner_name,
    distributor_id,
    country,
    programme,
    registered_on,
    parent_partner_id,
    snapshot_date,
    source,
    row_number,
    load_id
from {{ source("raw", "partners") }}
