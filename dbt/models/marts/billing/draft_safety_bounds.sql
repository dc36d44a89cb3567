select bound, cast(value as decimal(18, 3)) as value, meaning from {{ ref("stg_safety_bounds") }}
