{#
    Licences that may not be billed without a decision (R15, R16): a monthly licence outside the
    Flex programme, in an excluded territory, or of a partner that resells under another. A country
    that is none of ISO 3166-1 (`UK`, `gb`) may be an excluded one misspelt, and is as one. A waiver
    `bill` lifts the block; open or `exclude`, the units stay unbilled.
#}
with
    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    periods as (select * from {{ ref("int_billing_periods") }}),

    licences as (
        select distinct period, distributor_id, customer_id, product_code
        from {{ ref("int_licences_in_period") }}
        where is_of_record and licence_type = 'monthly'
    ),

    programmes as (select * from {{ ref("stg_programmes") }}),

    territories as (select * from {{ ref("stg_excluded_territories") }}),

    waivers as (select * from {{ ref("stg_waivers") }}),

    licensed as (
        select
            customers.period,
            customers.distributor_id,
            customers.partner_id,
            customers.customer_id,
            licences.product_code,
            customers.programme,
            programmes.bills_monthly,
            customers.country,
            territories.country is not null as is_excluded_territory,
            not {{ is_country("customers.country") }} as is_no_country,
            {{ meant_country("customers.country") }} as meant_country,
            customers.parent_partner_id
        from customers
        inner join
            licences
            on customers.period = licences.period
            and customers.distributor_id = licences.distributor_id
            and customers.customer_id = licences.customer_id
        inner join periods on customers.period = periods.period and customers.distributor_id = periods.distributor_id
        left join programmes on customers.programme = programmes.programme
        left join
            territories
            on customers.country = territories.country
            and {{ valid_on("territories", "periods.cutoff_on") }}
    ),

    blocks as (
        select
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            'monthly_outside_flex' as kind,
            'outside_flex' as reason,
            'no monthly licence under this programme' as expected,
            concat_ws('', 'monthly licence under ', programme) as found
        from licensed
        where programme = 'connect'
        union all
        select
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            'excluded_territory' as kind,
            'excluded_territory' as reason,
            'a partner outside the excluded territories' as expected,
            concat_ws(
                '',
                'partner in ',
                country,
                case when is_no_country then ', which is no country of ISO 3166-1' end,
                case
                    when is_no_country and {{ is_country("meant_country") }}
                    then concat_ws('', ' (', meant_country, '?)')
                end
            ) as found
        from licensed
        where (is_excluded_territory or is_no_country) and (bills_monthly or programme = 'connect')
        union all
        select
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            'partner_resale' as kind,
            'partner_resale' as reason,
            'a partner that buys for its own customers' as expected,
            concat_ws('', 'resells under partner ', parent_partner_id) as found
        from licensed
        where parent_partner_id is not null and (bills_monthly or programme = 'connect')
    ),

    identified as (
        select
            *,
            {{
                discrepancy_id(
                    "kind",
                    "period",
                    ["distributor_id", "partner_id", "customer_id", "product_code"],
                    "expected",
                    "found",
                )
            }} as discrepancy_id
        from blocks
    )

select identified.*, waivers.decision
from identified
left join waivers on identified.discrepancy_id = waivers.discrepancy_id
