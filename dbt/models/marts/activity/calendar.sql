{# Every date that anything published can be asked for; MetricFlow's time spine. #}
with
    months as (select activity_month from {{ ref("device_activity") }}),

    customers as (select as_of from {{ ref("customer_usage") }}),

    bounds as (
        select
            least((select min(activity_month) from months), (select min(as_of) from customers)) as first_day,
            greatest((select max(as_of) from customers), (select max(activity_month) from months)) as last_day
    )

select {{ date_spine("on_date", "first_day", "last_day", "day") }}
from bounds
