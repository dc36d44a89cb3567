{#
    R11: on any day the registry says one thing about a key: the stretches of its history do not overlap, and each runs
    forwards. Every join "valid on the day" relies on it; an overlap doubles whatever is counted through it.
#}
{{ config(meta={"dagster": {"ref": {"name": "int_licences"}}}) }}

with
    stretches as (
        select 'customers' as registry, customer_id as key, customer_id, null as partner_id, valid_from, valid_to
        from {{ ref("int_customers") }}
        union all
        select 'partners' as registry, partner_id as key, null as customer_id, partner_id, valid_from, valid_to
        from {{ ref("int_partners") }}
        union all
        select
            'licences' as registry,
            concat_ws('', licence_id, ' ', customer_id) as key,
            customer_id,
            null as partner_id,
            valid_from,
            valid_to
        from {{ ref("int_licences") }}
        union all
        select 'transfers' as registry, transfer_id as key, customer_id, null as partner_id, valid_from, valid_to
        from {{ ref("int_transfers") }}
    ),

    ordered as (
        select *, lag(valid_to) over (partition by registry, key order by valid_from, valid_to) as previous_valid_to
        from stretches
    )

select *
from ordered
where valid_from <= previous_valid_to or valid_to < valid_from
