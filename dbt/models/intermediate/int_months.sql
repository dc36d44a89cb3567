{# The calendar months that data can touch: one before the first usage snapshot's to one after the latest. #}
with
    files as (select * from {{ ref("stg_files") }}),

    bounds as (
        select
            {{ month_of("min(snapshot_date) - interval 1 month") }} as first_month,
            {{ month_of("max(snapshot_date) + interval 1 month") }} as last_month
        from files
        where feed in ('usage', 'heartbeat')
        having count(*) > 0
    ),

    months as (select {{ date_spine("month_starts_on", "first_month", "last_month", "month") }} from bounds)

select {{ period_of("month_starts_on") }} as period, month_starts_on, last_day(month_starts_on) as month_ends_on
from months
