select customer_id, serial_number, model, operating_system, cluster_id, cluster_mode, activity_month, active_days
from {{ ref("int_heartbeat_activity") }}
