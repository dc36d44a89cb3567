select feed, activity_month, load_id from {{ source("raw", "withdrawn_activity") }}
