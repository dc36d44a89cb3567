{{
    config(
        materialized="table_function",
        parameters=["counts_table"],
        contract={"enforced": false},
    )
}}

{# No catalog name: the function is copied into the published file and reads the tables beside it. #}
{%- set quantities = ref("draft_invoice_customers").include(database=false) -%}

{#
    The caller's table needs period, customer_id, product_code and quantity; the other columns are null where it has
    none. Whatever is billed in the periods, distributors and partners it speaks of and that it does not list is
    compared too.
#}
{%- set counts -%}
    with
        named as (
            select
                cast(null as string) as against,
                cast(null as string) as period,
                cast(null as string) as distributor_id,
                cast(null as string) as partner_id,
                cast(null as string) as customer_id,
                cast(null as string) as product_code,
                cast(null as bigint) as quantity,
                cast(null as date) as counted_on
            where false
            union all by name
            select * from query_table(counts_table)
        ),

        given as (select * replace (coalesce(against, 'table') as against) from named),

        scopes as (
            select against, period, distributor_id, partner_id, max(counted_on) as counted_on
            from given
            group by against, period, distributor_id, partner_id
        ),

        not_listed as (
            select
                scopes.against,
                scopes.period,
                scopes.distributor_id,
                scopes.partner_id,
                quantities.customer_id,
                quantities.product_code,
                cast(null as bigint) as quantity,
                scopes.counted_on
            from scopes
            inner join
                {{ quantities }} as quantities
                on scopes.period = quantities.period
                and coalesce(scopes.distributor_id, quantities.distributor_id) = quantities.distributor_id
                and coalesce(scopes.partner_id, quantities.partner_id) = quantities.partner_id
            anti join
                given
                on scopes.against = given.against
                and scopes.period = given.period
                and scopes.distributor_id is not distinct from given.distributor_id
                and scopes.partner_id is not distinct from given.partner_id
                and quantities.customer_id = given.customer_id
                and quantities.product_code = given.product_code
        )

    select against, period, distributor_id, partner_id, customer_id, product_code, quantity, counted_on
    from given
    union all
    select against, period, distributor_id, partner_id, customer_id, product_code, quantity, counted_on
    from not_listed
{%- endset -%}

{{
    split_counts(
        counts=counts,
        accounts=ref("customer_accounts").include(database=false),
        quantities=quantities,
        candidates=ref("count_candidates").include(database=false),
        device_activity=ref("device_activity").include(database=false),
        firewall_activity=ref("firewall_activity").include(database=false),
        firewall_claims=ref("firewall_claims").include(database=false),
        products=ref("products").include(database=false),
    )
}}
