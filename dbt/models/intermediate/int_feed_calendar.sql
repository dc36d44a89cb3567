{#
    Every (feed, date, source) the reference data expect, and what became of it: received, healed by
    a later file, rejected, or missing.
#}
with
    expected as (select * from {{ ref("stg_expected_sources") }}),

    files as (select * from {{ ref("stg_files") }}),

    {# Before this date usage and counts went with the retention policy; that is no hole. #}
    retention as (select max(kept_from) as kept_from from {{ ref("stg_version_set") }}),

    rejected as (
        select feed, snapshot_date, source, max(reason) as reason
        from {{ ref("stg_rejected_files") }}
        group by feed, snapshot_date, source
    ),

    bounds as (select min(snapshot_date) as first_on, max(snapshot_date) as last_on from files),

    dates as (
        select {{ date_spine("snapshot_date", "first_on", "last_on", "day") }} from bounds where first_on is not null
    ),

    slots as (
        select expected.feed, expected.source, dates.snapshot_date
        from expected
        inner join dates on {{ valid_on("expected", "dates.snapshot_date") }}
        cross join retention
        where
            retention.kept_from is null
            or dates.snapshot_date >= retention.kept_from
            or expected.feed not in ('usage', 'heartbeat', 'portal_usage', 'psa_additions')
    )

select
    slots.feed,
    slots.source,
    slots.snapshot_date,
    files.load_id is not null as is_received,
    rejected.reason as rejected_because,
    coalesce(files.is_verified, false) as is_verified,
    files.rows_accepted,
    files.rows_quarantined,
    {# Any later file heals, whether or not one was expected that day. #}
    (
        select min(later.snapshot_date)
        from files as later
        where later.feed = slots.feed and later.source = slots.source and later.snapshot_date > slots.snapshot_date
    ) as next_received_on
from slots
left join files on slots.feed = files.feed and slots.source = files.source and slots.snapshot_date = files.snapshot_date
left join
    rejected
    on slots.feed = rejected.feed
    and slots.source = rejected.source
    and slots.snapshot_date = rejected.snapshot_date
