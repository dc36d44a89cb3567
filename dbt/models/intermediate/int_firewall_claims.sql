{#
    Which licence claims a firewall's serial in a period (R9): of monthly licences that do not
    overlap in time the latest; of overlapping ones each product once. Without a monthly one, the
    latest term licence, then the latest trial. Of two licences for one product the one that stays with the serial.
#}
with
    products as (select * from {{ ref("stg_products") }} where billing_unit = 'firewall'),

    licences as (
        select *
        from {{ ref("int_licences_in_period") }}
        where is_of_record and serial_number is not null and product_code in (select product_code from products)
    ),

    repointed as (
        select distinct period, distributor_id, licence_id, serial_number from {{ ref("int_repointed_licences") }}
    ),

    monthly as (
        select licences.*, repointed.licence_id is not null as is_repointed
        from licences
        left join
            repointed
            on licences.period = repointed.period
            and licences.distributor_id = repointed.distributor_id
            and licences.licence_id = repointed.licence_id
            and licences.serial_number = repointed.serial_number
        where licences.licence_type = 'monthly'
    ),

    not_succeeded as (
        select *
        from monthly
        where
            not exists (
                select 1
                from monthly as later
                where
                    later.period = monthly.period
                    and later.serial_number = monthly.serial_number
                    and later.in_effect_from > monthly.in_effect_to
            )
    ),

    one_per_product as (
        select *
        from not_succeeded
        qualify
            row_number() over (
                partition by period, serial_number, product_code
                order by is_repointed, in_effect_from desc, customer_id, licence_id
            )
            = 1
    ),

    other_types as (
        select *
        from licences
        anti join monthly on licences.period = monthly.period and licences.serial_number = monthly.serial_number
        qualify
            row_number() over (
                partition by licences.period, licences.serial_number
                order by
                    case licences.licence_type when 'term' then 1 else 2 end,
                    licences.in_effect_from desc,
                    licences.product_code,
                    licences.customer_id,
                    licences.licence_id
            )
            = 1
    )

select period, distributor_id, customer_id, product_code, serial_number, licence_id, licence_type
from one_per_product
union all
select period, distributor_id, customer_id, product_code, serial_number, licence_id, licence_type
from other_types
