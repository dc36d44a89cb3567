select product_code, product_name, category, billing_unit, sku, listing_order, valid_from, valid_to
from {{ ref("stg_products") }}
