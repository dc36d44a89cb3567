{# Discrepancies about who was active: unlicensed, unknown, silent, moved (R4, R8–R10, R13). #}
with
    roster as (select * from {{ ref("int_roster") }}),

    list_prices as (select * from {{ ref("int_list_prices") }}),

    firewalls as (select * from {{ ref("int_active_firewalls") }}),

    licensed_serials as (select * from {{ ref("int_firewall_claims") }}),

    claims as (select * from licensed_serials where licence_type = 'monthly'),

    heartbeat_activity as (select * from {{ ref("int_heartbeat_activity") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    customers as (select * from {{ ref("int_customers_of_period") }}),

    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    units as (select * from {{ ref("int_active_units") }}),

    firewalls_in_window as (select * from {{ ref("int_firewalls_in_window") }}),

    customer_partners as (select * from {{ ref("int_customer_partners") }}),

    cutoffs as (select * from {{ ref("int_cutoffs") }} where period in (select period from periods)),

    {# Whom nobody knew on a cut-off is nobody's in that period, whatever a later snapshot says (R11, R14). #}
    of_record as (select distinct period, customer_id from {{ ref("int_partners_of_record") }}),

    registered as (
        select customer_id, min(asserted_on) as asserted_on from {{ ref("int_customers") }} group by customer_id
    ),

    {# The cut-off that decides (R14). Whose partner leads to no distributor has until the month's last one. #}
    decided_on as (
        select cutoffs.period, customer_partners.customer_id, min(cutoffs.cutoff_on) as cutoff_on
        from cutoffs
        inner join
            customer_partners
            on cutoffs.distributor_id = customer_partners.distributor_id
            and customer_partners.asserted_on <= cutoffs.month_ends_on
            and customer_partners.valid_from <= cutoffs.month_ends_on
            and customer_partners.valid_to >= cutoffs.month_starts_on
        group by cutoffs.period, customer_partners.customer_id
    ),

    last_cutoffs as (select period, max(cutoff_on) as cutoff_on from cutoffs group by period),

    {# Registered by then, but its partner or distributor was not, or no longer: no orphan, see unknown_partner. #}
    unplaced as (
        select last_cutoffs.period, registered.customer_id
        from registered
        inner join last_cutoffs on registered.asserted_on <= last_cutoffs.cutoff_on
        left join
            decided_on on last_cutoffs.period = decided_on.period and registered.customer_id = decided_on.customer_id
        anti join of_record on last_cutoffs.period = of_record.period and registered.customer_id = of_record.customer_id
        where registered.asserted_on <= coalesce(decided_on.cutoff_on, last_cutoffs.cutoff_on)
    ),

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
            concat_ws('', count(*), ' active units, no licence') as found,
            count(*) * any_value(list_prices.list_price) as stake,
            count(*) as units,
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

    silent_claims as (
        select *
        from claims
        anti join
            firewalls
            on claims.period = firewalls.period
            and claims.distributor_id = firewalls.distributor_id
            and claims.serial_number = firewalls.serial_number
    ),

    heard_before_window as (
        select
            silent_claims.period,
            silent_claims.distributor_id,
            silent_claims.serial_number,
            heartbeat_activity.customer_id,
            heartbeat_activity.cluster_id,
            heartbeat_activity.activity_month,
            {{
                days_in_window(
                    "heartbeat_activity.active_days",
                    "heartbeat_activity.activity_month",
                    "heartbeat_activity.activity_month",
                    add_days("periods.window_starts_on", "-1"),
                )
            }} as active_days
        from silent_claims
        inner join
            periods on silent_claims.period = periods.period and silent_claims.distributor_id = periods.distributor_id
        inner join
            heartbeat_activity
            on silent_claims.serial_number = heartbeat_activity.serial_number
            and heartbeat_activity.activity_month < periods.window_starts_on
    ),

    {# What a silent firewall said of itself when it was last heard. #}
    last_words as (
        select period, distributor_id, serial_number, customer_id, cluster_id
        from heard_before_window
        where active_days <> 0
        qualify
            row_number() over (
                partition by period, distributor_id, serial_number
                order by {{ latest_day("active_days", "activity_month") }} desc, customer_id, cluster_id nulls last
            )
            = 1
    ),

    {#
        Active-passive members without a licence whose cluster's licence is on a member not heard in the
        window: the cluster is not counted (R9), yet the licence is there, only on the wrong serial.
    #}
    half_licensed as (
        select
            firewalls.period,
            firewalls.distributor_id,
            firewalls.cluster_id,
            firewalls.serial_number as active_serial_number,
            silent_claims.serial_number as licensed_serial_number,
            silent_claims.customer_id,
            silent_claims.product_code
        from firewalls
        inner join
            last_words
            on firewalls.period = last_words.period
            and firewalls.distributor_id = last_words.distributor_id
            and firewalls.heartbeat_customer_id = last_words.customer_id
            and firewalls.cluster_id = last_words.cluster_id
        inner join
            silent_claims
            on last_words.period = silent_claims.period
            and last_words.distributor_id = silent_claims.distributor_id
            and last_words.serial_number = silent_claims.serial_number
        where firewalls.reason = 'unlicensed' and firewalls.cluster_mode = 'active-passive'
    ),

    ha_licence_silent as (
        select
            'ha_licence_silent' as kind,
            'warning' as severity,
            half_licensed.period,
            half_licensed.distributor_id,
            any_value(customers.partner_id) as partner_id,
            half_licensed.customer_id,
            half_licensed.product_code,
            half_licensed.cluster_id as subject,
            'the licence on a member of the cluster that is active' as expected,
            concat_ws(
                '',
                'cluster ',
                half_licensed.cluster_id,
                ': ',
                {{ distinct_texts("half_licensed.active_serial_number", ", ") }},
                ' active without a licence, ',
                {{ distinct_texts("half_licensed.licensed_serial_number", ", ") }},
                ' licensed and silent'
            ) as found,
            any_value(list_prices.list_price) as stake,
            cast(null as bigint) as units,
            'heartbeats before and in the window' as evidence,
            'Have the billing licence moved to the active member; until then the cluster is not billed.' as action
        from half_licensed
        inner join
            customers
            on half_licensed.period = customers.period
            and half_licensed.distributor_id = customers.distributor_id
            and half_licensed.customer_id = customers.customer_id
        left join
            list_prices
            on half_licensed.period = list_prices.period
            and half_licensed.distributor_id = list_prices.distributor_id
            and half_licensed.product_code = list_prices.product_code
        group by
            half_licensed.period,
            half_licensed.distributor_id,
            half_licensed.customer_id,
            half_licensed.product_code,
            half_licensed.cluster_id
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
            concat_ws('', 'firewall ', roster.unit_id, ' active, last on ', roster.last_active_on) as found,
            firewall_price.list_price as stake,
            cast(null as bigint) as units,
            'heartbeat in the window, no billing licence on the serial' as evidence,
            'Order the zero-cost billing licence for this serial; until then its use is not billed.' as action
        from roster
        left join
            firewall_price
            on roster.period = firewall_price.period
            and roster.distributor_id = firewall_price.distributor_id
        anti join
            half_licensed
            on roster.period = half_licensed.period
            and roster.distributor_id = half_licensed.distributor_id
            and roster.unit_id = half_licensed.active_serial_number
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
            concat_ws('', 'firewall ', claims.serial_number, ' licensed, silent') as found,
            cast(0 as decimal(18, 6)) as stake,
            cast(null as bigint) as units,
            'monthly licence without a heartbeat in the window' as evidence,
            'Nothing is billed. Check whether the firewall is out of service.' as action
        from silent_claims as claims
        inner join
            customers
            on claims.period = customers.period
            and claims.distributor_id = customers.distributor_id
            and claims.customer_id = customers.customer_id
        anti join
            half_licensed
            on claims.period = half_licensed.period
            and claims.distributor_id = half_licensed.distributor_id
            and claims.serial_number = half_licensed.licensed_serial_number
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
            concat_ws('', 'firewall ', firewalls.serial_number, ' reports under another customer') as found,
            cast(0 as decimal(18, 6)) as stake,
            cast(null as bigint) as units,
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
            cast(null as string) as product_code,
            claims.serial_number as subject,
            'one billing licence at a time' as expected,
            concat_ws('', 'firewall ', claims.serial_number, ' licensed for ', count(*), ' products') as found,
            sum(list_prices.list_price) - max(list_prices.list_price) as stake,
            cast(null as bigint) as units,
            'overlapping monthly licences' as evidence,
            'A unit of each is billed. End the licence that is not meant.' as action
        from claims
        inner join
            customers
            on claims.period = customers.period
            and claims.distributor_id = customers.distributor_id
            and claims.customer_id = customers.customer_id
        left join
            list_prices
            on claims.period = list_prices.period
            and claims.distributor_id = list_prices.distributor_id
            and claims.product_code = list_prices.product_code
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
            concat_ws('', count(*), ' units active here and later elsewhere') as found,
            cast(0 as decimal(18, 6)) as stake,
            count(*) as units,
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
            cast(null as string) as distributor_id,
            cast(null as string) as partner_id,
            units.customer_id,
            units.product_code,
            '' as subject,
            'a customer the registry knows' as expected,
            concat_ws('', count(distinct units.unit_id), ' active units of an unknown customer') as found,
            cast(null as decimal(18, 6)) as stake,
            count(distinct units.unit_id) as units,
            'usage rows' as evidence,
            'Find out whose customer this is; register it or have the source corrected.' as action
        from period_windows
        inner join units on period_windows.window_id = units.window_id
        anti join of_record on period_windows.period = of_record.period and units.customer_id = of_record.customer_id
        anti join unplaced on period_windows.period = unplaced.period and units.customer_id = unplaced.customer_id
        group by period_windows.period, units.customer_id, units.product_code
    ),

    {# A serial that a licence claims is its customer's, whoever the heartbeat says it is of (R9). #}
    unclaimed_firewalls as (
        select period_windows.period, firewalls_in_window.customer_id, firewalls_in_window.serial_number
        from period_windows
        inner join firewalls_in_window on period_windows.window_id = firewalls_in_window.window_id
        anti join
            licensed_serials
            on period_windows.period = licensed_serials.period
            and firewalls_in_window.serial_number = licensed_serials.serial_number
    ),

    active_of_customers as (
        select period_windows.period, units.customer_id, units.product_code, units.unit_id
        from period_windows
        inner join units on period_windows.window_id = units.window_id
        union all
        select period, customer_id, 'firewall_unassigned' as product_code, serial_number as unit_id
        from unclaimed_firewalls
    ),

    {# Known to the registry, but its partner, or that partner's distributor, is not, not yet or no longer. #}
    unknown_partner as (
        select
            'unknown_partner' as kind,
            'warning' as severity,
            active_of_customers.period,
            cast(null as string) as distributor_id,
            cast(null as string) as partner_id,
            active_of_customers.customer_id,
            cast(null as string) as product_code,
            '' as subject,
            'a partner and distributor that are known' as expected,
            concat_ws(
                '',
                count(distinct(active_of_customers.product_code, active_of_customers.unit_id)),
                ' active units of a customer nobody can be billed for'
            ) as found,
            cast(null as decimal(18, 6)) as stake,
            count(distinct(active_of_customers.product_code, active_of_customers.unit_id)) as units,
            'customers and partners snapshots, distributors reference data' as evidence,
            'Have the partner registered, or add its distributor to seeds/distributors.csv.' as action
        from active_of_customers
        inner join
            unplaced
            on active_of_customers.period = unplaced.period
            and active_of_customers.customer_id = unplaced.customer_id
        group by active_of_customers.period, active_of_customers.customer_id
    ),

    {# R4: what no row of the reference data describes is counted by nobody and billed to nobody. #}
    unknown_product as (
        select
            'unknown_product' as kind,
            'warning' as severity,
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            '' as subject,
            'a product of the reference data' as expected,
            concat_ws('', count(*), ' active units of ', product_code) as found,
            cast(null as decimal(18, 6)) as stake,
            count(*) as units,
            'roster rows with reason unknown_product' as evidence,
            'Add the product to seeds/products.csv and seeds/price_bands.csv, or have the source correct its code.'
            as action
        from roster
        where reason = 'unknown_product'
        group by period, distributor_id, partner_id, customer_id, product_code
    ),

    orphan_heartbeat as (
        select
            'orphan_heartbeat' as kind,
            'warning' as severity,
            unclaimed_firewalls.period,
            cast(null as string) as distributor_id,
            cast(null as string) as partner_id,
            min(unclaimed_firewalls.customer_id) as customer_id,
            cast(null as string) as product_code,
            unclaimed_firewalls.serial_number as subject,
            'a serial or customer the registry knows' as expected,
            concat_ws('', 'firewall ', unclaimed_firewalls.serial_number, ' of nobody') as found,
            cast(null as decimal(18, 6)) as stake,
            cast(null as bigint) as units,
            'heartbeat rows' as evidence,
            'Find out whose firewall this is; register it or have the source corrected.' as action
        from unclaimed_firewalls
        anti join
            of_record
            on unclaimed_firewalls.period = of_record.period
            and unclaimed_firewalls.customer_id = of_record.customer_id
        anti join
            unplaced
            on unclaimed_firewalls.period = unplaced.period
            and unclaimed_firewalls.customer_id = unplaced.customer_id
        group by unclaimed_firewalls.period, unclaimed_firewalls.serial_number
    )

{% for finding in [
        "unlicensed_usage",
        "firewall_unlicensed",
        "ha_licence_silent",
        "firewall_silent",
        "heartbeat_customer_differs",
        "firewall_two_products",
        "device_moved",
        "orphan_usage",
        "unknown_partner",
        "unknown_product",
        "orphan_heartbeat",
    ] -%}
    select *
    from {{ finding }}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
