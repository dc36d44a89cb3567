{#
    Whose bill a customer can be looked for on in a drafted period: the partner of record's, and that of every
    other partner, of this distributor or another, that had it during the calendar month (R14).
#}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    customers as (select * from {{ ref("int_customers_of_period") }}),

    customer_partners as (select * from {{ ref("int_customer_partners") }}),

    of_record as (
        select
            period,
            distributor_id,
            partner_id,
            customer_id,
            customer_name,
            cast(null as date) as had_until,
            true as is_of_record
        from customers
        where is_of_record
    ),

    had_it as (
        select
            periods.period,
            periods.distributor_id,
            customer_partners.partner_id,
            customer_partners.customer_id,
            max_by(customer_partners.customer_name, customer_partners.valid_to) as customer_name,
            max(customer_partners.valid_to) as had_until,
            false as is_of_record
        from periods
        inner join
            customer_partners
            on periods.distributor_id = customer_partners.distributor_id
            and customer_partners.asserted_on <= periods.month_ends_on
            and customer_partners.valid_from <= periods.month_ends_on
            and customer_partners.valid_to >= periods.month_starts_on
        group by all
    ),

    accounts as (
        select *
        from of_record
        union all
        select had_it.*
        from had_it
        anti join
            of_record
            on had_it.period = of_record.period
            and had_it.distributor_id = of_record.distributor_id
            and had_it.partner_id = of_record.partner_id
            and had_it.customer_id = of_record.customer_id
    )

select
    accounts.period,
    accounts.distributor_id,
    accounts.partner_id,
    accounts.customer_id,
    accounts.customer_name,
    accounts.is_of_record,
    accounts.had_until,
    of_record.distributor_id as billed_by_distributor_id,
    of_record.partner_id as billed_to_partner_id,
    periods.cutoff_on,
    periods.window_starts_on,
    periods.active_window_days,
    periods.device_user_attribution
from accounts
inner join periods on accounts.period = periods.period and accounts.distributor_id = periods.distributor_id
left join of_record on accounts.period = of_record.period and accounts.customer_id = of_record.customer_id
