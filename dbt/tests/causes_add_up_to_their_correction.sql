{#
    R25: the causes of a correction add up to it exactly, in units and in money, and none is unexplained. A note whose
    causes do not add up would be disputed line by line.
#}
{{ config(meta={"dagster": {"ref": {"name": "int_correction_causes"}}}) }}

with
    entries as (
        select
            period, distributor_id, currency, partner_id, product_code, customer_id, quantity, amount, 0 as unexplained
        from {{ ref("int_corrections") }}
        union all
        select
            period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            customer_id,
            - units,
            - amount,
            case when cause = 'unexplained' then 1 else 0 end
        from {{ ref("int_correction_causes") }}
    )

select
    period,
    distributor_id,
    currency,
    partner_id,
    product_code,
    customer_id,
    sum(quantity) as quantity,
    sum(amount) as amount,
    sum(unexplained) as unexplained
from entries
group by all
having sum(quantity) <> 0 or sum(amount) <> 0 or sum(unexplained) <> 0
