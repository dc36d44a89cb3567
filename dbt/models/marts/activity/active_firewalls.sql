{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days"],
        contract={"enforced": false},
    )
}}

{# By the policy in force. #}
{%- set policy_in_force -%}
    (
        select coalesce(max(value), 'latest')
        from {{ source("reference", "policies").include(database=false) }}
        where policy = 'firewall_evidence'
    )
{%- endset -%}

{{ firewalls_heard(policy_in_force) }}
