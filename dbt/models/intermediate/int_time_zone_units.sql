{#
    Units whose presence in a billing window depends on where the day begins: active on the window's first or last
    day, or beside them, and on none between. Per time zone that counts are compared in (variable
    `compared_time_zones`), the units that counting its days would add (1) or lose (-1). A row of the feeds says
    when a device was last active; where an earlier hour of the same day would decide, it is not known.
#}
with
    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    windows as (select * from {{ ref("int_windows") }} where window_id in (select window_id from period_windows)),

    usage as (select * from {{ ref("stg_usage") }}),

    heartbeat as (select * from {{ ref("stg_heartbeat") }} where {{ is_sfos("operating_system") }}),

    devices as (select * from {{ ref("int_devices_in_window") }} where window_id in (select window_id from windows)),

    unit_activity as (
        select * from {{ ref("int_unit_activity") }} where not is_moved and window_id in (select window_id from windows)
    ),

    activity as (select * from {{ ref("int_usage_activity") }}),

    firewalls as (
        select *
        from {{ ref("int_firewalls_in_window") }}
        where operating_system = 'SFOS' and window_id in (select window_id from windows)
    ),

    products as (select * from {{ ref("stg_products") }}),

    zones as (
        {% for zone in var("compared_time_zones") -%}
            select '{{ zone }}' as time_zone
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    edges as (
        select
            window_id,
            {{
                exploded(
                    list_of(
                        [
                            add_days("window_starts_on", "-1"),
                            "window_starts_on",
                            "window_ends_on",
                            add_days("window_ends_on", "1"),
                        ]
                    )
                )
            }} as edge_on
        from windows
    ),

    {# Most rows are older than every window: their blocks are not read. #}
    bounds as (select min(edge_on) as first_edge_on from edges),

    {#
        Few devices are seen beside an edge and on no day between: they are found by their bits, so that
        neither all raw rows nor all devices of a window have to be held.
    #}
    beside_edges as (
        select distinct windows.window_id, activity.product_code, activity.device_id
        from activity
        inner join
            windows
            on activity.activity_month
            between {{ month_of(add_days("windows.window_starts_on", "-1")) }}
            and {{ add_days("windows.window_ends_on", "1") }}
        where
            (
                {{
                    days_in_window(
                        "activity.active_days",
                        "activity.activity_month",
                        add_days("windows.window_starts_on", "-1"),
                        "windows.window_starts_on",
                    )
                }} <> 0
                or {{
                    days_in_window(
                        "activity.active_days",
                        "activity.activity_month",
                        "windows.window_ends_on",
                        add_days("windows.window_ends_on", "1"),
                    )
                }} <> 0
            )
            and {{
                days_in_window(
                    "activity.active_days",
                    "activity.activity_month",
                    add_days("windows.window_starts_on", "1"),
                    add_days("windows.window_ends_on", "-1"),
                )
            }} = 0
    ),

    {# Through another customer, user or month. #}
    active_between as (
        select beside_edges.window_id, beside_edges.product_code, beside_edges.device_id
        from beside_edges
        inner join windows on beside_edges.window_id = windows.window_id
        inner join
            devices
            on beside_edges.window_id = devices.window_id
            and beside_edges.product_code = devices.product_code
            and beside_edges.device_id = devices.device_id
        where
            {{
                days_in_window(
                    "devices.active_days",
                    "devices.activity_month",
                    add_days("windows.window_starts_on", "1"),
                    add_days("windows.window_ends_on", "-1"),
                )
            }} <> 0
    ),

    devices_at_edges_only as (
        select window_id, product_code, device_id
        from beside_edges
        anti join active_between using (window_id, product_code, device_id)
    ),

    {# Repeated by every later snapshot. #}
    at_edges_only as (
        select distinct
            edges.window_id, usage.customer_id, usage.product_code, usage.device_id, usage.user_id, usage.last_active_at
        from usage
        inner join edges on usage.active_on = edges.edge_on
        inner join
            devices_at_edges_only
            on edges.window_id = devices_at_edges_only.window_id
            and usage.product_code = devices_at_edges_only.product_code
            and usage.device_id = devices_at_edges_only.device_id
        where usage.last_active_at >= (select first_edge_on from bounds)
    ),

    in_zone as (
        select
            zones.time_zone,
            windows.window_ends_on,
            windows.device_user_attribution,
            at_edges_only.* except (last_active_at),
            {{ date_in_zone("at_edges_only.last_active_at", "zones.time_zone") }} as active_on
        from at_edges_only
        inner join windows on at_edges_only.window_id = windows.window_id
        cross join zones
        where
            {{ date_in_zone("at_edges_only.last_active_at", "zones.time_zone") }}
            between windows.window_starts_on and windows.window_ends_on
    ),

    {# R8 and R6, by the days of the zone. #}
    under_one_customer as (
        select *
        from in_zone
        qualify
            customer_id = first_value(customer_id) over (
                partition by time_zone, window_id, product_code, device_id order by active_on desc, customer_id
            )
    ),

    with_user as (
        select
            *,
            first_value(user_id) over (
                partition by time_zone, window_id, customer_id, product_code, device_id
                order by user_id is null, active_on desc, user_id
            ) as latest_user_id
        from under_one_customer
    ),

    counted_in_zone as (
        select distinct
            with_user.time_zone,
            with_user.window_id,
            with_user.customer_id,
            with_user.product_code,
            case
                when coalesce(products.billing_unit, 'user') <> 'user'
                then with_user.device_id
                when with_user.device_user_attribution = 'any'
                then coalesce(with_user.user_id, with_user.latest_user_id, with_user.device_id)
                else coalesce(with_user.latest_user_id, with_user.device_id)
            end as unit_id
        from with_user
        left join
            products
            on with_user.product_code = products.product_code
            and {{ valid_on("products", "with_user.window_ends_on") }}
        where products.billing_unit is distinct from 'firewall'
    ),

    {# What the same devices are counted as by UTC days, and what counts through other devices anyway. #}
    devices_with_times as (select distinct window_id, product_code, device_id from at_edges_only),

    counted_through_edges as (
        select distinct
            unit_activity.window_id, unit_activity.customer_id, unit_activity.product_code, unit_activity.unit_id
        from unit_activity
        inner join
            devices_with_times
            on unit_activity.window_id = devices_with_times.window_id
            and unit_activity.product_code = devices_with_times.product_code
            and unit_activity.device_id = devices_with_times.device_id
    ),

    counted_through_others as (
        select counted_through_edges.*
        from counted_through_edges
        inner join
            unit_activity
            on counted_through_edges.window_id = unit_activity.window_id
            and counted_through_edges.customer_id = unit_activity.customer_id
            and counted_through_edges.product_code = unit_activity.product_code
            and counted_through_edges.unit_id = unit_activity.unit_id
        anti join
            devices_with_times
            on unit_activity.window_id = devices_with_times.window_id
            and unit_activity.product_code = devices_with_times.product_code
            and unit_activity.device_id = devices_with_times.device_id
    ),

    gained as (
        select time_zone, window_id, customer_id, product_code, unit_id, 1 as units
        from counted_in_zone
        anti join unit_activity using (window_id, customer_id, product_code, unit_id)
    ),

    counted_at_edges_only as (
        select *
        from counted_through_edges
        anti join counted_through_others using (window_id, customer_id, product_code, unit_id)
    ),

    lost as (
        select
            zones.time_zone,
            counted_at_edges_only.window_id,
            counted_at_edges_only.customer_id,
            counted_at_edges_only.product_code,
            counted_at_edges_only.unit_id,
            -1 as units
        from counted_at_edges_only
        cross join zones
        anti join
            counted_in_zone
            on zones.time_zone = counted_in_zone.time_zone
            and counted_at_edges_only.window_id = counted_in_zone.window_id
            and counted_at_edges_only.customer_id = counted_in_zone.customer_id
            and counted_at_edges_only.product_code = counted_in_zone.product_code
            and counted_at_edges_only.unit_id = counted_in_zone.unit_id
    ),

    {# A firewall is its own unit; whose it is, its licence says. #}
    heartbeat_at_edges as (
        select distinct edges.window_id, heartbeat.serial_number, heartbeat.last_heartbeat_at
        from heartbeat
        inner join edges on heartbeat.active_on = edges.edge_on
        where heartbeat.last_heartbeat_at >= (select first_edge_on from bounds)
    ),

    {# Whether any day between is among the active ones: the window's own days without its first and last. #}
    firewalls_between as (
        select firewalls.window_id, firewalls.serial_number
        from firewalls
        inner join windows on firewalls.window_id = windows.window_id
        where {{ any_between("firewalls.active_on", "windows.window_starts_on", "windows.window_ends_on") }}
    ),

    firewalls_in_zone as (
        select distinct zones.time_zone, heartbeat_at_edges.window_id, heartbeat_at_edges.serial_number
        from heartbeat_at_edges
        inner join windows on heartbeat_at_edges.window_id = windows.window_id
        cross join zones
        anti join
            firewalls_between
            on heartbeat_at_edges.window_id = firewalls_between.window_id
            and heartbeat_at_edges.serial_number = firewalls_between.serial_number
        where
            {{ date_in_zone("heartbeat_at_edges.last_heartbeat_at", "zones.time_zone") }}
            between windows.window_starts_on and windows.window_ends_on
    ),

    firewalls_gained as (
        select time_zone, window_id, serial_number as unit_id, 1 as units
        from firewalls_in_zone
        anti join firewalls using (window_id, serial_number)
    ),

    firewalls_lost as (
        select zones.time_zone, firewalls.window_id, firewalls.serial_number as unit_id, -1 as units
        from firewalls
        cross join zones
        anti join
            firewalls_between
            on firewalls.window_id = firewalls_between.window_id
            and firewalls.serial_number = firewalls_between.serial_number
        anti join
            firewalls_in_zone
            on zones.time_zone = firewalls_in_zone.time_zone
            and firewalls.window_id = firewalls_in_zone.window_id
            and firewalls.serial_number = firewalls_in_zone.serial_number
    )

select time_zone, window_id, customer_id, product_code, unit_id, units
from gained
union all
select time_zone, window_id, customer_id, product_code, unit_id, units
from lost
union all
select time_zone, window_id, cast(null as string) as customer_id, cast(null as string) as product_code, unit_id, units
from firewalls_gained
union all
select time_zone, window_id, cast(null as string) as customer_id, cast(null as string) as product_code, unit_id, units
from firewalls_lost
