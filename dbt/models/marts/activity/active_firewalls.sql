{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days"],
        contract={"enforced": false},
    )
}}

-- depends_on: {{ ref("stg_policies") }}
{# By the policy in force, as the published file has it; no staging model is in there. #}
{%- set policy_in_force -%}
    (
        select coalesce(max(value), 'latest')
        from reference.policies
        where policy = 'firewall_evidence'
    )
{%- endset -%}

{{ firewalls_heard(policy_in_force) }}
