select
    customer_id,
    product_code,
    device_id,
    user_id,
    last_active_at,
    cast(last_active_at as date) as active_on,
    cast(date_trunc('month', last_active_at) as date) as activity_month,
    snapshot_date,
    source,
    row_number,
    load_id
from {{ source("raw", "usage") }}
