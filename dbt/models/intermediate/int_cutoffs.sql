{#
    Every distributor's cut-off and first day of each period (R1), by its version on the month's first day, or the
    first that begins in the month. It has a period in a month when it is there on the cut-off, on which all that an
    invoice says of it is read. A period that is issued keeps the cut-off it was issued with, whatever the reference
    data say now.
#}
with
    months as (select * from {{ ref("int_months") }}),

    distributors as (select * from {{ ref("stg_distributors") }}),

    issued as (select distinct period, distributor_id, cutoff_on from {{ ref("int_issued_periods") }}),

    scheduled as (
        select
            months.period,
            months.month_starts_on,
            months.month_ends_on,
            distributors.distributor_id,
            coalesce(
                issued.cutoff_on, {{ cutoff_on("months.month_starts_on", "distributors.cutoff_day") }}
            ) as cutoff_on,
            {{ cutoff_on(month_of("months.month_starts_on - interval 1 month"), "distributors.cutoff_day") }}
            as previous_cutoff_by_calendar,
            issued.cutoff_on is not null as is_issued
        from months
        inner join
            distributors
            on distributors.valid_from <= months.month_ends_on
            and coalesce(distributors.valid_to, date '9999-12-31') >= months.month_starts_on
        left join issued on months.period = issued.period and distributors.distributor_id = issued.distributor_id
        qualify
            row_number() over (partition by months.period, distributors.distributor_id order by distributors.valid_from)
            = 1
    ),

    held as (
        select scheduled.*
        from scheduled
        left join
            distributors
            on scheduled.distributor_id = distributors.distributor_id
            and {{ valid_on("distributors", "scheduled.cutoff_on") }}
        where scheduled.is_issued or distributors.distributor_id is not null
    ),

    {# A distributor may be away for a month: only the month right before lends its cut-off. #}
    bounded as (
        select
            period,
            month_starts_on,
            month_ends_on,
            distributor_id,
            cutoff_on,
            coalesce(
                case
                    when {{ add_days("lag(month_ends_on) over by_distributor", "1") }} = month_starts_on
                    then lag(cutoff_on) over by_distributor
                end,
                previous_cutoff_by_calendar
            ) as previous_cutoff_on
        from held
        window by_distributor as (partition by distributor_id order by month_starts_on)
    )

select
    period,
    month_starts_on,
    month_ends_on,
    distributor_id,
    cutoff_on,
    {{ add_days("previous_cutoff_on", "1") }} as period_starts_on
from bounded
