{# The policies in force, one typed column each; what moving one costs stands beside it in the seed. #}
select
    max(case when policy = 'active_window_days' then cast(value as integer) end) as active_window_days,
    max(case when policy = 'device_user_attribution' then value end) as device_user_attribution,
    {# A seed from before they were policies, and the documents made of it, went by the older ways. #}
    coalesce(max(case when policy = 'firewall_evidence' then value end), 'latest') as firewall_evidence,
    coalesce(max(case when policy = 'replaced_hardware' then value end), 'each') as replaced_hardware,
    max(case when policy = 'clock_skew_minutes' then cast(value as integer) end) as clock_skew_minutes,
    max(case when policy = 'trial_days' then cast(value as integer) end) as trial_days,
    max(case when policy = 'correction_periods' then cast(value as integer) end) as correction_periods,
    max(case when policy = 'recomputed_periods' then cast(value as integer) end) as recomputed_periods,
    max(case when policy = 'release' then value end) as release,
    max(case when policy = 'issue_days' then cast(value as integer) end) as issue_days
from {{ source("reference", "policies") }}
