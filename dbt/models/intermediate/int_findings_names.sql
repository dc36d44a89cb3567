{# Discrepancies about ids and names: hardware under two ids, twin names, e-mail addresses as ids (R7, R10). #}
with
    roster as (select * from {{ ref("int_roster") }}),

    list_prices as (select * from {{ ref("int_list_prices") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    periods as (select * from {{ ref("int_billing_periods") }}),

    partners as (select * from {{ ref("int_partners") }}),

    {# The device a unit was seen on last; a device or firewall that is a unit by itself is that one. #}
    hardware as (
        select
            roster.period,
            roster.distributor_id,
            roster.partner_id,
            roster.customer_id,
            roster.product_code,
            case when roster.unit_kind = 'firewall' then 'firewall' else roster.product_code end as counted_with,
            roster.unit_id,
            roster.last_device_id,
            {{ hardware_key("roster.last_device_id") }} as hardware_key,
            case when roster.reason is null then list_prices.list_price else 0 end as billed_price
        from roster
        left join
            list_prices
            on roster.period = list_prices.period
            and roster.distributor_id = list_prices.distributor_id
            and roster.product_code = list_prices.product_code
        where roster.is_active
    ),

    fingerprinted_hardware as (
        select
            *,
            {{ fingerprint(["period", "distributor_id", "customer_id", "counted_with", "hardware_key"]) }}
            as hardware_fingerprint
        from hardware
        where hardware_key <> ''
    ),

    {# Nearly every key is of one id: only the others are grouped by it. #}
    shared_keys as (
        select hardware_fingerprint
        from fingerprinted_hardware
        group by hardware_fingerprint
        having min({{ fingerprint(["last_device_id"]) }}) <> max({{ fingerprint(["last_device_id"]) }})
    ),

    {# All but the dearest of the twins may be billed for nothing. #}
    duplicate_hardware as (
        select
            'duplicate_hardware' as kind,
            'warning' as severity,
            period,
            distributor_id,
            min(partner_id) as partner_id,
            customer_id,
            case when min(product_code) = max(product_code) then min(product_code) end as product_code,
            hardware_key as subject,
            'one id for each device or firewall' as expected,
            concat_ws(
                '',
                'ids ',
                {{ distinct_texts("last_device_id", " and ") }},
                ' differ in case, spaces and punctuation only'
            ) as found,
            sum(billed_price) - max(billed_price) as stake,
            count(distinct unit_id) - 1 as units,
            'roster rows of these ids' as evidence,
            'Ask the partner whether this is one machine; if so, have the source send one id for it.' as action
        from fingerprinted_hardware
        semi join shared_keys using (hardware_fingerprint)
        group by period, distributor_id, customer_id, counted_with, hardware_key
        having count(distinct last_device_id) > 1
    ),

    named as (
        select
            'customer' as whose,
            period,
            distributor_id,
            partner_id,
            customer_id,
            customer_id as id,
            customer_name as name,
            {{ name_key("customer_name") }} as name_key
        from customers
        union all
        select
            'partner' as whose,
            periods.period,
            periods.distributor_id,
            partners.partner_id,
            cast(null as string) as customer_id,
            partners.partner_id as id,
            partners.partner_name as name,
            {{ name_key("partners.partner_name") }} as name_key
        from periods
        inner join
            partners
            on periods.distributor_id = partners.distributor_id
            and periods.cutoff_on between partners.valid_from and partners.valid_to
    ),

    twins as (
        select
            period,
            distributor_id,
            whose,
            name_key,
            {{ distinct_texts("id", " and ") }} as ids,
            {{ distinct_texts("name", ", ") }} as names
        from named
        where name_key <> ''
        group by period, distributor_id, whose, name_key
        having count(distinct id) > 1
    ),

    {# Each of the twins is told, as either may be the one that should not be there. #}
    twin_names as (
        select distinct
            'twin_names' as kind,
            'warning' as severity,
            named.period,
            named.distributor_id,
            named.partner_id,
            named.customer_id,
            cast(null as string) as product_code,
            named.id as subject,
            concat_ws('', 'a name of its own for each ', named.whose) as expected,
            concat_ws('', named.whose, 's ', twins.ids, ' have names that read the same: ', twins.names) as found,
            cast(0 as decimal(18, 6)) as stake,
            1 as units,
            concat_ws('', named.whose, 's snapshots') as evidence,
            'Nothing is mixed up, as ids decide; check that it is not one and the same registered twice.' as action
        from named
        inner join
            twins
            on named.period = twins.period
            and named.distributor_id = twins.distributor_id
            and named.whose = twins.whose
            and named.name_key = twins.name_key
    ),

    addresses as (
        select period, distributor_id, partner_id, customer_id, unit_id as id
        from roster
        where {{ looks_like_email("unit_id") }}
        union
        select period, distributor_id, partner_id, customer_id, last_device_id as id
        from roster
        where {{ looks_like_email("last_device_id") }}
    ),

    {# The address itself is not repeated here: it would be kept for years as well. #}
    identifier_is_email as (
        select
            'identifier_is_email' as kind,
            'warning' as severity,
            period,
            distributor_id,
            min(partner_id) as partner_id,
            customer_id,
            cast(null as string) as product_code,
            '' as subject,
            'user and device ids that name nobody' as expected,
            concat_ws('', count(distinct id), ' ids look like e-mail addresses') as found,
            cast(0 as decimal(18, 6)) as stake,
            count(distinct id) as units,
            'roster rows whose unit or device has an @' as evidence,
            'Rosters are kept for years: have the source send ids that do not name a person.' as action
        from addresses
        group by period, distributor_id, customer_id
    )

{% for finding in ["duplicate_hardware", "twin_names", "identifier_is_email"] -%}
    select *
    from {{ finding }}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
