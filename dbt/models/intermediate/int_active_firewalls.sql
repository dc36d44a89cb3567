{#
    One row per drafted period and active firewall, and product it is licensed for: billed, or with
    the one reason it is not (R9, R10, R21).
#}
with
    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    firewalls as (select * from {{ ref("int_firewalls_in_window") }}),

    claims as (select * from {{ ref("int_firewall_claims") }}),

    repointed as (select * from {{ ref("int_repointed_licences") }}),

    customers as (select * from {{ ref("int_customers_of_period") }}),

    active as (
        select period_windows.period, period_windows.distributor_id, firewalls.* except (window_id)
        from period_windows
        inner join firewalls on period_windows.window_id = firewalls.window_id
    ),

    {# Serials whose licence covers a later one that was active. #}
    replaced as (
        select distinct repointed.period, repointed.distributor_id, repointed.licence_id, repointed.serial_number
        from repointed
        inner join
            active
            on repointed.period = active.period
            and repointed.distributor_id = active.distributor_id
            and repointed.later_serial_number = active.serial_number
            and active.operating_system = 'SFOS'
    ),

    by_any_licence as (
        select
            active.period,
            active.distributor_id,
            claims.customer_id,
            claims.product_code,
            claims.licence_type,
            active.serial_number,
            active.customer_id as heartbeat_customer_id,
            active.operating_system,
            active.model,
            active.cluster_id,
            active.cluster_mode,
            active.last_active_on,
            active.active_on,
            active.unknown_systems,
            replaced.licence_id is not null as is_replaced,
            true as is_of_record
        from active
        inner join
            claims
            on active.period = claims.period
            and active.distributor_id = claims.distributor_id
            and active.serial_number = claims.serial_number
        left join
            replaced
            on claims.period = replaced.period
            and claims.distributor_id = replaced.distributor_id
            and claims.licence_id = replaced.licence_id
            and claims.serial_number = replaced.serial_number
            and claims.licence_type = 'monthly'
    ),

    {# Another licence on the serial covers it all the same. #}
    claimed as (
        select *
        from by_any_licence
        qualify not is_replaced or bool_and(is_replaced) over (partition by period, distributor_id, serial_number)
    ),

    unclaimed as (
        select
            active.period,
            active.distributor_id,
            active.customer_id,
            'firewall_unassigned' as product_code,
            cast(null as string) as licence_type,
            active.serial_number,
            active.customer_id as heartbeat_customer_id,
            active.operating_system,
            active.model,
            active.cluster_id,
            active.cluster_mode,
            active.last_active_on,
            active.active_on,
            active.unknown_systems,
            false as is_replaced,
            customers.is_of_record
        from active
        inner join
            customers
            on active.period = customers.period
            and active.distributor_id = customers.distributor_id
            and active.customer_id = customers.customer_id
        anti join
            claims
            on active.period = claims.period
            and active.serial_number = claims.serial_number
            {# One that another distributor claims is still active here, of a customer it is billed for there. #}
            and (customers.is_of_record or active.distributor_id = claims.distributor_id)
    ),

    candidates as (
        select
            *,
            licence_type is not distinct from 'monthly' and operating_system = 'SFOS' and not is_replaced as is_licensed
        from claimed
        union all
        select *, false as is_licensed
        from unclaimed
    ),

    {# Active-passive: the cluster counts once per product, by its licensed member active last. #}
    clusters as (
        select
            *,
            cluster_mode is not distinct from 'active-passive'
            and cluster_id is not null
            and operating_system = 'SFOS' as is_in_pair
        from candidates
    ),

    with_cluster_facts as (
        select
            *,
            is_in_pair
            and bool_or(is_licensed and is_in_pair) over (
                partition by period, distributor_id, heartbeat_customer_id, cluster_id
            ) as is_in_licensed_pair,
            row_number() over (
                partition by
                    period, distributor_id, heartbeat_customer_id, cluster_id, product_code, is_in_pair, is_licensed
                order by last_active_on desc, serial_number
            )
            = 1 as is_first_of_pair
        from clusters
    )

select
    period,
    distributor_id,
    customer_id,
    product_code,
    serial_number,
    heartbeat_customer_id,
    operating_system,
    model,
    cluster_id,
    cluster_mode,
    last_active_on,
    active_on,
    unknown_systems,
    case
        when not is_of_record
        then 'other_partner_of_record'
        when operating_system <> 'SFOS'
        then 'not_sfos'
        when is_replaced
        then 'replaced_hardware'
        when is_in_licensed_pair and not (is_licensed and is_first_of_pair)
        then 'ha_member'
        when licence_type is null
        then 'unlicensed'
        when licence_type <> 'monthly'
        then licence_type
    end as reason
from with_cluster_facts
