select psa, company_id, customer_id, valid_from, valid_to from {{ source("reference", "psa_companies") }}
