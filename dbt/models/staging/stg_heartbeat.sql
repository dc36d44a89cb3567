select
    customer_id,
    serial_number,
    model,
    operating_system,
    cluster_id,
    cluster_mode,
    last_heartbeat_at,
    cast(last_heartbeat_at as date) as active_on,
    cast(date_trunc('month', last_heartbeat_at) as date) as activity_month,
    snapshot_date,
    source,
    row_number,
    load_id
from {{ source("raw", "heartbeat") }}
