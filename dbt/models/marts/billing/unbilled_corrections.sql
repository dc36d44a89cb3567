{# Differences of issued periods that are too old for a note: reported, never billed (R25). #}
select
    period,
    distributor_id,
    currency,
    partner_id,
    product_code,
    customer_id,
    billed_quantity,
    billed_amount,
    known_quantity,
    known_amount,
    quantity,
    amount
from {{ ref("int_corrections") }}
where not is_correctable
