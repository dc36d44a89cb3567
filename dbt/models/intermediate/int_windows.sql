{#
    Every window that something is counted over, once each: the drafted periods' billing windows,
    the windows before them (who joined and left), their calendar months, whole and up to the cut-off
    (coverage, R2), and the current window on the latest snapshot's date; by each of the policies that
    one of them is counted by.
#}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    cutoffs as (select * from {{ ref("int_cutoffs") }}),

    policies as (select * from {{ ref("stg_policies") }}),

    latest as (
        select max(snapshot_date) as latest_snapshot_on from {{ ref("stg_files") }} where feed in ('usage', 'heartbeat')
    ),

    billing as (
        select window_starts_on, cutoff_on as window_ends_on, device_user_attribution, firewall_evidence from periods
    ),

    previous as (
        select
            {{ window_starts_on("cutoffs.cutoff_on", "periods.active_window_days") }} as window_starts_on,
            cutoffs.cutoff_on as window_ends_on,
            periods.device_user_attribution,
            periods.firewall_evidence
        from periods
        inner join
            cutoffs
            on periods.distributor_id = cutoffs.distributor_id
            and {{ add_days("periods.period_starts_on", "-1") }} = cutoffs.cutoff_on
    ),

    calendar as (
        select
            month_starts_on as window_starts_on,
            month_ends_on as window_ends_on,
            device_user_attribution,
            firewall_evidence
        from periods
    ),

    month_to_cutoff as (
        select
            month_starts_on as window_starts_on, cutoff_on as window_ends_on, device_user_attribution, firewall_evidence
        from periods
    ),

    running as (
        select
            {{ window_starts_on("latest.latest_snapshot_on", "policies.active_window_days") }} as window_starts_on,
            latest.latest_snapshot_on as window_ends_on,
            policies.device_user_attribution,
            policies.firewall_evidence
        from latest
        cross join policies
        where latest.latest_snapshot_on is not null
    ),

    combined as (
        select *
        from billing
        union
        select *
        from previous
        union
        select *
        from calendar
        union
        select *
        from month_to_cutoff
        union
        select *
        from running
    )

select
    row_number() over (
        order by window_starts_on, window_ends_on, device_user_attribution, firewall_evidence
    ) as window_id,
    window_starts_on,
    window_ends_on,
    device_user_attribution,
    firewall_evidence
from combined
