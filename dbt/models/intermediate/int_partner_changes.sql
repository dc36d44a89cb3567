{#
    Each day a customer's partner changed, and whether the registry held a transfer with all three
    approvals by then or at any later day (R14).
#}
with
    customers as (select * from {{ ref("int_customers") }}),

    transfers as (select * from {{ ref("int_transfers") }}),

    followed as (
        select
            customer_id,
            lag(partner_id) over (partition by customer_id order by valid_from) as from_partner_id,
            partner_id as to_partner_id,
            valid_from as changed_on
        from customers
    ),

    changes as (select * from followed where from_partner_id <> to_partner_id),

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
