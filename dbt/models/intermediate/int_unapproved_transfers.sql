{#
    Partner changes that a drafted period rests on without all three approvals (R14). Until they are
    approved or waived they hold both partners' distributors; excluded by waiver, the customer stays
    with the old partner.
#}
with
    changes as (select * from {{ ref("int_partner_changes") }}),

    periods as (
        select period, max(month_ends_on) as month_ends_on, max(cutoff_on) as latest_cutoff_on
        from {{ ref("int_cutoffs") }}
        where period in (select period from {{ ref("int_billing_periods") }})
        group by period
    ),

    waivers as (select * from {{ ref("stg_waivers") }}),

    unapproved as (
        select
            periods.period,
            changes.customer_id,
            changes.from_partner_id,
            changes.to_partner_id,
            changes.changed_on,
            'approved by both partners and the customer' as expected,
            concat(
                'moved from ', changes.from_partner_id, ' to ', changes.to_partner_id, ' on ', changes.changed_on
            ) as found
        from changes
        inner join
            periods
            on changes.changed_on <= periods.month_ends_on
            and (changes.approved_from is null or changes.approved_from > periods.latest_cutoff_on)
        qualify
            row_number() over (partition by periods.period, changes.customer_id order by changes.changed_on desc) = 1
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
