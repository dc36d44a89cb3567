select distinct
    against,
    period,
    distributor_id,
    partner_id,
    customer_id,
    product_code,
    counted_on,
    our_quantity,
    their_quantity,
    difference
from {{ ref("int_count_split") }}
