{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days", "firewall_evidence"],
        contract={"enforced": false},
    )
}}

{{ firewalls_heard("firewall_evidence") }}
