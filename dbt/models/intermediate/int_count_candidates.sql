{#
    By which units another count of a customer's product would differ from ours if it were made in another way that
    the roster knows of: one row per cause, way and unit, with the units that way adds (positive) or leaves out.
    `counted_from` and `counted_to` bound the dates of counting it can hold for. Other dates and windows are counted
    when two counts are compared: they depend on the other side's date.
#}
with
    accounts as (select * from {{ ref("int_customer_accounts") }}),

    of_record as (select * from accounts where is_of_record),

    elsewhere as (select * from accounts where not is_of_record),

    roster as (select * from {{ ref("int_roster") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    unit_activity as (
        select * from {{ ref("int_unit_activity") }} where window_id in (select window_id from period_windows)
    ),

    licences as (select * from {{ ref("int_licences") }} where licence_type = 'monthly'),

    closures as (select * from {{ ref("int_customer_closures") }}),

    products as (select * from {{ ref("stg_products") }}),

    claims as (select * from {{ ref("int_firewall_claims") }}),

    time_zone_units as (select * from {{ ref("int_time_zone_units") }}),

    first_known as (select * from {{ ref("int_units_known_late") }}),

    counted as (select * from roster where is_active and reason is null),

    {# Active and not billed: each reason is one cause. #}
    not_billed as (
        select
            period,
            distributor_id,
            customer_id,
            product_code,
            {{ cause_of_reason("reason") }} as cause,
            reason as way,
            unit_id,
            1 as units,
            last_active_on
        from roster
        where
            is_active
            and reason in (
                'trial',
                'term',
                'unlicensed',
                'outside_flex',
                'legacy_programme',
                'excluded_territory',
                'partner_resale'
            )
    ),

    {#
        A firewall without a licence has no product. Another list shows it under the one firewall product the customer
        is licensed for, or under any when it is licensed for none.
    #}
    firewall_products as (
        select
            periods.period,
            periods.distributor_id,
            of_record.customer_id,
            products.product_code,
            count(distinct claims.product_code) as is_licensed,
            sum(count(distinct claims.product_code)) over (
                partition by periods.period, periods.distributor_id, of_record.customer_id
            ) as licensed_products
        from periods
        inner join of_record on periods.period = of_record.period and periods.distributor_id = of_record.distributor_id
        inner join products on products.billing_unit = 'firewall' and {{ valid_on("products", "periods.cutoff_on") }}
        left join
            claims
            on periods.period = claims.period
            and periods.distributor_id = claims.distributor_id
            and of_record.customer_id = claims.customer_id
            and products.product_code = claims.product_code
        group by periods.period, periods.distributor_id, of_record.customer_id, products.product_code
    ),

    unlicensed_firewalls as (
        select
            not_billed.period,
            not_billed.distributor_id,
            not_billed.customer_id,
            firewall_products.product_code,
            'unlicensed' as cause,
            'unlicensed' as way,
            not_billed.unit_id,
            1 as units,
            not_billed.last_active_on
        from not_billed
        inner join
            firewall_products
            on not_billed.period = firewall_products.period
            and not_billed.distributor_id = firewall_products.distributor_id
            and not_billed.customer_id = firewall_products.customer_id
        where
            not_billed.product_code = 'firewall_unassigned'
            and (
                firewall_products.licensed_products = 0
                or (firewall_products.licensed_products = 1 and firewall_products.is_licensed = 1)
            )
    ),

    {# Counting boxes: every member of a pair, UTM 9, and the one whose licence went to another. #}
    boxes as (
        select
            period,
            distributor_id,
            customer_id,
            product_code,
            'identity' as cause,
            'boxes' as way,
            unit_id,
            1 as units,
            last_active_on
        from roster
        where is_active and reason in ('ha_member', 'not_sfos', 'replaced_hardware')
    ),

    users as (
        select *, {{ fingerprint(["window_id", "customer_id", "product_code", "unit_id"]) }} as unit_fingerprint
        from unit_activity
        where unit_kind = 'user' and not is_moved
    ),

    {# A user with one row has one device. #}
    repeated_users as (select unit_fingerprint from users group by unit_fingerprint having count(*) > 1),

    {# Counting devices: each device of a user beyond the first. #}
    devices_of_unit as (
        select
            period_windows.period,
            period_windows.distributor_id,
            users.customer_id,
            users.product_code,
            users.unit_id,
            count(distinct users.device_id) as device_count,
            max(users.last_active_on) as last_active_on
        from period_windows
        inner join users on period_windows.window_id = users.window_id
        semi join repeated_users on users.unit_fingerprint = repeated_users.unit_fingerprint
        group by all
    ),

    devices as (
        select
            period,
            distributor_id,
            customer_id,
            product_code,
            'identity' as cause,
            'devices' as way,
            unit_id,
            device_count - 1 as units,
            last_active_on
        from devices_of_unit
        where device_count > 1
    ),

    {# Counting every user a device was active with. #}
    every_user as (
        select
            period,
            distributor_id,
            customer_id,
            product_code,
            'identity' as cause,
            'every_user' as way,
            unit_id,
            1 as units,
            last_active_on
        from roster
        where not is_active and reason = 'attributed_to_other_user'
    ),

    {# R8 the other way: a device counts where it was before it moved, and so not where it is now. #}
    moved_away as (
        select period, distributor_id, customer_id, product_code, unit_id, 1 as units, last_active_on
        from roster
        where not is_active and reason = 'moved_to_other_customer'
    ),

    devices_moved as (select distinct window_id, product_code, device_id from unit_activity where is_moved),

    {# Few units have a device that moved: of the others no device is looked at. #}
    units_with_moved as (
        select distinct
            unit_activity.window_id, unit_activity.customer_id, unit_activity.product_code, unit_activity.unit_id
        from unit_activity
        semi join devices_moved using (window_id, product_code, device_id)
        where not unit_activity.is_moved
    ),

    moved_here as (
        select
            period_windows.period,
            period_windows.distributor_id,
            unit_activity.customer_id,
            unit_activity.product_code,
            unit_activity.unit_id,
            -1 as units,
            max(unit_activity.last_active_on) as last_active_on
        from period_windows
        inner join unit_activity on period_windows.window_id = unit_activity.window_id
        inner join
            counted
            on period_windows.period = counted.period
            and period_windows.distributor_id = counted.distributor_id
            and unit_activity.customer_id = counted.customer_id
            and unit_activity.product_code = counted.product_code
            and unit_activity.unit_id = counted.unit_id
        left join
            devices_moved
            on unit_activity.window_id = devices_moved.window_id
            and unit_activity.product_code = devices_moved.product_code
            and unit_activity.device_id = devices_moved.device_id
        semi join
            units_with_moved
            on unit_activity.window_id = units_with_moved.window_id
            and unit_activity.customer_id = units_with_moved.customer_id
            and unit_activity.product_code = units_with_moved.product_code
            and unit_activity.unit_id = units_with_moved.unit_id
        where not unit_activity.is_moved
        group by
            period_windows.period,
            period_windows.distributor_id,
            unit_activity.customer_id,
            unit_activity.product_code,
            unit_activity.unit_id
        having bool_and(devices_moved.device_id is not null)
    ),

    moves as (
        select *, 'move' as cause, 'where_it_was' as way
        from moved_away
        union all
        select *, 'move' as cause, 'where_it_was' as way
        from moved_here
        union all
        {# Counted on both sides: differs from the above only where devices came as well. #}
        select moved_away.*, 'move' as cause, 'on_both_sides' as way
        from moved_away
        semi join moved_here using (period, distributor_id, customer_id, product_code)
    ),

    {# Counting by the days of another time zone: only on our own date can it be told. #}
    time_zones_of_devices as (
        select
            period_windows.period,
            period_windows.distributor_id,
            time_zone_units.customer_id,
            time_zone_units.product_code,
            time_zone_units.time_zone as way,
            time_zone_units.unit_id,
            time_zone_units.units
        from period_windows
        inner join time_zone_units on period_windows.window_id = time_zone_units.window_id
        where time_zone_units.customer_id is not null
    ),

    passive_members as (
        select period, distributor_id, unit_id from roster where reason in ('ha_member', 'replaced_hardware')
    ),

    time_zones_of_firewalls as (
        select
            period_windows.period,
            period_windows.distributor_id,
            claims.customer_id,
            claims.product_code,
            time_zone_units.time_zone as way,
            time_zone_units.unit_id,
            time_zone_units.units
        from period_windows
        inner join time_zone_units on period_windows.window_id = time_zone_units.window_id
        inner join
            claims
            on period_windows.period = claims.period
            and period_windows.distributor_id = claims.distributor_id
            and time_zone_units.unit_id = claims.serial_number
        anti join
            passive_members
            on period_windows.period = passive_members.period
            and period_windows.distributor_id = passive_members.distributor_id
            and time_zone_units.unit_id = passive_members.unit_id
        where time_zone_units.customer_id is null
    ),

    time_zones as (
        select
            zoned.*,
            'time_zone' as cause,
            cast(null as date) as last_active_on,
            periods.cutoff_on as counted_from,
            periods.cutoff_on as counted_to
        from
            (
                select *
                from time_zones_of_devices
                union all
                select *
                from time_zones_of_firewalls
            ) as zoned
        inner join periods on zoned.period = periods.period and zoned.distributor_id = periods.distributor_id
    ),

    {# No file that was there when they counted names the unit. #}
    late_data as (
        select
            counted.period,
            counted.distributor_id,
            counted.customer_id,
            counted.product_code,
            'late_data' as cause,
            'known_later' as way,
            counted.unit_id,
            -1 as units,
            counted.last_active_on,
            {{ first_of("counted.active_on") }} as counted_from,
            {{ add_days("first_known.first_known_on", "-1") }} as counted_to
        from counted
        inner join
            first_known
            on counted.period = first_known.period
            and counted.distributor_id = first_known.distributor_id
            and counted.customer_id = first_known.customer_id
            and counted.product_code = first_known.product_code
            and counted.unit_kind = first_known.unit_kind
            and counted.unit_id = first_known.unit_id
        where {{ first_of("counted.active_on") }} < first_known.first_known_on
    ),

    {# R12 bills the whole period; on the day they counted the licence had not begun, or had ended. #}
    licensed as (
        select
            licences.customer_id,
            licences.product_code,
            min(greatest(licences.valid_from, licences.starts_on)) as licensed_from,
            max(
                least(
                    licences.valid_to,
                    coalesce(licences.ends_on, date '9999-12-31'),
                    coalesce({{ add_days("closures.closed_from", "-1") }}, date '9999-12-31')
                )
            ) as licensed_to
        from licences
        left join
            closures
            on licences.customer_id = closures.customer_id
            and closures.closed_from <= least(licences.valid_to, coalesce(licences.ends_on, date '9999-12-31'))
            and closures.closed_to >= least(licences.valid_to, coalesce(licences.ends_on, date '9999-12-31'))
        group by licences.customer_id, licences.product_code
    ),

    outside_licence as (
        select
            counted.period,
            counted.distributor_id,
            counted.customer_id,
            counted.product_code,
            'cutoff' as cause,
            'not_yet_licensed' as way,
            counted.unit_id,
            -1 as units,
            counted.last_active_on,
            cast(null as date) as counted_from,
            {{ add_days("licensed.licensed_from", "-1") }} as counted_to
        from counted
        inner join licensed using (customer_id, product_code)
        inner join periods using (period, distributor_id)
        where licensed.licensed_from > periods.period_starts_on
        union all
        select
            counted.period,
            counted.distributor_id,
            counted.customer_id,
            counted.product_code,
            'cutoff' as cause,
            'no_longer_licensed' as way,
            counted.unit_id,
            -1 as units,
            counted.last_active_on,
            {{ add_days("licensed.licensed_to", "1") }} as counted_from,
            cast(null as date) as counted_to
        from counted
        inner join licensed using (customer_id, product_code)
        inner join periods using (period, distributor_id)
        where licensed.licensed_to < date '9999-12-31'
    ),

    known_here as (
        {% for found in ["not_billed", "unlicensed_firewalls", "boxes", "devices", "every_user", "moves"] %}
            select
                period,
                distributor_id,
                customer_id,
                product_code,
                cause,
                way,
                unit_id,
                units,
                last_active_on,
                cast(null as date) as counted_from,
                cast(null as date) as counted_to
            from {{ found }}
            union all
        {% endfor %}
        {% for found in ["time_zones", "late_data", "outside_licence"] %}
            select
                period,
                distributor_id,
                customer_id,
                product_code,
                cause,
                way,
                unit_id,
                units,
                last_active_on,
                counted_from,
                counted_to
            from {{ found }}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    {# What another partner, or another distributor, is billed for: all of it counts there. #}
    billed_elsewhere as (
        select
            elsewhere.period,
            elsewhere.distributor_id,
            elsewhere.partner_id,
            roster.customer_id,
            roster.product_code,
            'move' as cause,
            'billed_elsewhere' as way,
            roster.unit_id,
            1 as units,
            roster.last_active_on,
            cast(null as date) as counted_from,
            cast(null as date) as counted_to
        from elsewhere
        inner join
            roster
            on elsewhere.period = roster.period
            and elsewhere.distributor_id = roster.distributor_id
            and elsewhere.customer_id = roster.customer_id
        where roster.is_active and coalesce(roster.reason, 'other_partner_of_record') = 'other_partner_of_record'
    ),

    candidates as (
        select
            known_here.period,
            known_here.distributor_id,
            of_record.partner_id,
            known_here.customer_id,
            known_here.product_code,
            known_here.cause,
            known_here.way,
            known_here.unit_id,
            known_here.units,
            known_here.last_active_on,
            known_here.counted_from,
            known_here.counted_to
        from known_here
        inner join of_record using (period, distributor_id, customer_id)
        union all
        select *
        from billed_elsewhere
    )

select
    period,
    distributor_id,
    partner_id,
    customer_id,
    product_code,
    cause,
    way,
    unit_id,
    cast(units as bigint) as units,
    last_active_on,
    counted_from,
    counted_to
from candidates
