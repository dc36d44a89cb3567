{#
    The periods that are drafted: every one not issued yet, from the one that holds the first usage
    snapshot to the one that holds the latest, and the issued ones that are still recomputed, because
    they can be corrected or because a difference is still reported (R25). An issued period keeps the
    policies of its document. A period that was passed over counts as issued with nothing; one whose
    invoice was cancelled waits to be issued again (R24).
#}
with
    cutoffs as (select * from {{ ref("int_cutoffs") }}),

    policies as (select * from {{ ref("stg_policies") }}),

    snapshots as (
        select min(snapshot_date) as first_snapshot_on, max(snapshot_date) as latest_snapshot_on
        from {{ ref("stg_files") }}
        where feed in ('usage', 'heartbeat')
    ),

    next_runs as (select * from {{ ref("int_next_runs") }}),

    issued as (
        select
            period,
            distributor_id,
            max(active_window_days) as active_window_days,
            max(device_user_attribution) as device_user_attribution,
            max(firewall_evidence) as firewall_evidence,
            max(replaced_hardware) as replaced_hardware,
            max(correction_periods) as correction_periods
        from {{ ref("int_issued_periods") }}
        group by period, distributor_id
    ),

    cancelled as (
        select distinct billed_period as period, distributor_id
        from {{ ref("stg_issued_documents") }}
        where is_cancelled
    ),

    in_reach as (
        select
            cutoffs.*,
            issued.period is not null as is_issued,
            coalesce(issued.active_window_days, policies.active_window_days) as active_window_days,
            coalesce(issued.device_user_attribution, policies.device_user_attribution) as device_user_attribution,
            coalesce(issued.firewall_evidence, policies.firewall_evidence) as firewall_evidence,
            coalesce(issued.replaced_hardware, policies.replaced_hardware) as replaced_hardware,
            coalesce(issued.correction_periods, policies.correction_periods) as correction_periods,
            policies.recomputed_periods,
            policies.trial_days,
            policies.issue_days,
            next_runs.run_period,
            coalesce(next_runs.is_last_run_over, false) as is_last_run_over,
            coalesce(cutoffs.period < next_runs.last_issued_period, false)
            and issued.period is null
            and cancelled.period is null as is_passed_over,
            {{ month_index("next_runs.run_period") }} - {{ month_index("cutoffs.period") }} as runs_ago,
            snapshots.latest_snapshot_on >= cutoffs.cutoff_on as is_complete
        from cutoffs
        cross join policies
        cross join snapshots
        left join issued on cutoffs.period = issued.period and cutoffs.distributor_id = issued.distributor_id
        left join cancelled on cutoffs.period = cancelled.period and cutoffs.distributor_id = cancelled.distributor_id
        left join next_runs on cutoffs.distributor_id = next_runs.distributor_id
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
    firewall_evidence,
    replaced_hardware,
    correction_periods,
    trial_days,
    issue_days,
    is_issued,
    is_complete,
    run_period,
    is_passed_over,
    is_last_run_over,
    coalesce(runs_ago <= correction_periods, false) and not is_last_run_over as is_correctable
from in_reach
where not (is_issued or is_passed_over) or runs_ago <= greatest(correction_periods, recomputed_periods)
