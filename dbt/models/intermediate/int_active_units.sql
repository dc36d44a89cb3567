{#
    One row per window, customer, product and unit: the users and devices that count (R5–R8).

    Most units are one device in one month, which needs no aggregation. The table is imported once for each
    use, as what is used twice is held as a whole.
#}
{%- set unit_fingerprint = fingerprint(["window_id", "customer_id", "product_code", "unit_kind", "unit_id"]) %}
with
    fingerprints as (
        select {{ unit_fingerprint }} as unit_fingerprint from {{ ref("int_unit_activity") }} where not is_moved
    ),

    repeated as (select unit_fingerprint from fingerprints group by unit_fingerprint having count(*) > 1),

    all_rows as (
        select *, {{ unit_fingerprint }} as unit_fingerprint from {{ ref("int_unit_activity") }} where not is_moved
    ),

    all_rows_again as (
        select *, {{ unit_fingerprint }} as unit_fingerprint from {{ ref("int_unit_activity") }} where not is_moved
    ),

    rows_of_repeated as (select * from all_rows semi join repeated using (unit_fingerprint)),

    single_rows as (select * from all_rows_again anti join repeated using (unit_fingerprint)),

    by_month as (
        select
            window_id,
            customer_id,
            product_code,
            billing_unit,
            unit_kind,
            unit_id,
            activity_month,
            bit_or(active_days) as active_days
        from rows_of_repeated
        group by all
    ),

    decoded as (
        select
            window_id,
            customer_id,
            product_code,
            billing_unit,
            unit_kind,
            unit_id,
            array_sort(flatten(array_agg({{ active_dates("active_days", "activity_month") }}))) as active_on
        from by_month
        group by all
    ),

    devices_of_unit as (
        select
            window_id,
            customer_id,
            product_code,
            unit_kind,
            unit_id,
            count(distinct device_id) as device_count,
            max(last_active_on) as last_active_on,
            {{ latest_then_smallest("last_active_on", "window_ends_on", "device_id") }} as last_device_id
        from rows_of_repeated
        group by all
    )

select
    window_id,
    customer_id,
    product_code,
    billing_unit,
    unit_kind,
    unit_id,
    1 as device_count,
    device_id as last_device_id,
    last_active_on,
    {{ active_dates("active_days", "activity_month") }} as active_on
from single_rows
union all
select
    decoded.window_id,
    decoded.customer_id,
    decoded.product_code,
    decoded.billing_unit,
    decoded.unit_kind,
    decoded.unit_id,
    devices_of_unit.device_count,
    devices_of_unit.last_device_id,
    devices_of_unit.last_active_on,
    decoded.active_on
from decoded
inner join
    devices_of_unit
    on decoded.window_id = devices_of_unit.window_id
    and decoded.customer_id = devices_of_unit.customer_id
    and decoded.product_code = devices_of_unit.product_code
    and decoded.unit_kind = devices_of_unit.unit_kind
    and decoded.unit_id = devices_of_unit.unit_id
