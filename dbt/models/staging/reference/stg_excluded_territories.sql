select country, reason, valid_from, valid_to from {{ source("reference", "excluded_territories") }}
