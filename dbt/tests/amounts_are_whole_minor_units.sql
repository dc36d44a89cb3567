{#
    R19: no amount has more decimals than its currency has minor units: whole yen, cents, fils. Payment files and
    the ledger's canonical text rely on it. Breaks when an amount is not rounded, or to the wrong currency's unit.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_invoice_lines"}}}) }}

with
    amounts as (
        select 'line' as level, period, distributor_id, currency, amount
        from {{ ref("draft_invoice_lines") }}
        union all
        select 'customer' as level, period, distributor_id, currency, amount
        from {{ ref("draft_invoice_customers") }}
        union all
        select 'invoice' as level, period, distributor_id, currency, total_amount as amount
        from {{ ref("draft_invoices") }}
    )

select amounts.*, currencies.minor_units
from amounts
left join {{ ref("stg_currencies") }} as currencies on amounts.currency = currencies.currency
where
    currencies.minor_units is null
    or (currencies.minor_units = 0 and amounts.amount <> round(amounts.amount, 0))
    or (currencies.minor_units = 2 and amounts.amount <> round(amounts.amount, 2))
