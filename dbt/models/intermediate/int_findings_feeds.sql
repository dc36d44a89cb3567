{# Discrepancies about the files themselves: missing, healed, refused, quarantined (R3, R11). #}
with
    feed_calendar as (select * from {{ ref("int_feed_calendar") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    source_distributors as (select * from {{ ref("int_source_distributors") }}),

    source_periods as (select * from {{ ref("int_source_periods") }}),

    files as (select * from {{ ref("stg_files") }}),

    refused as (select * from {{ ref("stg_rejected_files") }}),

    quarantined as (
        select feed, source, snapshot_date, reason, count(*) as rows_quarantined
        from {{ ref("stg_quarantined_rows") }}
        group by feed, source, snapshot_date, reason
    ),

    missing as (
        select
            periods.period,
            periods.distributor_id,
            feed_calendar.feed,
            feed_calendar.source,
            feed_calendar.snapshot_date,
            feed_calendar.rejected_because,
            periods.is_complete,
            feed_calendar.next_received_on <= periods.cutoff_on as is_healed,
            source_distributors.distributor_id is not null
            or feed_calendar.is_expected is not false
            and not exists (
                select 1
                from source_distributors as any_distributor
                where any_distributor.feed = feed_calendar.feed and any_distributor.source = feed_calendar.source
            ) as could_change_result
        from periods
        inner join feed_calendar on feed_calendar.snapshot_date between periods.window_starts_on and periods.cutoff_on
        left join
            source_distributors
            on feed_calendar.feed = source_distributors.feed
            and feed_calendar.source = source_distributors.source
            and periods.distributor_id = source_distributors.distributor_id
        where not feed_calendar.is_received and feed_calendar.feed in ('usage', 'heartbeat')
    ),

    missing_file as (
        select
            case when coalesce(is_healed, false) then 'missing_file_healed' else 'missing_file' end as kind,
            case
                when coalesce(is_healed, false) or not could_change_result or not is_complete
                then 'info'
                else 'blocking'
            end as severity,
            period,
            distributor_id,
            feed,
            source,
            min(snapshot_date) as first_on,
            max(snapshot_date) as last_on,
            count(*) as files,
            max(rejected_because) as rejected_because,
            could_change_result
        from missing
        where could_change_result or not coalesce(is_healed, false)
        group by all
    ),

    missing_files as (
        select
            kind,
            severity,
            period,
            distributor_id,
            cast(null as string) as partner_id,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            concat_ws('', feed, '/', source) as subject,
            concat_ws('', 'a file of ', feed, '/', source, ' for every day') as expected,
            concat_ws(
                '',
                files,
                ' missing, ',
                first_on,
                ' to ',
                last_on,
                case
                    when rejected_because is not null then concat_ws('', ' (rejected: ', rejected_because, ')') else ''
                end
            ) as found,
            cast(null as decimal(18, 6)) as stake,
            files as units,
            'feed calendar' as evidence,
            case
                when kind = 'missing_file_healed'
                then 'Nothing: a later file shows whoever was active.'
                when severity = 'blocking'
                then 'Have the file delivered again; a later one dated up to the cut-off heals it too.'
                when not could_change_result
                then 'Nothing for this invoice: the source has never shown a customer of this distributor.'
                else 'Nothing yet: the period is not over, and a later file dated up to the cut-off heals it.'
            end as action
        from missing_file
    ),

    {# Portal and PSA files are compared with and never billed from, so a hole in them is nobody's in particular. #}
    missing_comparison_files as (
        select
            'missing_file' as kind,
            'info' as severity,
            {{ period_of("snapshot_date") }} as period,
            cast(null as string) as distributor_id,
            cast(null as string) as partner_id,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            concat_ws('', feed, '/', source) as subject,
            concat_ws('', 'a file of ', feed, '/', source, ' for every day') as expected,
            concat_ws('', count(*), ' missing, ', min(snapshot_date), ' to ', max(snapshot_date)) as found,
            cast(null as decimal(18, 6)) as stake,
            count(*) as units,
            'feed calendar' as evidence,
            'Nothing for any invoice: portal and PSA are only compared with, by their last file up to the cut-off.'
            as action
        from feed_calendar
        where not is_received and feed in ('portal_usage', 'psa_additions')
        group by {{ period_of("snapshot_date") }}, feed, source
    ),

    {# The slot has a file in force, and a later delivery, a copy or a retraction of it was not taken. #}
    refused_in_force as (
        select refused.feed, refused.source, refused.snapshot_date, refused.file_name, refused.reason
        from refused
        inner join
            files
            on refused.feed = files.feed
            and refused.source = files.source
            and refused.snapshot_date = files.snapshot_date
    ),

    refused_of_periods as (
        select source_periods.period, source_periods.distributor_id, refused_in_force.file_name, refused_in_force.reason
        from refused_in_force
        inner join
            source_periods
            on refused_in_force.feed = source_periods.feed
            and refused_in_force.source = source_periods.source
            and refused_in_force.snapshot_date between source_periods.starts_on and source_periods.ends_on
        union all
        select {{ period_of("snapshot_date") }} as period, cast(null as string) as distributor_id, file_name, reason
        from refused_in_force
        where feed in ('portal_usage', 'psa_additions')
    ),

    refused_file as (
        select
            'refused_file' as kind,
            'warning' as severity,
            period,
            distributor_id,
            cast(null as string) as partner_id,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            file_name as subject,
            'every delivery taken' as expected,
            concat_ws('', file_name, ' refused: ', reason, '; the version before it counts') as found,
            cast(null as decimal(18, 6)) as stake,
            cast(null as bigint) as units,
            'rejected files, `muster status` says what was wrong' as evidence,
            'If it was meant to change something, have it delivered again as the reason asks; else have it removed.'
            as action
        from refused_of_periods
    ),

    registry_gap as (
        select
            'registry_gap' as kind,
            'warning' as severity,
            source_periods.period,
            source_periods.distributor_id,
            cast(null as string) as partner_id,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            concat_ws('', feed_calendar.feed, '/', feed_calendar.source) as subject,
            concat_ws(
                '', 'a snapshot of ', feed_calendar.feed, '/', feed_calendar.source, ' for every day'
            ) as expected,
            concat_ws(
                '', count(*), ' missing, ', min(feed_calendar.snapshot_date), ' to ', max(feed_calendar.snapshot_date)
            ) as found,
            cast(null as decimal(18, 6)) as stake,
            count(*) as units,
            'feed calendar' as evidence,
            'The snapshot before stands in. Have the missing one delivered if something changed that day.' as action
        from source_periods
        inner join
            feed_calendar
            on source_periods.feed = feed_calendar.feed
            and source_periods.source = feed_calendar.source
            and feed_calendar.snapshot_date between source_periods.starts_on and source_periods.ends_on
        where not feed_calendar.is_received and feed_calendar.feed in ('customers', 'partners', 'licences', 'transfers')
        group by source_periods.period, source_periods.distributor_id, feed_calendar.feed, feed_calendar.source
    ),

    {# Rows of usage and heartbeat concern whom their source concerns; others nobody in particular. #}
    quarantined_rows as (
        select
            'quarantined_rows' as kind,
            'warning' as severity,
            source_periods.period,
            source_periods.distributor_id,
            cast(null as string) as partner_id,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            concat_ws('', quarantined.feed, '/', quarantined.source, '/', quarantined.reason) as subject,
            'no quarantined row' as expected,
            concat_ws(
                '',
                sum(quarantined.rows_quarantined),
                ' rows of ',
                quarantined.feed,
                '/',
                quarantined.source,
                ': ',
                quarantined.reason
            ) as found,
            cast(null as decimal(18, 6)) as stake,
            sum(quarantined.rows_quarantined) as units,
            'quarantined_rows names file, line and raw text' as evidence,
            'Have the source correct the rows and deliver the file again.' as action
        from quarantined
        inner join
            source_periods
            on quarantined.feed = source_periods.feed
            and quarantined.source = source_periods.source
            and quarantined.snapshot_date between source_periods.starts_on and source_periods.ends_on
        where quarantined.feed in ('usage', 'heartbeat')
        group by
            source_periods.period,
            source_periods.distributor_id,
            quarantined.feed,
            quarantined.source,
            quarantined.reason
    ),

    shared_quarantined_rows as (
        select
            'quarantined_rows' as kind,
            'warning' as severity,
            {{ period_of("quarantined.snapshot_date") }} as period,
            cast(null as string) as distributor_id,
            cast(null as string) as partner_id,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            concat_ws('', quarantined.feed, '/', quarantined.source, '/', quarantined.reason) as subject,
            'no quarantined row' as expected,
            concat_ws(
                '',
                sum(quarantined.rows_quarantined),
                ' rows of ',
                quarantined.feed,
                '/',
                quarantined.source,
                ': ',
                quarantined.reason
            ) as found,
            cast(null as decimal(18, 6)) as stake,
            sum(quarantined.rows_quarantined) as units,
            'quarantined_rows names file, line and raw text' as evidence,
            'Have the source correct the rows and deliver the file again.' as action
        from quarantined
        where quarantined.feed not in ('usage', 'heartbeat')
        group by {{ period_of("quarantined.snapshot_date") }}, quarantined.feed, quarantined.source, quarantined.reason
    )

{% for finding in [
        "missing_files",
        "missing_comparison_files",
        "refused_file",
        "registry_gap",
        "quarantined_rows",
        "shared_quarantined_rows",
    ] -%}
    select *
    from {{ finding }}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
