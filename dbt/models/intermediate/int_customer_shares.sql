{#
    A line's amount shared among its customers by largest remainder in minor units, ties by customer
    id, so that the shares add up exactly (R17). In proportion to units: the unrounded amounts of
    one line stand in that proportion in either pricing model.
#}
with
    quantities as (select * from {{ ref("int_quantities") }}),

    lines as (select * from {{ ref("int_priced_lines") }}),

    in_minor_units as (
        select
            quantities.period,
            quantities.distributor_id,
            quantities.currency,
            quantities.partner_id,
            quantities.product_code,
            quantities.customer_id,
            lines.minor_units,
            cast({{ in_minor_units("lines.amount", "lines.minor_units") }} as {{ wide_integer() }})
            * quantities.quantity as numerator,
            lines.quantity as line_quantity,
            {{ in_minor_units("lines.amount", "lines.minor_units") }} as line_minor_amount
        from quantities
        inner join
            lines
            on quantities.period = lines.period
            and quantities.distributor_id = lines.distributor_id
            and quantities.currency = lines.currency
            and quantities.partner_id = lines.partner_id
            and quantities.product_code = lines.product_code
    ),

    floored as (select *, {{ whole_quotient("numerator", "line_quantity") }} as floor_amount from in_minor_units),

    ranked as (
        select
            *,
            row_number() over (
                partition by period, distributor_id, currency, partner_id, product_code
                order by numerator % line_quantity desc, customer_id
            ) as remainder_rank,
            line_minor_amount - sum(floor_amount) over (
                partition by period, distributor_id, currency, partner_id, product_code
            ) as left_over
        from floored
    )

select
    period,
    distributor_id,
    currency,
    partner_id,
    product_code,
    customer_id,
    {{ from_minor_units("(floor_amount + case when remainder_rank <= left_over then 1 else 0 end)", "minor_units") }}
    as amount
from ranked
