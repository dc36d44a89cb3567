{#
    The units behind each corrected quantity, by cause: the last roster the period was billed with,
    against the roster as known now (R25). A unit that was in no roster came to be known, or its row
    was taken back, through a late, replaced or retracted file; every other one has the reason it
    was not billed on the side where it was not.
#}
with
    corrections as (select * from {{ ref("int_corrections") }} where quantity <> 0),

    rosters as (select * from {{ ref("stg_issued_rosters") }}),

    roster as (select * from {{ ref("int_roster") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    issued_customers as (select * from {{ ref("stg_issued_customers") }}),

    quantities as (select * from {{ ref("int_quantities") }} where quantity > 0),

    before as (
        select
            rosters.billed_period as period,
            rosters.distributor_id,
            rosters.currency,
            rosters.partner_id,
            rosters.product_code,
            rosters.customer_id,
            rosters.unit_kind,
            rosters.unit_id,
            rosters.is_counted,
            rosters.reason
        from rosters
        semi join
            corrections
            on rosters.billed_period = corrections.period
            and rosters.distributor_id = corrections.distributor_id
            and rosters.product_code = corrections.product_code
            and rosters.customer_id = corrections.customer_id
    ),

    now as (
        select
            roster.period,
            roster.distributor_id,
            customers.currency,
            roster.partner_id,
            roster.product_code,
            roster.customer_id,
            roster.unit_kind,
            roster.unit_id,
            roster.is_active and roster.reason is null as is_counted,
            roster.reason
        from roster
        left join
            customers
            on roster.period = customers.period
            and roster.distributor_id = customers.distributor_id
            and roster.customer_id = customers.customer_id
        semi join
            corrections
            on roster.period = corrections.period
            and roster.distributor_id = corrections.distributor_id
            and roster.product_code = corrections.product_code
            and roster.customer_id = corrections.customer_id
    ),

    {# Without a counterpart under the same partner and currency. #}
    gained as (
        select *, 1 as units
        from now
        anti join
            (select * from before where is_counted) as counted
            on now.period = counted.period
            and now.distributor_id = counted.distributor_id
            and now.currency = counted.currency
            and now.partner_id = counted.partner_id
            and now.product_code = counted.product_code
            and now.customer_id = counted.customer_id
            and now.unit_kind = counted.unit_kind
            and now.unit_id = counted.unit_id
        where now.is_counted
    ),

    lost as (
        select *, -1 as units
        from before
        anti join
            (select * from now where is_counted) as counted
            on before.period = counted.period
            and before.distributor_id = counted.distributor_id
            and before.currency = counted.currency
            and before.partner_id = counted.partner_id
            and before.product_code = counted.product_code
            and before.customer_id = counted.customer_id
            and before.unit_kind = counted.unit_kind
            and before.unit_id = counted.unit_id
        where before.is_counted
    ),

    {# Whom else the customer's use of the product was billed to, or is now. #}
    billed_elsewhere as (
        select billed_period as period, customer_id, product_code, distributor_id, partner_id, currency
        from issued_customers
        group by all
        having sum(quantity) > 0
        union
        select period, customer_id, product_code, distributor_id, partner_id, currency
        from quantities
    ),

    changed as (
        select gained.*, other_side.reason as reason_on_other_side
        from gained
        left join
            before as other_side
            on gained.period = other_side.period
            and gained.distributor_id = other_side.distributor_id
            and gained.product_code = other_side.product_code
            and gained.customer_id = other_side.customer_id
            and gained.unit_kind = other_side.unit_kind
            and gained.unit_id = other_side.unit_id
            and not other_side.is_counted
        union all
        select lost.*, other_side.reason as reason_on_other_side
        from lost
        left join
            now as other_side
            on lost.period = other_side.period
            and lost.distributor_id = other_side.distributor_id
            and lost.product_code = other_side.product_code
            and lost.customer_id = other_side.customer_id
            and lost.unit_kind = other_side.unit_kind
            and lost.unit_id = other_side.unit_id
            and not other_side.is_counted
    ),

    caused as (
        select
            changed.* except (is_counted, reason),
            case
                when changed.reason_on_other_side in ('other_partner_of_record', 'moved_to_other_customer')
                then 'move'
                when changed.reason_on_other_side = 'attributed_to_other_user'
                then 'identity'
                when changed.reason_on_other_side = 'unknown_product'
                then 'retired_product'
                when changed.reason_on_other_side = 'outside_window'
                then 'late_data'
                when changed.reason_on_other_side is not null
                then changed.reason_on_other_side
                when
                    exists (
                        select 1
                        from billed_elsewhere
                        where
                            billed_elsewhere.period = changed.period
                            and billed_elsewhere.customer_id = changed.customer_id
                            and billed_elsewhere.product_code = changed.product_code
                            and (billed_elsewhere.distributor_id, billed_elsewhere.partner_id)
                            <> (changed.distributor_id, changed.partner_id)
                    )
                then 'move'
                when
                    exists (
                        select 1
                        from billed_elsewhere
                        where
                            billed_elsewhere.period = changed.period
                            and billed_elsewhere.customer_id = changed.customer_id
                            and billed_elsewhere.product_code = changed.product_code
                            and billed_elsewhere.currency <> changed.currency
                    )
                then 'currency'
                else 'late_data'
            end as cause
        from changed
    )

select
    caused.period,
    caused.distributor_id,
    caused.currency,
    caused.partner_id,
    caused.product_code,
    caused.customer_id,
    caused.cause,
    cast(sum(caused.units) as bigint) as units
from caused
semi join
    corrections
    on caused.period = corrections.period
    and caused.distributor_id = corrections.distributor_id
    and caused.currency = corrections.currency
    and caused.partner_id = corrections.partner_id
    and caused.product_code = corrections.product_code
    and caused.customer_id = corrections.customer_id
group by all
having sum(caused.units) <> 0
