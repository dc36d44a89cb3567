{# The days each (customer, product, device, user) was active in each window. #}
with
    windows as (select * from {{ ref("int_windows") }}),

    activity as (select * from {{ ref("int_usage_activity") }}),

    masked as (
        select
            windows.window_id,
            windows.window_ends_on,
            windows.device_user_attribution,
            activity.customer_id,
            activity.product_code,
            activity.device_id,
            activity.user_id,
            activity.activity_month,
            {{
                days_in_window(
                    "activity.active_days",
                    "activity.activity_month",
                    "windows.window_starts_on",
                    "windows.window_ends_on",
                )
            }} as active_days,
            activity.active_days as month_days,
            activity.last_evidence
        from windows
        inner join
            activity
            on activity.activity_month between {{ month_of("windows.window_starts_on") }} and windows.window_ends_on
    )

select
    * except (month_days, last_evidence),
    {{ latest_day("active_days", "activity_month") }} as last_active_on,
    {# The stored evidence is the latest day's of the whole month: it serves when the window holds that day. #}
    case when length(bin(active_days)) = length(bin(month_days)) then last_evidence end as last_evidence
from masked
where active_days <> 0
