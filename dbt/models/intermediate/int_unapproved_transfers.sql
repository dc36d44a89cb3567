{#
    Partner changes that a drafted period rests on without all three approvals (R14). Until they are
    approved or waived they hold both partners' distributors; excluded by waiver, the customer stays
    with the old partner. A change counts for a period when it lies before the later cut-off of the
    two distributors concerned and the snapshots up to that day make it (R11). Of several, the first
    since the last approved one is the case: whoever the customer came to through it was never
    entitled to pass it on.
#}
with
    changes as (select * from {{ ref("int_partner_changes") }}),

    partners as (
        select partner_id, distributor_id
        from {{ ref("int_partners") }}
        qualify row_number() over (partition by partner_id order by valid_from desc) = 1
    ),

    cutoffs as (
        select * from {{ ref("int_cutoffs") }} where period in (select period from {{ ref("int_billing_periods") }})
    ),

    waivers as (select * from {{ ref("stg_waivers") }}),

    sides as (
        select changes.customer_id, changes.changed_on, partners.distributor_id
        from changes
        inner join partners on partners.partner_id in (changes.from_partner_id, changes.to_partner_id)
    ),

    decided as (
        select cutoffs.period, sides.customer_id, sides.changed_on, max(cutoffs.cutoff_on) as decided_on
        from sides
        inner join cutoffs on sides.distributor_id = cutoffs.distributor_id
        group by cutoffs.period, sides.customer_id, sides.changed_on
    ),

    in_reach as (
        select
            decided.period,
            changes.*,
            changes.approved_from is not null and changes.approved_from <= decided.decided_on as is_approved
        from decided
        inner join changes on decided.customer_id = changes.customer_id and decided.changed_on = changes.changed_on
        where
            changes.changed_on <= decided.decided_on
            and changes.known_from <= decided.decided_on
            and (changes.known_until is null or changes.known_until > decided.decided_on)
    ),

    since_last_approved as (
        select *
        from in_reach
        qualify
            changed_on > coalesce(
                max(case when is_approved then changed_on end) over (partition by period, customer_id),
                date '0001-01-01'
            )
    ),

    unapproved as (
        select
            period,
            customer_id,
            from_partner_id,
            to_partner_id,
            changed_on,
            'approved by both partners and the customer' as expected,
            concat_ws('', 'moved from ', from_partner_id, ' to ', to_partner_id, ' on ', changed_on) as found
        from since_last_approved
        qualify row_number() over (partition by period, customer_id order by changed_on) = 1
    ),

    identified as (
        select
            *,
            {{ discrepancy_id("'unapproved_transfer'", "period", ["customer_id"], "expected", "found") }}
            as discrepancy_id
        from unapproved
    )

select identified.*, waivers.decision
from identified
left join waivers on identified.discrepancy_id = waivers.discrepancy_id
