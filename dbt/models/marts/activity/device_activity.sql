select customer_id, product_code, device_id, user_id, activity_month, active_days from {{ ref("int_usage_activity") }}
