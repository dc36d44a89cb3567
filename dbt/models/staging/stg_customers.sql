select customer_id, customer_name, partner_id, status, snapshot_date, source, row_number, load_id
from {{ source("raw", "customers") }}
