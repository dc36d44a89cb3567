{#
    The licences in effect on at least one day of a customer's period (R11), with the first and last
    such day. Closed days do not count, nor what only a snapshot after the cut-off says.
#}
with
    customers_of_period as (select * from {{ ref("int_customers_of_period") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    licences as (select * from {{ ref("int_licences") }}),

    closures as (select * from {{ ref("int_customer_closures") }}),

    overlapping as (
        select
            customers_of_period.period,
            customers_of_period.distributor_id,
            customers_of_period.customer_id,
            customers_of_period.is_of_record,
            licences.licence_id,
            licences.product_code,
            licences.licence_type,
            licences.owner,
            licences.quantity,
            licences.serial_number,
            licences.starts_on,
            licences.ends_on,
            greatest(licences.valid_from, licences.starts_on, periods.period_starts_on) as in_effect_from,
            least(licences.valid_to, coalesce(licences.ends_on, date '9999-12-31'), periods.cutoff_on) as in_effect_to
        from customers_of_period
        inner join
            periods
            on customers_of_period.period = periods.period
            and customers_of_period.distributor_id = periods.distributor_id
        inner join
            licences
            on customers_of_period.customer_id = licences.customer_id
            and licences.asserted_on <= periods.cutoff_on
    ),

    with_closed_days as (
        select
            overlapping.period,
            overlapping.distributor_id,
            overlapping.customer_id,
            overlapping.is_of_record,
            overlapping.licence_id,
            overlapping.product_code,
            overlapping.licence_type,
            overlapping.owner,
            overlapping.quantity,
            overlapping.serial_number,
            overlapping.starts_on,
            overlapping.ends_on,
            overlapping.in_effect_from,
            overlapping.in_effect_to,
            coalesce(
                sum(
                    {{
                        days_between(
                            "greatest(overlapping.in_effect_from, closures.closed_from)",
                            "least(overlapping.in_effect_to, closures.closed_to)",
                        )
                    }} + 1
                ) filter (where closures.customer_id is not null),
                0
            ) as closed_days
        from overlapping
        left join
            closures
            on overlapping.customer_id = closures.customer_id
            and closures.closed_from <= overlapping.in_effect_to
            and closures.closed_to >= overlapping.in_effect_from
        where overlapping.in_effect_from <= overlapping.in_effect_to
        group by all
    )

select * except (closed_days)
from with_closed_days
where {{ days_between("in_effect_from", "in_effect_to") }} + 1 > closed_days
