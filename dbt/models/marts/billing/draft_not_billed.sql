select period, distributor_id, partner_id, customer_id, product_code, reason, count(*) as units
from {{ ref("int_roster") }}
where is_active and reason is not null
group by period, distributor_id, partner_id, customer_id, product_code, reason
