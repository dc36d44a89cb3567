{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days"],
        contract={"enforced": false},
    )
}}

{#
    By the policy in force. No catalog name: the function is copied into the published file and asks what stands
    beside it.
#}
select *
from
    {{ ref("firewalls_by_evidence").include(database=false) }} (
        as_of,
        window_days,
        (
            select coalesce(max(value), 'latest')
            from {{ source("reference", "policies").include(database=false) }}
            where policy = 'firewall_evidence'
        )
    )
