{#
    The days a customer is closed (R11): from the day after `closed` first appears, or from the first
    day the registry no longer holds it, until it is active again.
#}
with
    customers as (select * from {{ ref("int_customers") }}),

    stretches as (
        select
            customer_id,
            status,
            valid_from,
            valid_to,
            coalesce(
                lag(status) over by_customer = 'closed'
                or {{ add_days("lag(valid_to) over by_customer", "1") }} < valid_from,
                false
            ) as was_closed,
            coalesce({{ add_days("lead(valid_from) over by_customer", "-1") }}, date '9999-12-31') as next_stretch_eve
        from customers
        window by_customer as (partition by customer_id order by valid_from)
    ),

    closed as (
        select
            customer_id,
            'closed' as cause,
            case
                when was_closed or valid_from = date '0001-01-01' then valid_from else {{ add_days("valid_from", "1") }}
            end as closed_from,
            valid_to as closed_to
        from stretches
        where status = 'closed'
    ),

    vanished as (
        select
            customer_id,
            'vanished' as cause,
            {{ add_days("valid_to", "1") }} as closed_from,
            next_stretch_eve as closed_to
        from stretches
        where valid_to < date '9999-12-31' and next_stretch_eve > valid_to
    )

select *
from closed
where closed_from <= closed_to
union all
select *
from vanished
where closed_from <= closed_to
