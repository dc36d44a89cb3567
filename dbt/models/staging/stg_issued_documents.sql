select
    distributor_id,
    sequence,
    number,
    kind,
    period,
    currency,
    cutoff_on,
    issue_on,
    due_on,
    total_amount,
    content_sha256,
    cast(policies ->> '$.active_window_days' as integer) as active_window_days,
    policies ->> '$.device_user_attribution' as device_user_attribution
from {{ source("ledger", "documents") }}
