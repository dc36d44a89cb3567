{#
    The run that corrections of issued periods go into (R25): each distributor's first period after
    the last one it was invoiced for. A cancelled invoice was issued all the same: its period is
    issued again, and that is no next run. Where the distributor ended, no run is left
    (`is_last_run_over`): the month after is only what the age of its periods is counted to.
#}
with
    documents as (select * from {{ ref("stg_issued_documents") }} where is_invoice),

    cutoffs as (select * from {{ ref("int_cutoffs") }}),

    months as (select * from {{ ref("int_months") }}),

    distributors as (select * from {{ ref("stg_distributors") }}),

    last_issued as (select distributor_id, max(period) as last_issued_period from documents group by distributor_id),

    {# Of the months known so far the cut-offs tell; after them, whoever has not ended by then. #}
    going_on as (
        select distinct distributors.distributor_id
        from distributors
        cross join (select max(month_ends_on) as last_on from months) as known
        where distributors.valid_to is null or distributors.valid_to > known.last_on
    )

select
    last_issued.distributor_id,
    last_issued.last_issued_period,
    coalesce(
        min(cutoffs.period), {{ period_of("cast(last_issued.last_issued_period || '-01' as date) + interval 1 month") }}
    ) as run_period,
    min(cutoffs.period) is null and min(going_on.distributor_id) is null as is_last_run_over
from last_issued
left join
    cutoffs on last_issued.distributor_id = cutoffs.distributor_id and cutoffs.period > last_issued.last_issued_period
left join going_on on last_issued.distributor_id = going_on.distributor_id
group by last_issued.distributor_id, last_issued.last_issued_period
