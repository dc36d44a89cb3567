{#
    Every customer a drafted period of a distributor has to do with: those it bills, as partner of
    record, and those it had during the month but another partner of record bills (R14).
#}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    of_record as (select * from {{ ref("int_partners_of_record") }}),

    customer_partners as (select * from {{ ref("int_customer_partners") }}),

    billed_here as (
        select
            periods.period,
            periods.distributor_id,
            of_record.partner_id,
            of_record.partner_name,
            of_record.customer_id,
            of_record.customer_name,
            of_record.currency,
            of_record.programme,
            of_record.country,
            of_record.parent_partner_id,
            true as is_of_record
        from periods
        inner join of_record on periods.period = of_record.period and periods.distributor_id = of_record.distributor_id
    ),

    billed_elsewhere as (
        select
            periods.period,
            periods.distributor_id,
            customer_partners.partner_id,
            customer_partners.partner_name,
            customer_partners.customer_id,
            customer_partners.customer_name,
            cast(null as string) as currency,
            customer_partners.programme,
            customer_partners.country,
            customer_partners.parent_partner_id,
            false as is_of_record
        from periods
        inner join
            customer_partners
            on periods.distributor_id = customer_partners.distributor_id
            and customer_partners.asserted_on <= periods.month_ends_on
            and customer_partners.valid_from <= periods.month_ends_on
            and customer_partners.valid_to >= periods.month_starts_on
        {# Without a partner of record nobody knew the customer on the cut-off: its use is an orphan's (R10). #}
        semi join
            of_record on periods.period = of_record.period and customer_partners.customer_id = of_record.customer_id
        anti join
            billed_here
            on periods.period = billed_here.period
            and periods.distributor_id = billed_here.distributor_id
            and customer_partners.customer_id = billed_here.customer_id
        qualify
            row_number() over (
                partition by periods.period, periods.distributor_id, customer_partners.customer_id
                order by customer_partners.valid_from desc
            )
            = 1
    )

select *
from billed_here
union all
select *
from billed_elsewhere
