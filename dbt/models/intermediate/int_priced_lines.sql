{#
    A line per partner and product (R17, R20): the partner's aggregate picks the band on the cut-off
    (R18); one rounding per line, half away from zero (R19).
#}
with
    quantities as (select * from {{ ref("int_quantities") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    price_bands as (select * from {{ ref("stg_price_bands") }}),

    currencies as (select * from {{ ref("stg_currencies") }}),

    aggregates as (
        select
            quantities.period,
            quantities.distributor_id,
            quantities.currency,
            quantities.partner_id,
            any_value(quantities.partner_name) as partner_name,
            quantities.product_code,
            any_value(periods.cutoff_on) as cutoff_on,
            any_value(currencies.minor_units) as minor_units,
            cast(sum(quantities.quantity) as bigint) as quantity,
            count(*) filter (where quantities.quantity > 0) as customer_count
        from quantities
        inner join periods on quantities.period = periods.period and quantities.distributor_id = periods.distributor_id
        inner join currencies on quantities.currency = currencies.currency
        group by
            quantities.period,
            quantities.distributor_id,
            quantities.currency,
            quantities.partner_id,
            quantities.product_code
        having sum(quantities.quantity) > 0
    ),

    {# How many of a line's units each band takes: all of them in one band, or each band its own. #}
    banded as (
        select
            aggregates.*,
            price_bands.pricing_model,
            price_bands.min_quantity,
            price_bands.max_quantity,
            price_bands.unit_price,
            aggregates.quantity
            between price_bands.min_quantity and coalesce(price_bands.max_quantity, aggregates.quantity) as is_reached,
            case
                when price_bands.pricing_model = 'graduated'
                then
                    least(aggregates.quantity, coalesce(price_bands.max_quantity, aggregates.quantity))
                    - price_bands.min_quantity
                    + 1
                when
                    aggregates.quantity
                    between price_bands.min_quantity and coalesce(price_bands.max_quantity, aggregates.quantity)
                then aggregates.quantity
                else 0
            end as banded_quantity
        from aggregates
        inner join
            price_bands
            on aggregates.product_code = price_bands.product_code
            and aggregates.currency = price_bands.currency
            and {{ valid_on("price_bands", "aggregates.cutoff_on") }}
            and price_bands.min_quantity <= aggregates.quantity
    ),

    priced as (
        select
            period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            any_value(pricing_model) as pricing_model,
            max(case when is_reached and pricing_model = 'volume' then unit_price end) as unit_price,
            max(case when is_reached then min_quantity end) as band_min,
            max(case when is_reached then max_quantity end) as band_max,
            sum(cast(banded_quantity as bigint) * unit_price) as unrounded_amount,
            count(*) filter (where is_reached) as reached_bands,
            {{
                json_list(
                    {
                        "min_quantity": "min_quantity",
                        "max_quantity": "max_quantity",
                        "unit_price": "cast(unit_price as string)",
                        "quantity": "banded_quantity",
                    },
                    order_by=["min_quantity", "unit_price"],
                    where="banded_quantity > 0",
                )
            }} as bands
        from banded
        group by period, distributor_id, currency, partner_id, product_code
    ),

    {# Without exactly one price none is shown: price_missing or price_ambiguous holds the line. #}
    settled as (select * from priced where reached_bands = 1)

select
    aggregates.period,
    aggregates.distributor_id,
    aggregates.currency,
    aggregates.minor_units,
    aggregates.partner_id,
    aggregates.partner_name,
    aggregates.product_code,
    aggregates.quantity,
    aggregates.customer_count,
    coalesce(priced.reached_bands, 0) as reached_bands,
    settled.pricing_model,
    settled.unit_price,
    settled.band_min,
    settled.band_max,
    settled.band_max + 1 - aggregates.quantity as units_to_next_band,
    settled.bands,
    coalesce(
        {{ round_to_minor_units("settled.unrounded_amount", "aggregates.minor_units") }}, cast(0 as decimal(18, 3))
    ) as amount
from aggregates
left join
    priced
    on aggregates.period = priced.period
    and aggregates.distributor_id = priced.distributor_id
    and aggregates.currency = priced.currency
    and aggregates.partner_id = priced.partner_id
    and aggregates.product_code = priced.product_code
left join
    settled
    on aggregates.period = settled.period
    and aggregates.distributor_id = settled.distributor_id
    and aggregates.currency = settled.currency
    and aggregates.partner_id = settled.partner_id
    and aggregates.product_code = settled.product_code
