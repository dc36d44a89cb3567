select
    feed,
    snapshot_date,
    source,
    sha256,
    load_id,
    rows_in_file,
    rows_accepted,
    rows_quarantined,
    rows_duplicate,
    is_verified
from {{ source("raw", "files") }}
