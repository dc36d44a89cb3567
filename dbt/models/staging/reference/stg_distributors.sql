select
    distributor_id,
    distributor_name,
    country,
    currency,
    cast(cutoff_day as integer) as cutoff_day,
    street,
    city,
    postal_code,
    tax_id,
    endpoint_id,
    cast(payment_terms_days as integer) as payment_terms_days,
    purchase_order,
    valid_from,
    valid_to
from {{ source("reference", "distributors") }}
