{#
    Every (feed, date, source) the reference data expect, and what became of it: received, healed by
    a later file, rejected, or missing. A file whose rows were all refused is one that is missing (R3), expected or not.
#}
with
    expected as (select * from {{ ref("stg_expected_sources") }}),

    delivered as (select * from {{ ref("stg_files") }}),

    files as (select * from delivered where is_wholly_refused is not true),

    {# Before this date usage and counts went with the retention policy; that is no hole. #}
    retention as (select max(kept_from) as kept_from from {{ ref("stg_version_set") }}),

    wholly_refused as (select * from delivered where is_wholly_refused),

    rejected as (
        select feed, snapshot_date, source, max(reason) as reason
        from
            (
                select feed, snapshot_date, source, reason
                from {{ ref("stg_rejected_files") }}
                union all
                select feed, snapshot_date, source, 'every_row_refused' as reason
                from wholly_refused
            ) as refused
        group by feed, snapshot_date, source
    ),

    bounds as (select min(snapshot_date) as first_on, max(snapshot_date) as last_on from delivered),

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
    ),

    found as (
        select feed, source, snapshot_date, true as is_expected
        from slots
        union all
        select feed, source, snapshot_date, false as is_expected
        from wholly_refused
        anti join slots using (feed, source, snapshot_date)
    )

select
    found.feed,
    found.source,
    found.snapshot_date,
    found.is_expected,
    files.load_id is not null as is_received,
    rejected.reason as rejected_because,
    coalesce(files.is_verified, false) as is_verified,
    coalesce(files.rows_accepted, wholly_refused.rows_accepted) as rows_accepted,
    coalesce(files.rows_quarantined, wholly_refused.rows_quarantined) as rows_quarantined,
    {# Any later file heals, whether or not one was expected that day. #}
    (
        select min(later.snapshot_date)
        from files as later
        where later.feed = found.feed and later.source = found.source and later.snapshot_date > found.snapshot_date
    ) as next_received_on
from found
left join files on found.feed = files.feed and found.source = files.source and found.snapshot_date = files.snapshot_date
left join
    rejected
    on found.feed = rejected.feed
    and found.source = rejected.source
    and found.snapshot_date = rejected.snapshot_date
left join
    wholly_refused
    on found.feed = wholly_refused.feed
    and found.source = wholly_refused.source
    and found.snapshot_date = wholly_refused.snapshot_date
