select product_code, currency, pricing_model, min_quantity, max_quantity, unit_price, valid_from, valid_to
from {{ source("reference", "price_bands") }}
