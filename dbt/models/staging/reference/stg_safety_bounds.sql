select bound, value, meaning from {{ source("reference", "safety_bounds") }}
