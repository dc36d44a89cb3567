{#
    Each day a customer's partner changed, and whether the registry held a transfer with all three
    approvals by then or at any later day (R14).

    A source's first snapshot speaks of the days before it too, so what is known later can add a
    stretch between two others, or make a change long past. `known_from` to before `known_until` are
    the days on which one partner followed the other by the snapshots up to that day: a snapshot
    after a cut-off must not touch the period (R11).
#}
with
    customers as (select * from {{ ref("int_customers") }}),

    transfers as (select * from {{ ref("int_transfers") }}),

    moved as (select customer_id from customers group by customer_id having count(distinct partner_id) > 1),

    stretches as (select customers.* from customers semi join moved on customers.customer_id = moved.customer_id),

    followed as (
        select
            later.customer_id,
            earlier.partner_id as from_partner_id,
            later.partner_id as to_partner_id,
            later.valid_from as changed_on,
            greatest(earlier.asserted_on, later.asserted_on) as known_from,
            min(between_them.asserted_on) as known_until
        from stretches as later
        inner join
            stretches as earlier
            on later.customer_id = earlier.customer_id
            and earlier.valid_from < later.valid_from
            and earlier.partner_id <> later.partner_id
        left join
            stretches as between_them
            on later.customer_id = between_them.customer_id
            and earlier.valid_from < between_them.valid_from
            and between_them.valid_from < later.valid_from
        group by
            later.customer_id,
            earlier.partner_id,
            later.partner_id,
            later.valid_from,
            earlier.valid_from,
            earlier.asserted_on,
            later.asserted_on
    ),

    changes as (select * from followed where known_until is null or known_from < known_until),

    approved as (
        select customer_id, from_partner_id, to_partner_id, min(greatest(valid_from, effective_on)) as approved_from
        from transfers
        where
            current_partner_approved_on is not null
            and new_partner_approved_on is not null
            and customer_approved_on is not null
        group by customer_id, from_partner_id, to_partner_id
    )

select changes.*, approved.approved_from
from changes
left join
    approved
    on changes.customer_id = approved.customer_id
    and changes.from_partner_id = approved.from_partner_id
    and changes.to_partner_id = approved.to_partner_id
