select period, distributor_id, customer_id, product_code, serial_number, licence_id, licence_type
from {{ ref("int_firewall_claims") }}
