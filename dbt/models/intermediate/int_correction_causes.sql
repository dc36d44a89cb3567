{#
    Why each correction is what it is (R25), in units and money that add up to it exactly. Units are
    worth what one is worth as known now, or was when none is left; the rest of the amount is a
    changed price list, another price band for units that stayed, or a cent moved between customers
    (`reallocation`).
#}
with
    corrections as (select * from {{ ref("int_corrections") }}),

    units as (select * from {{ ref("int_correction_units") }}),

    issued_lines as (select * from {{ ref("stg_issued_lines") }}),

    lines as (select * from {{ ref("int_priced_lines") }}),

    price_bands as (select * from {{ ref("stg_price_bands") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    {# The prices a partner's product was billed with last. #}
    last_priced as (
        select billed_period as period, distributor_id, currency, partner_id, product_code, unit_price, bands
        from issued_lines
        where bands <> '[]'
        qualify
            row_number() over (
                partition by billed_period, distributor_id, currency, partner_id, product_code order by sequence desc
            )
            = 1
    ),

    billed_bands as (
        select
            last_priced.period,
            last_priced.distributor_id,
            last_priced.currency,
            last_priced.partner_id,
            last_priced.product_code,
            {{
                exploded(
                    parsed_json_list(
                        "last_priced.bands",
                        {"min_quantity": "bigint", "max_quantity": "bigint", "unit_price": "decimal(18,6)"},
                    )
                )
            }} as band
        from last_priced
    ),

    repriced as (
        select distinct
            billed_bands.period,
            billed_bands.distributor_id,
            billed_bands.currency,
            billed_bands.partner_id,
            billed_bands.product_code
        from billed_bands
        inner join
            periods on billed_bands.period = periods.period and billed_bands.distributor_id = periods.distributor_id
        left join
            price_bands
            on billed_bands.product_code = price_bands.product_code
            and billed_bands.currency = price_bands.currency
            and {{ valid_on("price_bands", "periods.cutoff_on") }}
            and billed_bands.band.min_quantity = price_bands.min_quantity
            and billed_bands.band.max_quantity is not distinct from price_bands.max_quantity
            and billed_bands.band.unit_price = price_bands.unit_price
        where price_bands.product_code is null
    ),

    billed_lines as (
        select
            billed_period as period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            cast(sum(quantity) as bigint) as quantity
        from issued_lines
        group by all
    ),

    {# A difference nobody's unit explains would be a fault of the rosters: it is shown, never hidden. #}
    with_remainder as (
        select period, distributor_id, currency, partner_id, product_code, customer_id, cause, units
        from units
        union all
        select
            corrections.period,
            corrections.distributor_id,
            corrections.currency,
            corrections.partner_id,
            corrections.product_code,
            corrections.customer_id,
            'unexplained' as cause,
            corrections.quantity - coalesce(sum(units.units), 0) as units
        from corrections
        left join
            units
            on corrections.period = units.period
            and corrections.distributor_id = units.distributor_id
            and corrections.currency = units.currency
            and corrections.partner_id = units.partner_id
            and corrections.product_code = units.product_code
            and corrections.customer_id = units.customer_id
        group by
            corrections.period,
            corrections.distributor_id,
            corrections.currency,
            corrections.partner_id,
            corrections.product_code,
            corrections.customer_id,
            corrections.quantity
        having corrections.quantity <> coalesce(sum(units.units), 0)
    ),

    in_minor_units as (
        select
            corrections.period,
            corrections.distributor_id,
            corrections.currency,
            corrections.partner_id,
            corrections.product_code,
            corrections.customer_id,
            corrections.minor_units,
            with_remainder.cause,
            with_remainder.units,
            case
                when corrections.known_quantity > 0 then corrections.known_quantity else corrections.billed_quantity
            end as worth_quantity,
            case
                when corrections.known_quantity > 0
                then {{ in_minor_units("corrections.known_amount", "corrections.minor_units") }}
                else {{ in_minor_units("corrections.billed_amount", "corrections.minor_units") }}
            end as worth_minor_amount
        from corrections
        inner join
            with_remainder
            on corrections.period = with_remainder.period
            and corrections.distributor_id = with_remainder.distributor_id
            and corrections.currency = with_remainder.currency
            and corrections.partner_id = with_remainder.partner_id
            and corrections.product_code = with_remainder.product_code
            and corrections.customer_id = with_remainder.customer_id
    ),

    {# Rounded half away from zero, in whole minor units: (2ab + n) / 2n of the absolute value. #}
    by_units as (
        select
            * except (minor_units, worth_quantity, worth_minor_amount),
            {{
                from_minor_units(
                    "sign(units) * "
                    ~ whole_quotient(
                        "cast(2 as " ~ wide_integer() ~ ") * abs(units) * worth_minor_amount + worth_quantity",
                        "cast(2 as " ~ wide_integer() ~ ") * worth_quantity",
                    ),
                    "minor_units",
                )
            }} as amount
        from in_minor_units
    ),

    rest as (
        select
            corrections.period,
            corrections.distributor_id,
            corrections.currency,
            corrections.partner_id,
            corrections.product_code,
            corrections.customer_id,
            cast(corrections.amount - coalesce(sum(by_units.amount), 0) as decimal(18, 3)) as amount
        from corrections
        left join
            by_units
            on corrections.period = by_units.period
            and corrections.distributor_id = by_units.distributor_id
            and corrections.currency = by_units.currency
            and corrections.partner_id = by_units.partner_id
            and corrections.product_code = by_units.product_code
            and corrections.customer_id = by_units.customer_id
        group by
            corrections.period,
            corrections.distributor_id,
            corrections.currency,
            corrections.partner_id,
            corrections.product_code,
            corrections.customer_id,
            corrections.amount
        having corrections.amount <> coalesce(sum(by_units.amount), 0)
    )

select period, distributor_id, currency, partner_id, product_code, customer_id, cause, units, amount
from by_units
union all
select
    rest.period,
    rest.distributor_id,
    rest.currency,
    rest.partner_id,
    rest.product_code,
    rest.customer_id,
    case
        when repriced.product_code is not null
        then 'price'
        when lines.pricing_model = 'volume' and last_priced.unit_price <> lines.unit_price
        then 'price_band'
        when lines.pricing_model = 'graduated' and billed_lines.quantity <> lines.quantity
        then 'price_band'
        else 'reallocation'
    end as cause,
    0 as units,
    rest.amount
from rest
left join
    repriced
    on rest.period = repriced.period
    and rest.distributor_id = repriced.distributor_id
    and rest.currency = repriced.currency
    and rest.partner_id = repriced.partner_id
    and rest.product_code = repriced.product_code
left join
    billed_lines
    on rest.period = billed_lines.period
    and rest.distributor_id = billed_lines.distributor_id
    and rest.currency = billed_lines.currency
    and rest.partner_id = billed_lines.partner_id
    and rest.product_code = billed_lines.product_code
left join
    last_priced
    on rest.period = last_priced.period
    and rest.distributor_id = last_priced.distributor_id
    and rest.currency = last_priced.currency
    and rest.partner_id = last_priced.partner_id
    and rest.product_code = last_priced.product_code
left join
    lines
    on rest.period = lines.period
    and rest.distributor_id = lines.distributor_id
    and rest.currency = lines.currency
    and rest.partner_id = lines.partner_id
    and rest.product_code = lines.product_code
