select psa, product_id, product_code, valid_from, valid_to from {{ source("reference", "psa_products") }}
