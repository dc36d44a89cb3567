select
    seller_id,
    seller_name,
    country,
    street,
    city,
    postal_code,
    tax_id,
    endpoint_id,
    iban,
    contact_name,
    contact_phone,
    contact_email,
    legal_registration,
    valid_from,
    valid_to
from {{ source("reference", "seller") }}
