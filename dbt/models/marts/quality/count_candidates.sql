select
    period,
    distributor_id,
    partner_id,
    customer_id,
    product_code,
    cause,
    way,
    unit_id,
    units,
    last_active_on,
    counted_from,
    counted_to
from {{ ref("int_count_candidates") }}
