{{
    config(
        materialized="table_function",
        parameters=["this_period", "that_period", "of_distributor", "of_partner"],
        contract={"enforced": false},
    )
}}

{#
    Two of our own periods unit by unit, of one distributor and partner or, where these are null, of all. A unit
    counted in one of them only has exactly one cause: what the other period's roster says of it, else that it
    joined (became active) or left (went idle) between the two.

    No catalog name: the function is copied into the published file and reads the tables beside it.
#}
with
    roster as (
        select * from {{ ref("draft_roster").include(database=false) }} where period in (this_period, that_period)
    ),

    counted as (
        select
            *,
            distributor_id = coalesce(of_distributor, distributor_id)
            and partner_id = coalesce(of_partner, partner_id) as is_asked_for
        from roster
        where is_counted
    ),

    sides as (
        select
            *,
            case when period = this_period then 'ours' else 'theirs' end as side,
            case when period = this_period then that_period else this_period end as other_period
        from counted
        where is_asked_for
    ),

    both_sides as (
        select sides.*
        from sides
        semi join
            sides as other
            on sides.other_period = other.period
            and sides.customer_id = other.customer_id
            and sides.product_code = other.product_code
            and sides.unit_id = other.unit_id
        where sides.side = 'ours'
    ),

    one_side as (
        select sides.*
        from sides
        anti join
            sides as other
            on sides.other_period = other.period
            and sides.customer_id = other.customer_id
            and sides.product_code = other.product_code
            and sides.unit_id = other.unit_id
    ),

    findings as (
        select
            one_side.*,
            1 as place,
            'move' as cause,
            concat_ws(
                '', 'Billed to partner ', counted.partner_id, ' by ', counted.distributor_id, ' in ', counted.period
            ) as evidence
        from one_side
        inner join
            counted
            on one_side.other_period = counted.period
            and one_side.customer_id = counted.customer_id
            and one_side.product_code = counted.product_code
            and one_side.unit_id = counted.unit_id
            and not counted.is_asked_for
        union all
        select
            one_side.*,
            2 as place,
            {{ cause_of_reason("roster.reason") }} as cause,
            concat_ws('', 'In ', roster.period, ' not billed: ', roster.reason) as evidence
        from one_side
        inner join
            roster
            on one_side.other_period = roster.period
            and one_side.customer_id = roster.customer_id
            and one_side.product_code = roster.product_code
            and one_side.unit_id = roster.unit_id
            and roster.reason <> 'outside_window'
        union all
        select
            one_side.*,
            3 as place,
            'move' as cause,
            concat_ws('', 'Counted for customer ', counted.customer_id, ' in ', counted.period) as evidence
        from one_side
        inner join
            counted
            on one_side.other_period = counted.period
            and one_side.product_code = counted.product_code
            and one_side.unit_id = counted.unit_id
            and one_side.customer_id <> counted.customer_id
        union all
        {# The same device counts in both, for another user, or for one where it had none. #}
        select
            one_side.*,
            4 as place,
            'identity' as cause,
            concat_ws(
                '', 'Its device ', one_side.last_device_id, ' counts as ', counted.unit_id, ' in ', counted.period
            ) as evidence
        from one_side
        inner join
            counted
            on one_side.other_period = counted.period
            and one_side.customer_id = counted.customer_id
            and one_side.product_code = counted.product_code
            and one_side.last_device_id = counted.last_device_id
            and one_side.unit_id <> counted.unit_id
        union all
        select
            one_side.*,
            5 as place,
            case when one_side.period > one_side.other_period then 'joined' else 'left' end as cause,
            concat_ws('', 'Last active on ', one_side.last_active_on, ', idle in ', one_side.other_period) as evidence
        from one_side
    ),

    causes as (
        select *
        from findings
        qualify
            row_number() over (
                partition by side, customer_id, product_code, unit_kind, unit_id order by place, cause, evidence
            )
            = 1
    )

select
    concat_ws('', 'period:', that_period) as against,
    this_period as period,
    distributor_id,
    partner_id,
    customer_id,
    product_code,
    unit_id,
    'both' as side,
    cast(null as string) as cause,
    0 as units,
    cast(null as string) as evidence
from both_sides
union all
select
    concat_ws('', 'period:', that_period) as against,
    this_period as period,
    distributor_id,
    partner_id,
    customer_id,
    product_code,
    unit_id,
    side,
    cause,
    case side when 'theirs' then 1 else -1 end as units,
    evidence
from causes
