{#
    For every device of a customer billed in a window, and every firewall in it: the row of a landing file
    that asserted its last active date. The activity store holds it for the month's latest day; where the
    cut-off lies before that day, the raw rows are asked.

    The devices are imported once for each use, as what is used twice is held as a whole.
#}
{%- set billed_devices -%}
    select *, {{ fingerprint(["window_id", "customer_id", "product_code", "device_id"]) }} as device_fingerprint
    from {{ ref("int_devices_in_window") }}
    semi join customers using (window_id, customer_id)
{%- endset %}
with
    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    customers_of_period as (select * from {{ ref("int_customers_of_period") }}),

    customers as (
        select period_windows.window_id, customers_of_period.customer_id
        from period_windows
        inner join customers_of_period using (period, distributor_id)
    ),

    fingerprints as ({{ billed_devices }}),

    devices as ({{ billed_devices }}),

    devices_with_evidence as ({{ billed_devices }} where last_evidence is not null),

    devices_without_evidence as ({{ billed_devices }} where last_evidence is null),

    usage as (select * from {{ ref("stg_usage") }}),

    firewalls as (
        select * from {{ ref("int_firewalls_in_window") }} where window_id in (select window_id from period_windows)
    ),

    heartbeat as (select * from {{ ref("stg_heartbeat") }}),

    {# Most devices have one row in a window: its evidence is theirs. #}
    repeated as (select device_fingerprint from fingerprints group by device_fingerprint having count(*) > 1),

    rows_of_repeated as (select * from devices semi join repeated using (device_fingerprint)),

    latest as (
        select *
        from rows_of_repeated
        qualify last_active_on = max(last_active_on) over (partition by window_id, customer_id, product_code, device_id)
    ),

    of_repeated as (
        select
            window_id,
            customer_id,
            product_code,
            device_id,
            any_value(last_active_on) as last_active_on,
            min(last_evidence) as last_evidence,
            count(*) = count(last_evidence) as is_complete
        from latest
        group by window_id, customer_id, product_code, device_id
    ),

    complete as (
        select window_id, customer_id, product_code, device_id, last_evidence
        from devices_with_evidence
        anti join repeated using (device_fingerprint)
        union all
        select window_id, customer_id, product_code, device_id, last_evidence
        from of_repeated
        where is_complete
    ),

    incomplete as (
        select window_id, customer_id, product_code, device_id, last_active_on, last_evidence
        from devices_without_evidence
        anti join repeated using (device_fingerprint)
        union all
        select window_id, customer_id, product_code, device_id, last_active_on, last_evidence
        from of_repeated
        where not is_complete
    ),

    looked_up as (
        select
            incomplete.window_id,
            incomplete.customer_id,
            incomplete.product_code,
            incomplete.device_id,
            min({{ activity_evidence("usage") }}) as last_evidence
        from incomplete
        inner join
            usage
            on incomplete.customer_id = usage.customer_id
            and incomplete.product_code = usage.product_code
            and incomplete.device_id = usage.device_id
            and incomplete.last_active_on = usage.active_on
        group by incomplete.window_id, incomplete.customer_id, incomplete.product_code, incomplete.device_id
    ),

    of_firewalls as (
        select firewalls.window_id, firewalls.serial_number, min({{ activity_evidence("heartbeat") }}) as last_evidence
        from firewalls
        inner join
            heartbeat
            on firewalls.serial_number = heartbeat.serial_number
            and firewalls.customer_id = heartbeat.customer_id
            and firewalls.last_active_on = heartbeat.active_on
            {# On one day it may have sent both: the row that is named is one that counts (R9). #}
            and (
                firewalls.firewall_evidence is distinct from 'sfos'
                or firewalls.operating_system <> 'SFOS'
                or {{ is_sfos("heartbeat.operating_system") }}
            )
        group by firewalls.window_id, firewalls.serial_number
    ),

    combined as (
        select window_id, 'usage' as source_feed, customer_id, product_code, device_id as entity_id, last_evidence
        from complete
        union all
        select
            incomplete.window_id,
            'usage' as source_feed,
            incomplete.customer_id,
            incomplete.product_code,
            incomplete.device_id as entity_id,
            coalesce(looked_up.last_evidence, incomplete.last_evidence) as last_evidence
        from incomplete
        left join
            looked_up
            on incomplete.window_id = looked_up.window_id
            and incomplete.customer_id = looked_up.customer_id
            and incomplete.product_code = looked_up.product_code
            and incomplete.device_id = looked_up.device_id
        union all
        select
            window_id,
            'heartbeat' as source_feed,
            null as customer_id,
            null as product_code,
            serial_number as entity_id,
            last_evidence
        from of_firewalls
    )

select
    window_id,
    source_feed,
    customer_id,
    product_code,
    entity_id,
    last_evidence.snapshot_date as source_snapshot_date,
    last_evidence.source as source_name,
    last_evidence.row_number as source_row
from combined
