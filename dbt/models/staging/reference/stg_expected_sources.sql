select feed, source, valid_from, valid_to from {{ source("reference", "expected_sources") }}
