{#
    The run that corrections of issued periods go into (R25): each distributor's first period after
    the last one it was invoiced for. A cancelled invoice was issued all the same: its period is
    issued again, and that is no next run.
#}
with
    documents as (select * from {{ ref("stg_issued_documents") }} where is_invoice),

    cutoffs as (select * from {{ ref("int_cutoffs") }}),

    last_issued as (select distributor_id, max(period) as last_issued_period from documents group by distributor_id)

select
    last_issued.distributor_id,
    last_issued.last_issued_period,
    coalesce(
        min(cutoffs.period), {{ period_of("cast(last_issued.last_issued_period || '-01' as date) + interval 1 month") }}
    ) as run_period
from last_issued
left join
    cutoffs on last_issued.distributor_id = cutoffs.distributor_id and cutoffs.period > last_issued.last_issued_period
group by last_issued.distributor_id, last_issued.last_issued_period
