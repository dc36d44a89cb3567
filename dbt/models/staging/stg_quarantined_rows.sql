select feed, snapshot_date, source, load_id, row_number, line_number, column_name, reason, raw_text
from {{ source("raw", "quarantined_rows") }}
