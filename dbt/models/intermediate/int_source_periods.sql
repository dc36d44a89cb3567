{#
    Which dates of a source's files a drafted period rests on, and whose: the window for usage and
    heartbeat, the period for the registry. A source concerns the distributors it has shown something
    of, and everybody while it has shown nobody (R3). Portal and PSA are only compared with.
#}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    source_distributors as (select * from {{ ref("int_source_distributors") }}),

    sources as (
        select feed, source
        from {{ ref("stg_expected_sources") }}
        union
        select feed, source
        from {{ ref("stg_files") }}
    ),

    unshown as (select * from sources anti join source_distributors using (feed, source)),

    concerned as (
        select feed, source, distributor_id
        from source_distributors
        union all
        select unshown.feed, unshown.source, distributors.distributor_id
        from unshown
        cross join (select distinct distributor_id from periods) as distributors
    )

select
    concerned.feed,
    concerned.source,
    periods.period,
    periods.distributor_id,
    case
        when concerned.feed in ('usage', 'heartbeat') then periods.window_starts_on else periods.period_starts_on
    end as starts_on,
    periods.cutoff_on as ends_on
from concerned
inner join periods on concerned.distributor_id = periods.distributor_id
where concerned.feed not in ('portal_usage', 'psa_additions')
