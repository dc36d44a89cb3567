{#
    Who is billed for a customer in a month (R14): its partner on the earliest cut-off among the
    distributors it had during the calendar month. Programme, country and currency are read on that
    day; the partner's distributor bills the month with its own cut-off and window. One that has not
    begun, or has ended, on its cut-off bills nobody: such a customer has no partner of record.
#}
with
    customer_partners as (select * from {{ ref("int_customer_partners") }}),

    cutoffs as (select * from {{ ref("int_cutoffs") }}),

    unapproved as (select * from {{ ref("int_unapproved_transfers") }}),

    distributors as (select * from {{ ref("stg_distributors") }}),

    drafted as (select distinct period from {{ ref("int_billing_periods") }}),

    in_month as (
        select cutoffs.period, customer_partners.customer_id, min(cutoffs.cutoff_on) as recorded_on
        from cutoffs
        inner join
            customer_partners
            on cutoffs.distributor_id = customer_partners.distributor_id
            and customer_partners.asserted_on <= cutoffs.month_ends_on
            and customer_partners.valid_from <= cutoffs.month_ends_on
            and customer_partners.valid_to >= cutoffs.month_starts_on
        where cutoffs.period in (select period from drafted)
        group by cutoffs.period, customer_partners.customer_id
    ),

    {# The day whose state decides: an excluded move is not looked through, but looked behind. #}
    read_on as (
        select
            in_month.*,
            case
                when unapproved.decision = 'exclude' and unapproved.changed_on <= in_month.recorded_on
                then {{ add_days("unapproved.changed_on", "-1") }}
                else in_month.recorded_on
            end as read_on
        from in_month
        left join unapproved on in_month.period = unapproved.period and in_month.customer_id = unapproved.customer_id
    )

select
    read_on.period,
    read_on.customer_id,
    customer_partners.customer_name,
    customer_partners.partner_id,
    customer_partners.partner_name,
    customer_partners.distributor_id,
    read_on.recorded_on,
    customer_partners.programme,
    customer_partners.country,
    customer_partners.parent_partner_id,
    distributors.currency
from read_on
inner join
    customer_partners
    on read_on.customer_id = customer_partners.customer_id
    and read_on.read_on between customer_partners.valid_from and customer_partners.valid_to
    {# What only a snapshot after that day says does not touch the period (R11). #}
    and customer_partners.asserted_on <= read_on.recorded_on
inner join
    distributors
    on customer_partners.distributor_id = distributors.distributor_id
    and {{ valid_on("distributors", "read_on.recorded_on") }}
semi join cutoffs on read_on.period = cutoffs.period and customer_partners.distributor_id = cutoffs.distributor_id
