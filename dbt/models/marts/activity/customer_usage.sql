{#
    Active units per customer and product on the cut-offs of the drafted periods and on the latest
    date, whether licensed or not. For any other date: active_users() and active_firewalls().
#}
with
    windows as (select * from {{ ref("int_windows") }}),

    policies as (select * from {{ ref("stg_policies") }}),

    units as (select * from {{ ref("int_active_units") }}),

    firewalls as (select * from {{ ref("int_firewalls_in_window") }}),

    licences as (select * from {{ ref("int_licences") }} where serial_number is not null),

    reported as (
        select windows.*
        from windows
        inner join
            policies
            on windows.device_user_attribution = policies.device_user_attribution
            and windows.firewall_evidence = policies.firewall_evidence
        where windows.window_starts_on = {{ window_starts_on("windows.window_ends_on", "policies.active_window_days") }}
    ),

    {# Under the policy `any` a shared device stands behind several users and is still one device. #}
    devices as (
        select window_id, customer_id, product_code, count(distinct device_id) as active_devices
        from {{ ref("int_unit_activity") }}
        where not is_moved
        group by window_id, customer_id, product_code
    ),

    counted_units as (
        select
            reported.window_ends_on,
            reported.window_starts_on,
            units.customer_id,
            units.product_code,
            units.billing_unit,
            units.unit_id,
            devices.active_devices
        from reported
        inner join units on reported.window_id = units.window_id
        left join
            devices
            on units.window_id = devices.window_id
            and units.customer_id = devices.customer_id
            and units.product_code = devices.product_code
    ),

    {# A firewall's product and customer are its licence's on that date; without one it is unassigned. #}
    licensed_firewalls as (
        select
            reported.window_ends_on,
            reported.window_starts_on,
            coalesce(licences.customer_id, firewalls.customer_id) as customer_id,
            coalesce(licences.product_code, 'firewall_unassigned') as product_code,
            firewalls.serial_number
        from reported
        inner join firewalls on reported.window_id = firewalls.window_id
        left join
            licences
            on firewalls.serial_number = licences.serial_number
            and reported.window_ends_on between licences.valid_from and licences.valid_to
            and reported.window_ends_on between licences.starts_on and coalesce(licences.ends_on, date '9999-12-31')
        where firewalls.operating_system = 'SFOS'
    )

select
    window_ends_on as as_of,
    window_starts_on,
    customer_id,
    product_code,
    billing_unit,
    count(*) as active_units,
    max(active_devices) as active_devices
from counted_units
group by window_ends_on, window_starts_on, customer_id, product_code, billing_unit
union all
select
    window_ends_on as as_of,
    window_starts_on,
    customer_id,
    product_code,
    'firewall' as billing_unit,
    count(distinct serial_number) as active_units,
    count(distinct serial_number) as active_devices
from licensed_firewalls
group by window_ends_on, window_starts_on, customer_id, product_code
