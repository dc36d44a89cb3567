select
    feed,
    source,
    snapshot_date,
    is_received,
    is_verified,
    rejected_because,
    rows_accepted,
    rows_quarantined,
    next_received_on
from {{ ref("int_feed_calendar") }}
