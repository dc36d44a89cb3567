{# Discrepancies about who was active: unlicensed, unknown, silent, moved (R8–R10, R13). #}
with
    roster as (select * from {{ ref("int_roster") }}),

    list_prices as (select * from {{ ref("int_list_prices") }}),

    firewalls as (select * from {{ ref("int_active_firewalls") }}),

    claims as (select * from {{ ref("int_firewall_claims") }} where licence_type = 'monthly'),

    customers as (select * from {{ ref("int_customers_of_period") }}),

    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    units as (select * from {{ ref("int_active_units") }}),

    firewalls_in_window as (select * from {{ ref("int_firewalls_in_window") }}),

    registered as (select distinct customer_id from {{ ref("int_customers") }}),

    placed as (
        select distinct customer_partners.customer_id
        from {{ ref("int_customer_partners") }} as customer_partners
        inner join
            {{ ref("stg_distributors") }} as distributors
            on customer_partners.distributor_id = distributors.distributor_id
    ),

    serials_licensed as (select distinct serial_number from {{ ref("int_licences") }} where serial_number is not null),

    firewall_price as (
        select list_prices.period, list_prices.distributor_id, min(list_prices.list_price) as list_price
        from list_prices
        inner join {{ ref("stg_products") }} as products using (product_code)
        where products.billing_unit = 'firewall'
        group by list_prices.period, list_prices.distributor_id
    ),

    unlicensed_usage as (
        select
            'unlicensed_usage' as kind,
            'warning' as severity,
            roster.period,
            roster.distributor_id,
            roster.partner_id,
            roster.customer_id,
            roster.product_code,
            '' as subject,
            'a licence' as expected,
            concat(count(*), ' active units, no licence') as found,
            count(*) * any_value(list_prices.list_price) as stake,
            'roster rows with reason unlicensed' as evidence,
            'Register the licence the customer uses, or have the product removed.' as action
        from roster
        left join
            list_prices
            on roster.period = list_prices.period
            and roster.distributor_id = list_prices.distributor_id
            and roster.product_code = list_prices.product_code
        where roster.is_active and roster.reason = 'unlicensed' and roster.unit_kind <> 'firewall'
        group by roster.period, roster.distributor_id, roster.partner_id, roster.customer_id, roster.product_code
    ),

    firewall_unlicensed as (
        select
            'firewall_unlicensed' as kind,
            'warning' as severity,
            roster.period,
            roster.distributor_id,
            roster.partner_id,
            roster.customer_id,
            roster.product_code,
            roster.unit_id as subject,
            'EnterpriseGuard or FullGuard, monthly' as expected,
            concat('firewall ', roster.unit_id, ' active, last on ', roster.last_active_on) as found,
            firewall_price.list_price as stake,
            'heartbeat in the window, no billing licence on the serial' as evidence,
            'Order the zero-cost billing licence for this serial; until then its use is not billed.' as action
        from roster
        left join
            firewall_price
            on roster.period = firewall_price.period
            and roster.distributor_id = firewall_price.distributor_id
        where roster.is_active and roster.reason = 'unlicensed' and roster.unit_kind = 'firewall'
    ),

    firewall_silent as (
        select
            'firewall_silent' as kind,
            'info' as severity,
            claims.period,
            claims.distributor_id,
            customers.partner_id,
            claims.customer_id,
            claims.product_code,
            claims.serial_number as subject,
            'a heartbeat in the window' as expected,
            concat('firewall ', claims.serial_number, ' licensed, silent') as found,
            cast(0 as decimal(18, 6)) as stake,
            'monthly licence without a heartbeat in the window' as evidence,
            'Nothing is billed. Check whether the firewall is out of service.' as action
        from claims
        inner join
            customers
            on claims.period = customers.period
            and claims.distributor_id = customers.distributor_id
            and claims.customer_id = customers.customer_id
        anti join
            firewalls
            on claims.period = firewalls.period
            and claims.distributor_id = firewalls.distributor_id
            and claims.serial_number = firewalls.serial_number
    ),

    heartbeat_customer_differs as (
        select
            'heartbeat_customer_differs' as kind,
            'warning' as severity,
            firewalls.period,
            firewalls.distributor_id,
            customers.partner_id,
            firewalls.customer_id,
            firewalls.product_code,
            firewalls.serial_number as subject,
            'heartbeats under the licensed customer' as expected,
            concat('firewall ', firewalls.serial_number, ' reports under another customer') as found,
            cast(0 as decimal(18, 6)) as stake,
            'latest heartbeat in the window' as evidence,
            'Billed to the licensed customer. Correct the registration of the firewall.' as action
        from firewalls
        inner join
            customers
            on firewalls.period = customers.period
            and firewalls.distributor_id = customers.distributor_id
            and firewalls.customer_id = customers.customer_id
        where firewalls.customer_id <> firewalls.heartbeat_customer_id
    ),

    firewall_two_products as (
        select
            'firewall_two_products' as kind,
            'warning' as severity,
            claims.period,
            any_value(claims.distributor_id) as distributor_id,
            any_value(customers.partner_id) as partner_id,
            min(claims.customer_id) as customer_id,
            cast(null as varchar) as product_code,
            claims.serial_number as subject,
            'one billing licence at a time' as expected,
            concat('firewall ', claims.serial_number, ' licensed for ', count(*), ' products') as found,
            cast(0 as decimal(18, 6)) as stake,
            'overlapping monthly licences' as evidence,
            'A unit of each is billed. End the licence that is not meant.' as action
        from claims
        inner join
            customers
            on claims.period = customers.period
            and claims.distributor_id = customers.distributor_id
            and claims.customer_id = customers.customer_id
        group by claims.period, claims.serial_number
        having count(*) > 1
    ),

    device_moved as (
        select
            'device_moved' as kind,
            'info' as severity,
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            '' as subject,
            'devices that stay with one customer' as expected,
            concat(count(*), ' units active here and later elsewhere') as found,
            cast(0 as decimal(18, 6)) as stake,
            'roster rows with reason moved_to_other_customer' as evidence,
            'Counted where the device was active last. Nothing to do unless the move is a mistake.' as action
        from roster
        where reason = 'moved_to_other_customer'
        group by period, distributor_id, partner_id, customer_id, product_code
    ),

    orphan_usage as (
        select
            'orphan_usage' as kind,
            'warning' as severity,
            period_windows.period,
            cast(null as varchar) as distributor_id,
            cast(null as varchar) as partner_id,
            units.customer_id,
            units.product_code,
            '' as subject,
            'a customer the registry knows' as expected,
            concat(count(distinct units.unit_id), ' active units of an unknown customer') as found,
            cast(null as decimal(18, 6)) as stake,
            'usage rows' as evidence,
            'Find out whose customer this is; register it or have the source corrected.' as action
        from period_windows
        inner join units on period_windows.window_id = units.window_id
        anti join registered on units.customer_id = registered.customer_id
        group by period_windows.period, units.customer_id, units.product_code
    ),

    {# Known to the registry, but its partner, or that partner's distributor, is not. #}
    unknown_partner as (
        select
            'unknown_partner' as kind,
            'warning' as severity,
            period_windows.period,
            cast(null as varchar) as distributor_id,
            cast(null as varchar) as partner_id,
            units.customer_id,
            cast(null as varchar) as product_code,
            '' as subject,
            'a partner and distributor that are known' as expected,
            concat(
                count(distinct{'product_code':units.product_code, 'unit_id':units.unit_id}),
                ' active units of a customer nobody can be billed for'
            ) as found,
            cast(null as decimal(18, 6)) as stake,
            'customers and partners snapshots, distributors reference data' as evidence,
            'Have the partner registered, or add its distributor to seeds/distributors.csv.' as action
        from period_windows
        inner join units on period_windows.window_id = units.window_id
        inner join registered on units.customer_id = registered.customer_id
        anti join placed on units.customer_id = placed.customer_id
        group by period_windows.period, units.customer_id
    ),

    orphan_heartbeat as (
        select
            'orphan_heartbeat' as kind,
            'warning' as severity,
            period_windows.period,
            cast(null as varchar) as distributor_id,
            cast(null as varchar) as partner_id,
            min(firewalls_in_window.customer_id) as customer_id,
            cast(null as varchar) as product_code,
            firewalls_in_window.serial_number as subject,
            'a serial or customer the registry knows' as expected,
            concat('firewall ', firewalls_in_window.serial_number, ' of nobody') as found,
            cast(null as decimal(18, 6)) as stake,
            'heartbeat rows' as evidence,
            'Find out whose firewall this is; register it or have the source corrected.' as action
        from period_windows
        inner join firewalls_in_window on period_windows.window_id = firewalls_in_window.window_id
        anti join registered on firewalls_in_window.customer_id = registered.customer_id
        anti join serials_licensed on firewalls_in_window.serial_number = serials_licensed.serial_number
        group by period_windows.period, firewalls_in_window.serial_number
    )

{% for finding in [
        "unlicensed_usage",
        "firewall_unlicensed",
        "firewall_silent",
        "heartbeat_customer_differs",
        "firewall_two_products",
        "device_moved",
        "orphan_usage",
        "unknown_partner",
        "orphan_heartbeat",
    ] -%}
    select *
    from {{ finding }}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
