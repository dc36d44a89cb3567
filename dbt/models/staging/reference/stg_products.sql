select
    product_code,
    product_name,
    category,
    billing_unit,
    sku,
    cast(listing_order as integer) as listing_order,
    valid_from,
    valid_to
from {{ source("reference", "products") }}
