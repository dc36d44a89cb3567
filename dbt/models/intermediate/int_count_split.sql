{#
    Portal and PSA against our quantities for every drafted period: each compared customer and product with the causes
    its difference splits into. The rule is in the macro `split_counts`, which the function split_differences uses too.
#}
{%- set counts -%}
    select *, cast(null as string) as partner_id from {{ ref("int_other_counts") }}
{%- endset -%}

{{
    split_counts(
        counts=counts,
        accounts=ref("int_customer_accounts"),
        quantities=ref("int_quantities"),
        candidates=ref("int_count_candidates"),
        device_activity=ref("int_usage_activity"),
        firewall_activity=ref("int_heartbeat_activity"),
        firewall_claims=ref("int_firewall_claims"),
        products=ref("stg_products"),
    )
}}
