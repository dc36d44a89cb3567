{# Discrepancies about quantities and prices: portal, PSA, swing, missing price (R18). #}
with
    matched as (select * from {{ ref("int_three_way_match") }}),

    psa_strays as (select * from {{ ref("int_psa_strays") }}),

    list_prices as (select * from {{ ref("int_list_prices") }}),

    lines as (select * from {{ ref("int_priced_lines") }}),

    quantities as (select * from {{ ref("int_quantities") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    {# What a difference comes of, for its evidence: `cutoff +2, unexplained -1`. #}
    causes as (
        select
            against,
            period,
            distributor_id,
            customer_id,
            product_code,
            {{
                joined_texts(
                    "concat_ws('', cause, case when units > 0 then ' +' else ' ' end, units)",
                    ", ",
                    cause_order("cause"),
                )
            }} as causes
        from {{ ref("int_count_split") }}
        where cause is not null
        group by against, period, distributor_id, customer_id, product_code
    ),

    {# Before a period is over nothing is compared. #}
    ended as (select period, distributor_id from periods where is_complete),

    bounds as (
        select
            max(
                case when bound = 'largest_swing_percent' then cast(value as decimal(18, 3)) end
            ) as largest_swing_percent,
            max(case when bound = 'smallest_swing_units' then cast(value as decimal(18, 3)) end) as smallest_swing_units
        from {{ ref("stg_safety_bounds") }}
    ),

    portal_mismatch as (
        select
            'portal_mismatch' as kind,
            'warning' as severity,
            matched.period,
            matched.distributor_id,
            matched.partner_id,
            matched.customer_id,
            matched.product_code,
            '' as subject,
            concat_ws('', matched.warehouse_quantity, ' units') as expected,
            concat_ws('', 'portal shows ', matched.portal_quantity, ' on ', matched.portal_snapshot_date) as found,
            abs(matched.warehouse_quantity - matched.portal_quantity) * list_prices.list_price as stake,
            abs(matched.warehouse_quantity - matched.portal_quantity) as units,
            concat_ws('', 'portal_usage snapshot: ', causes.causes) as evidence,
            'The roster names every unit; compare it with the portal''s list for this customer.' as action
        from matched
        inner join ended on matched.period = ended.period and matched.distributor_id = ended.distributor_id
        left join
            list_prices
            on matched.period = list_prices.period
            and matched.distributor_id = list_prices.distributor_id
            and matched.product_code = list_prices.product_code
        left join
            causes
            on causes.against = 'portal'
            and matched.period = causes.period
            and matched.distributor_id = causes.distributor_id
            and matched.customer_id = causes.customer_id
            and matched.product_code = causes.product_code
        where matched.warehouse_quantity <> matched.portal_quantity
    ),

    psa_mismatch as (
        select
            'psa_mismatch' as kind,
            'warning' as severity,
            matched.period,
            matched.distributor_id,
            matched.partner_id,
            matched.customer_id,
            matched.product_code,
            '' as subject,
            concat_ws('', matched.warehouse_quantity, ' units') as expected,
            concat_ws('', 'the partner''s agreement bills ', matched.psa_quantity) as found,
            abs(matched.warehouse_quantity - matched.psa_quantity) * list_prices.list_price as stake,
            abs(matched.warehouse_quantity - matched.psa_quantity) as units,
            concat_ws('', 'psa_additions snapshot: ', causes.causes) as evidence,
            'Change the agreement''s addition to the billed quantity.' as action
        from matched
        inner join ended on matched.period = ended.period and matched.distributor_id = ended.distributor_id
        left join
            list_prices
            on matched.period = list_prices.period
            and matched.distributor_id = list_prices.distributor_id
            and matched.product_code = list_prices.product_code
        left join
            causes
            on causes.against = 'psa'
            and matched.period = causes.period
            and matched.distributor_id = causes.distributor_id
            and matched.customer_id = causes.customer_id
            and matched.product_code = causes.product_code
        where matched.warehouse_quantity <> matched.psa_quantity
    ),

    {# Billed to a customer that is billed nothing here: what ended there too was forgotten. #}
    strays_by_product as (
        select
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            psa,
            company_id,
            is_company_unknown,
            max(counted_on) as counted_on,
            cast(sum(quantity) as bigint) as quantity,
            cast(sum(quantity * unit_price) as decimal(18, 2)) as price
        from psa_strays
        group by period, distributor_id, partner_id, customer_id, product_code, psa, company_id, is_company_unknown
    ),

    ended_months as (select period from periods group by period having bool_and(is_complete)),

    psa_strays_found as (
        select
            case when strays.is_company_unknown then 'unknown_psa_company' else 'psa_without_licence' end as kind,
            'warning' as severity,
            strays.period,
            strays.distributor_id,
            strays.partner_id,
            strays.customer_id,
            strays.product_code,
            concat_ws('', strays.psa, ' ', strays.company_id) as subject,
            case
                when strays.is_company_unknown
                then 'a customer for every company of the PSA'
                else 'no agreement that bills it: there is no licence in the period'
            end as expected,
            concat_ws(
                '',
                'the partner''s agreement bills ',
                strays.quantity,
                ', for ',
                strays.price,
                ' at its own prices, on ',
                strays.counted_on
            ) as found,
            {# Of an unknown company of several partners' PSA there is no list price: no currency is known. #}
            strays.quantity * list_prices.list_price as stake,
            strays.quantity as units,
            'psa_additions snapshot, psa_companies reference data' as evidence,
            case
                when strays.is_company_unknown
                then 'Add the company to seeds/psa_companies.csv, or have the partner end its addition.'
                else 'Have the partner end the agreement''s addition, or register the licence that is still used.'
            end as action
        from strays_by_product as strays
        left join ended on strays.period = ended.period and strays.distributor_id = ended.distributor_id
        left join ended_months on strays.period = ended_months.period and strays.distributor_id is null
        left join
            list_prices
            on strays.period = list_prices.period
            and strays.distributor_id = list_prices.distributor_id
            and strays.product_code = list_prices.product_code
        where ended.period is not null or ended_months.period is not null
    ),

    {# R18: no version, or two, of a price in effect on the cut-off. #}
    price_problems as (
        select
            case when reached_bands = 0 then 'price_missing' else 'price_ambiguous' end as kind,
            'blocking' as severity,
            period,
            distributor_id,
            partner_id,
            cast(null as string) as customer_id,
            product_code,
            '' as subject,
            concat_ws('', 'one price in ', currency) as expected,
            concat_ws('', reached_bands, ' prices for ', quantity, ' units') as found,
            cast(null as decimal(18, 6)) as stake,
            cast(null as bigint) as units,
            'price_bands reference data' as evidence,
            'Add or correct the price band in seeds/price_bands.csv.' as action
        from lines
        where reached_bands <> 1
    ),

    swings as (
        select
            quantities.period,
            quantities.distributor_id,
            quantities.partner_id,
            quantities.product_code,
            sum(quantities.quantity) as quantity,
            sum(quantities.quantity - quantities.joined + quantities.left_since) as previous_quantity
        from quantities
        group by quantities.period, quantities.distributor_id, quantities.partner_id, quantities.product_code
    ),

    swing as (
        select
            'swing' as kind,
            'blocking' as severity,
            swings.period,
            swings.distributor_id,
            swings.partner_id,
            cast(null as string) as customer_id,
            swings.product_code,
            '' as subject,
            concat_ws(
                '', 'within ', cast(bounds.largest_swing_percent as integer), '% of ', swings.previous_quantity
            ) as expected,
            concat_ws('', swings.quantity, ' units') as found,
            abs(swings.quantity - swings.previous_quantity) * list_prices.list_price as stake,
            cast(null as bigint) as units,
            'units of this window and of the one before' as evidence,
            'Check that no file is missing or doubled and that the change is real; then waive: bill.' as action
        from swings
        inner join ended on swings.period = ended.period and swings.distributor_id = ended.distributor_id
        cross join bounds
        left join
            list_prices
            on swings.period = list_prices.period
            and swings.distributor_id = list_prices.distributor_id
            and swings.product_code = list_prices.product_code
        where
            swings.previous_quantity > 0
            and abs(swings.quantity - swings.previous_quantity) >= bounds.smallest_swing_units
            and abs(swings.quantity - swings.previous_quantity) * 100
            > swings.previous_quantity * bounds.largest_swing_percent
    )

{% for finding in ["portal_mismatch", "psa_mismatch", "psa_strays_found", "price_problems", "swing"] -%}
    select *
    from {{ finding }}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
