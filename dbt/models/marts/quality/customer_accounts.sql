select
    period,
    distributor_id,
    partner_id,
    customer_id,
    customer_name,
    is_of_record,
    had_until,
    billed_by_distributor_id,
    billed_to_partner_id,
    cutoff_on,
    window_starts_on,
    active_window_days,
    device_user_attribution
from {{ ref("int_customer_accounts") }}
