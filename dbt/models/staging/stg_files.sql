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
    is_verified,
    {# It was sent to say something and says nothing; a file sent without rows says that there is nothing. #}
    rows_accepted = 0 and rows_quarantined > 0 as is_wholly_refused
from {{ source("raw", "files") }}
