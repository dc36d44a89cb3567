{#
    Which distributors each source has shown something of: whom a missing, refused or odd file of it
    can concern. Usage and heartbeat by the evidence in the activity store, the registry feeds by
    their snapshots.
#}
with
    usage_activity as (select * from {{ ref("int_usage_activity") }}),

    heartbeat_activity as (select * from {{ ref("int_heartbeat_activity") }}),

    customers as (select * from {{ ref("stg_customers") }}),

    licences as (select * from {{ ref("stg_licences") }}),

    transfers as (select * from {{ ref("stg_transfers") }}),

    partners as (select * from {{ ref("stg_partners") }}),

    customer_partners as (select * from {{ ref("int_customer_partners") }}),

    seen as (
        select distinct 'usage' as feed, last_evidence.source as source, customer_id
        from usage_activity
        union
        select distinct 'heartbeat' as feed, last_evidence.source as source, customer_id
        from heartbeat_activity
        union
        select distinct 'customers' as feed, source, customer_id
        from customers
        union
        select distinct 'licences' as feed, source, customer_id
        from licences
        union
        select distinct 'transfers' as feed, source, customer_id
        from transfers
    )

select distinct seen.feed, seen.source, customer_partners.distributor_id
from seen
inner join customer_partners on seen.customer_id = customer_partners.customer_id
union
select distinct 'partners' as feed, source, distributor_id
from partners
