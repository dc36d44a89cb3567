{#
    R1: a distributor's period begins the day after the one before it ended, ends in its own month, and its window is
    active_window_days dates that end on the cut-off (R2). Breaks when a cut-off is moved or clamped wrongly: days
    would be billed twice or never.
#}
{{ config(meta={"dagster": {"ref": {"name": "int_billing_periods"}}}) }}

select period, distributor_id, period_starts_on, cutoff_on, window_starts_on, active_window_days
from
    (
        select
            *,
            lag(cutoff_on) over (partition by distributor_id order by period) as previous_cutoff_on,
            lag(month_ends_on) over (partition by distributor_id order by period) as previous_month_ends_on
        from {{ ref("int_billing_periods") }}
    ) as periods
where
    period_starts_on > cutoff_on
    or cutoff_on not between month_starts_on
    and month_ends_on
    or {{ days_between("window_starts_on", "cutoff_on") }} + 1 <> active_window_days
    or (previous_month_ends_on + 1 = month_starts_on and period_starts_on <> previous_cutoff_on + 1)
