{#
    R14: on any date a customer belongs to one partner, and in any month one partner of record pays for it, through one
    distributor. Two would bill the same use twice. Breaks when stretches of the registry's history overlap.
#}
{{ config(meta={"dagster": {"ref": {"name": "int_customer_partners"}}}) }}

with
    ordered as (
        select
            customer_id,
            partner_id,
            valid_from,
            valid_to,
            lag(valid_to) over (partition by customer_id order by valid_from, valid_to) as previous_valid_to
        from {{ ref("int_customer_partners") }}
    )

select 'overlapping partners' as problem, customer_id, cast(valid_from as string) as since
from ordered
where valid_from <= previous_valid_to or valid_to < valid_from
union all
select 'partners of record' as problem, customer_id, period as since
from {{ ref("int_partners_of_record") }}
group by customer_id, period
having count(*) > 1
union all
select 'billed by several distributors' as problem, customer_id, period as since
from {{ ref("int_customers_of_period") }}
where is_of_record
group by customer_id, period
having count(*) > 1
