select customer_id, product_code, quantity, snapshot_date, source, row_number, load_id
from {{ source("raw", "portal_usage") }}
