{#
    The credit and debit notes of each distributor's next run (R25): one per corrected period and
    currency. A note is issued together with the run's invoice in its currency, or with the first
    one when the run has none in it. A note is taxed as the invoice it corrects was, as the ledger has it,
    and not at all when that carries no tax; where nothing was invoiced, at the rate of its period (R20).
#}
with
    corrections as (select * from {{ ref("int_corrections") }} where is_correctable),

    lines as (select * from {{ ref("draft_note_lines") }}),

    invoices as (select * from {{ ref("draft_invoices") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    policies as (select * from {{ ref("stg_policies") }}),

    documents as (select * from {{ ref("stg_issued_documents") }}),

    tax_rates as (select * from {{ ref("int_tax_rates") }}),

    notes as (
        select
            period,
            distributor_id,
            currency,
            any_value(minor_units) as minor_units,
            any_value(run_period) as run_period,
            any_value(corrects_number) as corrects_number,
            any_value(corrects_sequence) as corrects_sequence
        from corrections
        group by period, distributor_id, currency
    ),

    totals as (
        select
            period,
            distributor_id,
            currency,
            count(*) as line_count,
            cast(sum(amount) as decimal(18, 3)) as total_amount
        from lines
        group by period, distributor_id, currency
    ),

    issued_with as (
        select
            notes.period,
            notes.distributor_id,
            notes.currency,
            coalesce(
                min(invoices.currency) filter (where invoices.currency = notes.currency), min(invoices.currency)
            ) as invoice_currency
        from notes
        left join invoices on notes.run_period = invoices.period and notes.distributor_id = invoices.distributor_id
        group by notes.period, notes.distributor_id, notes.currency
    ),

    taxed as (
        select
            notes.period,
            notes.distributor_id,
            notes.currency,
            case
                when documents.kind is distinct from 'invoice'
                then tax_rates.rate_count
                when documents.tax_category is not null
                then 1
            end as tax_rate_count,
            case
                when documents.kind = 'invoice' then documents.tax_category else tax_rates.tax_category
            end as tax_category,
            case when documents.kind = 'invoice' then documents.tax_rate else tax_rates.rate end as tax_rate,
            case when documents.kind = 'invoice' then documents.tax_reason else tax_rates.reason end as tax_reason
        from notes
        left join
            documents
            on notes.distributor_id = documents.distributor_id
            and notes.corrects_sequence = documents.sequence
        left join tax_rates on notes.period = tax_rates.period and notes.distributor_id = tax_rates.distributor_id
    )

select
    notes.period,
    notes.distributor_id,
    notes.currency,
    case when totals.total_amount > 0 then 'debit_note' else 'credit_note' end as kind,
    notes.run_period,
    issued_with.invoice_currency,
    notes.corrects_number,
    notes.corrects_sequence,
    notes.minor_units,
    periods.period_starts_on,
    periods.cutoff_on,
    periods.window_starts_on,
    totals.line_count,
    totals.total_amount,
    taxed.tax_rate_count,
    taxed.tax_category,
    taxed.tax_rate,
    taxed.tax_reason,
    {{ tax_on("totals.total_amount", "taxed.tax_rate", "notes.minor_units") }} as tax_amount,
    cast(
        totals.total_amount
        + {{ tax_on("totals.total_amount", "taxed.tax_rate", "notes.minor_units") }} as decimal(18, 3)
    ) as payable_amount,
    {{
        json_object(
            {
                "active_window_days": "periods.active_window_days",
                "device_user_attribution": "periods.device_user_attribution",
                "firewall_evidence": "periods.firewall_evidence",
                "replaced_hardware": "periods.replaced_hardware",
                "correction_periods": "periods.correction_periods",
                "recomputed_periods": "policies.recomputed_periods",
            }
        )
    }} as policies
from notes
inner join
    totals
    on notes.period = totals.period
    and notes.distributor_id = totals.distributor_id
    and notes.currency = totals.currency
inner join
    issued_with
    on notes.period = issued_with.period
    and notes.distributor_id = issued_with.distributor_id
    and notes.currency = issued_with.currency
inner join
    taxed
    on notes.period = taxed.period
    and notes.distributor_id = taxed.distributor_id
    and notes.currency = taxed.currency
inner join periods on notes.period = periods.period and notes.distributor_id = periods.distributor_id
cross join policies
