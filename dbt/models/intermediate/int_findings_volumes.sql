{#
    Files far from their source's usual size. The norm is the one of `ingest/volumes.py`, which looks
    before anything is built: the median of the rows in the files of the seven days before.
#}
with
    files as (select * from {{ ref("stg_files") }}),

    source_periods as (select * from {{ ref("int_source_periods") }}),

    bounds as (
        select
            max(case when bound = 'volume_swing_percent' then cast(value as integer) end) as volume_swing_percent,
            max(case when bound = 'smallest_swing_units' then cast(value as integer) end) as smallest_swing_units
        from {{ ref("stg_safety_bounds") }}
    ),

    with_norm as (
        select
            files.feed,
            files.source,
            files.snapshot_date,
            files.rows_in_file,
            cast(median(before.rows_in_file) as decimal(18, 1)) as usual_rows
        from files
        inner join
            files as before
            on files.feed = before.feed
            and files.source = before.source
            and before.snapshot_date
            between {{ add_days("files.snapshot_date", "-7") }} and {{ add_days("files.snapshot_date", "-1") }}
        group by files.feed, files.source, files.snapshot_date, files.rows_in_file
    ),

    swings as (
        select
            with_norm.feed,
            with_norm.source,
            with_norm.snapshot_date,
            concat_ws('', with_norm.feed, '/', with_norm.source, '/', with_norm.snapshot_date) as subject,
            concat_ws(
                '',
                'within ',
                bounds.volume_swing_percent,
                '% of the usual ',
                replace(cast(with_norm.usual_rows as string), '.0', ''),
                ' rows'
            ) as expected,
            concat_ws('', with_norm.rows_in_file, ' rows in ', with_norm.feed, '/', with_norm.source) as found
        from with_norm
        cross join bounds
        where
            abs(with_norm.rows_in_file - with_norm.usual_rows) >= bounds.smallest_swing_units
            and abs(with_norm.rows_in_file - with_norm.usual_rows) * 100
            > greatest(with_norm.usual_rows, 1) * bounds.volume_swing_percent
    ),

    concerned as (
        select source_periods.period, source_periods.distributor_id, swings.subject, swings.expected, swings.found
        from swings
        inner join
            source_periods
            on swings.feed = source_periods.feed
            and swings.source = source_periods.source
            and swings.snapshot_date between source_periods.starts_on and source_periods.ends_on
        union all
        select
            {{ period_of("snapshot_date") }} as period, cast(null as string) as distributor_id, subject, expected, found
        from swings
        where feed in ('portal_usage', 'psa_additions')
    )

select
    'feed_volume' as kind,
    'warning' as severity,
    period,
    distributor_id,
    cast(null as string) as partner_id,
    cast(null as string) as customer_id,
    cast(null as string) as product_code,
    subject,
    expected,
    found,
    cast(null as decimal(18, 6)) as stake,
    cast(null as bigint) as units,
    'feed calendar, rows_accepted of the days before' as evidence,
    'Ask the source whether the file is whole; if not, have it delivered again under the same name.' as action
from concerned
