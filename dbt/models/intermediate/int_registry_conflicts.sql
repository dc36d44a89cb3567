{# Keys that two sources of a registry feed hold in their snapshots of one day (R11). #}
with
    customers as (select * from {{ ref("stg_customers") }}),

    licences as (select * from {{ ref("stg_licences") }}),

    transfers as (select * from {{ ref("stg_transfers") }}),

    partners as (select * from {{ ref("stg_partners") }}),

    keys as (
        select
            'customers' as feed,
            customer_id as key,
            customer_id,
            cast(null as string) as partner_id,
            snapshot_date,
            source
        from customers
        union all
        select
            'licences' as feed,
            concat_ws('', licence_id, '/', customer_id) as key,
            customer_id,
            cast(null as string) as partner_id,
            snapshot_date,
            source
        from licences
        union all
        select
            'transfers' as feed,
            transfer_id as key,
            customer_id,
            cast(null as string) as partner_id,
            snapshot_date,
            source
        from transfers
        union all
        select
            'partners' as feed,
            partner_id as key,
            cast(null as string) as customer_id,
            partner_id,
            snapshot_date,
            source
        from partners
    )

select
    feed,
    key,
    min(customer_id) as customer_id,
    min(partner_id) as partner_id,
    snapshot_date,
    {{ distinct_texts("source", ", ") }} as sources
from keys
group by feed, key, snapshot_date
having count(distinct source) > 1
