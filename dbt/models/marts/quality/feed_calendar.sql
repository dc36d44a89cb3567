{# The calendar with what each missing file means: a hole that holds an invoice, or made up for by a later one (R3). #}
with
    calendar as (select * from {{ ref("int_feed_calendar") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    holding as (
        select period, distributor_id, subject
        from {{ ref("int_findings_feeds") }}
        where kind = 'missing_file' and severity = 'blocking'
    ),

    {# A later file comes too late for whoever's cut-off lies between. #}
    holes as (
        select calendar.feed, calendar.source, calendar.snapshot_date, min(periods.period) as hole_in_period
        from calendar
        inner join holding on concat_ws('', calendar.feed, '/', calendar.source) = holding.subject
        inner join
            periods
            on holding.period = periods.period
            and holding.distributor_id = periods.distributor_id
            and calendar.snapshot_date between periods.window_starts_on and periods.cutoff_on
        where
            not calendar.is_received
            and (calendar.next_received_on is null or calendar.next_received_on > periods.cutoff_on)
        group by calendar.feed, calendar.source, calendar.snapshot_date
    )

select
    calendar.feed,
    calendar.source,
    calendar.snapshot_date,
    calendar.is_received,
    case
        when calendar.is_received
        then 'received'
        when holes.hole_in_period is not null
        then 'hole'
        when calendar.next_received_on is not null and calendar.feed in ('usage', 'heartbeat')
        then 'healed'
        else 'missing'
    end as state,
    holes.hole_in_period,
    calendar.is_verified,
    calendar.rejected_because,
    calendar.rows_accepted,
    calendar.rows_quarantined,
    calendar.next_received_on
from calendar
left join
    holes
    on calendar.feed = holes.feed
    and calendar.source = holes.source
    and calendar.snapshot_date = holes.snapshot_date
