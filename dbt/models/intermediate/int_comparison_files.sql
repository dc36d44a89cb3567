{#
    Which portal and PSA files a drafted period is compared with: of each source its latest up to the cut-off. Ids
    nobody has are looked for by the month's last cut-off, in rows without a distributor. A source that is no longer
    expected (seeds/expected_sources.csv) was replaced or closed: its last file says nothing any more;
    nor does a file whose rows were all refused.
#}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    files as (
        select *
        from {{ ref("stg_files") }}
        where feed in ('portal_usage', 'psa_additions') and is_wholly_refused is not true
    ),

    expected as (
        select feed, source, max(coalesce(valid_to, date '9999-12-31')) as expected_to
        from {{ ref("stg_expected_sources") }}
        group by feed, source
    ),

    dates_asked as (
        select period, distributor_id, cutoff_on
        from periods
        union all
        select period, cast(null as string) as distributor_id, max(cutoff_on) as cutoff_on
        from periods
        group by period
    )

select dates_asked.period, dates_asked.distributor_id, files.feed, files.source, max(files.snapshot_date) as counted_on
from dates_asked
inner join files on files.snapshot_date <= dates_asked.cutoff_on
left join expected on files.feed = expected.feed and files.source = expected.source
where expected.source is null or expected.expected_to >= dates_asked.cutoff_on
group by dates_asked.period, dates_asked.distributor_id, files.feed, files.source
