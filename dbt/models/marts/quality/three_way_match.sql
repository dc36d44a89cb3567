select
    period,
    distributor_id,
    partner_id,
    customer_id,
    product_code,
    warehouse_quantity,
    portal_snapshot_date,
    portal_quantity,
    psa_quantity
from {{ ref("int_three_way_match") }}
