{#
    The periods that are drafted: every one not issued yet, from the one that holds the first usage
    snapshot to the one that holds the latest, and the issued ones that can still be corrected.
    An issued period keeps the policies of its document (prospective policies).
#}
with
    cutoffs as (select * from {{ ref("int_cutoffs") }}),

    policies as (select * from {{ ref("stg_policies") }}),

    snapshots as (
        select min(snapshot_date) as first_snapshot_on, max(snapshot_date) as latest_snapshot_on
        from {{ ref("stg_files") }}
        where feed in ('usage', 'heartbeat')
    ),

    issued as (
        select
            period,
            distributor_id,
            max(active_window_days) as active_window_days,
            max(device_user_attribution) as device_user_attribution
        from {{ ref("stg_issued_documents") }}
        group by period, distributor_id
    ),

    in_reach as (
        select
            cutoffs.*,
            issued.period is not null as is_issued,
            coalesce(issued.active_window_days, policies.active_window_days) as active_window_days,
            coalesce(issued.device_user_attribution, policies.device_user_attribution) as device_user_attribution,
            policies.correction_periods,
            policies.trial_days,
            policies.issue_days,
            snapshots.latest_snapshot_on >= cutoffs.cutoff_on as is_complete,
            count(issued.period) over (
                partition by cutoffs.distributor_id
                order by cutoffs.month_starts_on desc
                rows between unbounded preceding and current row
            ) as issued_since
        from cutoffs
        cross join policies
        cross join snapshots
        left join issued on cutoffs.period = issued.period and cutoffs.distributor_id = issued.distributor_id
        where
            cutoffs.cutoff_on >= snapshots.first_snapshot_on
            and cutoffs.period_starts_on <= snapshots.latest_snapshot_on
    )

select
    period,
    distributor_id,
    month_starts_on,
    month_ends_on,
    period_starts_on,
    cutoff_on,
    {{ window_starts_on("cutoff_on", "active_window_days") }} as window_starts_on,
    active_window_days,
    device_user_attribution,
    trial_days,
    issue_days,
    is_issued,
    is_complete
from in_reach
where not is_issued or issued_since <= correction_periods
