{#
    What is split is what the three-way match shows: for all that is billed, count_differences holds the same two
    quantities, found by another path. A difference that only one of both sees would be explained to nobody.
#}
{{ config(meta={"dagster": {"ref": {"name": "count_differences"}}}) }}

with
    matched as (select * from {{ ref("three_way_match") }}),

    by_match as (
        select
            'portal' as against,
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            warehouse_quantity,
            portal_quantity as their_quantity
        from matched
        where portal_quantity is not null
        union all
        select
            'psa' as against,
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            warehouse_quantity,
            psa_quantity as their_quantity
        from matched
        where psa_quantity is not null
    ),

    by_split as (
        select
            differences.against,
            differences.period,
            differences.distributor_id,
            differences.partner_id,
            differences.customer_id,
            differences.product_code,
            differences.our_quantity,
            differences.their_quantity
        from {{ ref("count_differences") }} as differences
        semi join
            matched
            on differences.period = matched.period
            and differences.distributor_id = matched.distributor_id
            and differences.customer_id = matched.customer_id
            and differences.product_code = matched.product_code
    )

    (
        select 'match only' as found_in, *
        from by_match
        except all
        select 'match only' as found_in, *
        from by_split
    )
union all
(
    select 'split only' as found_in, *
    from by_split
    except all
    select 'split only' as found_in, *
    from by_match
)
