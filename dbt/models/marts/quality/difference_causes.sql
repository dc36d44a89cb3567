select against, period, distributor_id, partner_id, customer_id, product_code, cause, units, other_fits, evidence
from {{ ref("int_count_split") }}
where cause is not null
