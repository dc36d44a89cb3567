{#
    Which distributors' customers each usage and heartbeat source has shown, by the evidence in the
    activity store: whom a missing or broken file of that source can concern.
#}
with
    usage_activity as (select * from {{ ref("int_usage_activity") }}),

    heartbeat_activity as (select * from {{ ref("int_heartbeat_activity") }}),

    customer_partners as (select * from {{ ref("int_customer_partners") }}),

    seen as (
        select distinct 'usage' as feed, last_evidence.source as source, customer_id
        from usage_activity
        union
        select distinct 'heartbeat' as feed, last_evidence.source as source, customer_id
        from heartbeat_activity
    )

select distinct seen.feed, seen.source, customer_partners.distributor_id
from seen
inner join customer_partners on seen.customer_id = customer_partners.customer_id
