{#
    The causes of a difference add up exactly to it, with what nothing explains in a row of its own, and where both
    agree there is none. Whoever settles a dispute by these rows relies on no unit being lost or told twice.
#}
{{ config(meta={"dagster": {"ref": {"name": "difference_causes"}}}) }}

with
    differences as (select * from {{ ref("count_differences") }}),

    explained as (
        select
            against,
            period,
            distributor_id,
            customer_id,
            product_code,
            sum(units) as units,
            count(*) filter (where units = 0) as empty_causes
        from {{ ref("difference_causes") }}
        group by against, period, distributor_id, customer_id, product_code
    )

select
    coalesce(differences.against, explained.against) as against,
    coalesce(differences.period, explained.period) as period,
    coalesce(differences.customer_id, explained.customer_id) as customer_id,
    coalesce(differences.product_code, explained.product_code) as product_code,
    differences.difference,
    explained.units
from differences
full join
    explained
    on differences.against = explained.against
    and differences.period = explained.period
    and coalesce(differences.distributor_id, '') = coalesce(explained.distributor_id, '')
    and differences.customer_id = explained.customer_id
    and differences.product_code = explained.product_code
where
    differences.against is null
    or coalesce(explained.units, 0) <> differences.difference
    or differences.difference <> differences.their_quantity - differences.our_quantity
    or explained.empty_causes > 0
