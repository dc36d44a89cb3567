{#
    Billing licences whose serial changed inside a period, where the policy `replaced_hardware` is `once`: such a
    licence covers one of its serials, of those active in the window the latest it held (R9). One row per serial and
    serial it held later. Two serials held on one day are no change: two customers share the licence.
#}
with
    periods as (select * from {{ ref("int_billing_periods") }} where replaced_hardware = 'once'),

    products as (select * from {{ ref("stg_products") }} where billing_unit = 'firewall'),

    licences as (select * from {{ ref("int_licences_in_period") }}),

    held as (
        select
            licences.period,
            licences.distributor_id,
            licences.licence_id,
            licences.serial_number,
            licences.in_effect_from,
            licences.in_effect_to
        from licences
        inner join periods on licences.period = periods.period and licences.distributor_id = periods.distributor_id
        where
            licences.is_of_record
            and licences.licence_type = 'monthly'
            and licences.serial_number is not null
            and licences.product_code in (select product_code from products)
    )

select held.period, held.distributor_id, held.licence_id, held.serial_number, later.serial_number as later_serial_number
from held
inner join
    held as later
    on held.period = later.period
    and held.distributor_id = later.distributor_id
    and held.licence_id = later.licence_id
    and held.serial_number <> later.serial_number
group by held.period, held.distributor_id, held.licence_id, held.serial_number, later.serial_number
having
    max(later.in_effect_to) > max(held.in_effect_to)
    and not bool_or(later.in_effect_from <= held.in_effect_to and held.in_effect_from <= later.in_effect_to)
