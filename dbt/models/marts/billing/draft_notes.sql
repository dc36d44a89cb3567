{#
    The credit and debit notes of each distributor's next run (R25): one per corrected period and
    currency. A note is issued together with the run's invoice in its currency, or with the first
    one when the run has none in it.
#}
with
    corrections as (select * from {{ ref("int_corrections") }} where is_correctable),

    lines as (select * from {{ ref("draft_note_lines") }}),

    invoices as (select * from {{ ref("draft_invoices") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    policies as (select * from {{ ref("stg_policies") }}),

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
    cast(
        to_json(
            {
                'active_window_days':periods.active_window_days,
                'device_user_attribution':periods.device_user_attribution,
                'correction_periods':periods.correction_periods,
                'recomputed_periods':policies.recomputed_periods
            }
        ) as varchar
    ) as policies
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
inner join periods on notes.period = periods.period and notes.distributor_id = periods.distributor_id
cross join policies
