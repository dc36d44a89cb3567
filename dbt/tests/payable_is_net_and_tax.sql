{#
    R20: what is payable is the net total and its tax, and both are whole minor units; where one rate is known there
    is a tax, and where none or two are, there is none. Every e-invoice and the books of both sides rely on it.
    Breaks when tax is rounded to another currency's unit, or a mart leaves one of the three out.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_invoices"}}}) }}

with
    taxed as (
        select
            'invoice' as document,
            period,
            distributor_id,
            currency,
            total_amount,
            tax_amount,
            payable_amount,
            coalesce(tax_rate_count, 0) = 1 as is_taxed
        from {{ ref("draft_invoices") }}
        union all
        select
            'note' as document,
            period,
            distributor_id,
            currency,
            total_amount,
            tax_amount,
            payable_amount,
            coalesce(tax_rate_count, 0) = 1 as is_taxed
        from {{ ref("draft_notes") }}
        union all
        select
            'issued' as document,
            period,
            distributor_id,
            currency,
            total_amount,
            tax_amount,
            payable_amount,
            tax_category is not null as is_taxed
        from {{ ref("issued_invoices") }}
    )

select taxed.*, currencies.minor_units
from taxed
left join {{ ref("stg_currencies") }} as currencies on taxed.currency = currencies.currency
where
    taxed.is_taxed <> (taxed.tax_amount is not null)
    or taxed.is_taxed <> (taxed.payable_amount is not null)
    or taxed.total_amount + taxed.tax_amount <> taxed.payable_amount
    or (currencies.minor_units = 0 and taxed.tax_amount <> round(taxed.tax_amount, 0))
    or (currencies.minor_units = 2 and taxed.tax_amount <> round(taxed.tax_amount, 2))
