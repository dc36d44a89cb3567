select feed, snapshot_date, source, row_number, line_number, column_name, reason, raw_text
from {{ ref("stg_quarantined_rows") }}
