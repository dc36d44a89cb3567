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
    or amounts.amount <> case
        currencies.minor_units
        when 0
        then trunc(amounts.amount, 0)
        when 2
        then trunc(amounts.amount, 2)
        else amounts.amount
    end
