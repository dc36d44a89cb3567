{#
    Which window serves which purpose in a drafted period: billing, previous (joined and left), month_to_cutoff
    (coverage, R2) and calendar, the whole month, which documents up to format 2 show.
#}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    cutoffs as (select * from {{ ref("int_cutoffs") }}),

    windows as (select * from {{ ref("int_windows") }}),

    purposes as (
        select
            period,
            distributor_id,
            device_user_attribution,
            firewall_evidence,
            'billing' as purpose,
            window_starts_on,
            cutoff_on as window_ends_on
        from periods
        union all
        select
            periods.period,
            periods.distributor_id,
            periods.device_user_attribution,
            periods.firewall_evidence,
            'previous' as purpose,
            {{ window_starts_on("cutoffs.cutoff_on", "periods.active_window_days") }} as window_starts_on,
            cutoffs.cutoff_on as window_ends_on
        from periods
        inner join
            cutoffs
            on periods.distributor_id = cutoffs.distributor_id
            and {{ add_days("periods.period_starts_on", "-1") }} = cutoffs.cutoff_on
        union all
        select
            period,
            distributor_id,
            device_user_attribution,
            firewall_evidence,
            'calendar' as purpose,
            month_starts_on as window_starts_on,
            month_ends_on as window_ends_on
        from periods
        union all
        select
            period,
            distributor_id,
            device_user_attribution,
            firewall_evidence,
            'month_to_cutoff' as purpose,
            month_starts_on as window_starts_on,
            cutoff_on as window_ends_on
        from periods
    )

select purposes.period, purposes.distributor_id, purposes.purpose, windows.window_id
from purposes
inner join
    windows
    on purposes.window_starts_on = windows.window_starts_on
    and purposes.window_ends_on = windows.window_ends_on
    and purposes.device_user_attribution = windows.device_user_attribution
    and purposes.firewall_evidence = windows.firewall_evidence
