{# Differences of issued periods that came too late for a note: reported, never billed (R25). #}
with corrections as (select * from {{ ref("int_corrections") }} where not is_correctable)

select
    'unbilled_correction' as kind,
    'warning' as severity,
    period,
    distributor_id,
    partner_id,
    cast(null as string) as customer_id,
    product_code,
    currency as subject,
    case
        when bool_or(is_last_run_over)
        then 'a run of the distributor that could still correct it: its last one is over'
        else 'corrected within the runs that policy correction_periods allows'
    end as expected,
    concat_ws(
        '',
        'now known with ',
        sum(known_quantity),
        ' units where ',
        sum(billed_quantity),
        ' were billed, ',
        sum(amount),
        ' ',
        currency,
        ' more'
    ) as found,
    cast(abs(sum(amount)) as decimal(18, 6)) as stake,
    cast(sum(abs(quantity)) as bigint) as units,
    'billing.unbilled_corrections, by customer' as evidence,
    'Nothing is charged or credited by itself. Settle it with the distributor if it matters.' as action
from corrections
group by period, distributor_id, partner_id, product_code, currency
