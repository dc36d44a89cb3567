select seller_country, buyer_country, tax_category, rate, reason, valid_from, valid_to
from {{ source("reference", "tax_rates") }}
