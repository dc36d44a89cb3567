{#
    The page of managed customers and the invoice say the same (R11, R21): billed units are the quantity of
    the invoice's customers, and the rest of the active units carry their reasons in not billed. Partners rely
    on it when they hold one against the other. Breaks when one of them joins licences or customers differently.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_managed_customers"}}}) }}

with
    figures as (
        select
            period, distributor_id, customer_id, product_code, billed_units, active_units - billed_units as not_billed
        from {{ ref("draft_managed_customers") }}
        union all
        select period, distributor_id, customer_id, product_code, - quantity, 0
        from {{ ref("draft_invoice_customers") }}
        union all
        select period, distributor_id, customer_id, product_code, 0, - units
        from {{ ref("draft_not_billed") }}
        where reason <> 'other_partner_of_record'
    )

select period, distributor_id, customer_id, product_code, sum(billed_units) as billed, sum(not_billed) as not_billed
from figures
group by period, distributor_id, customer_id, product_code
having sum(billed_units) <> 0 or sum(not_billed) <> 0
