select feed, snapshot_date, source, file_name, sha256, reason, detail from {{ source("raw", "rejected_files") }}
