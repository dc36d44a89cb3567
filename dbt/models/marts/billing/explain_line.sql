{{
    config(
        materialized="table_function",
        parameters=["document_number", "line_number"],
        contract={"enforced": false},
    )
}}

{# No catalog name: the function is copied into the published file and reads the tables beside it. #}
with
    lines as (
        select *
        from {{ ref("issued_invoice_lines").include(database=false) }} as line
        where line.number = document_number and line.line_number = line_number
    ),

    customers as (
        select *
        from {{ ref("issued_invoice_customers").include(database=false) }} as customer
        where customer.number = document_number and customer.line_number = line_number
    ),

    units as (
        select *
        from {{ ref("issued_roster").include(database=false) }} as unit
        where unit.number = document_number and unit.line_number = line_number
    ),

    parts as (
        select
            1 as place,
            'line' as part,
            cast(null as string) as customer_id,
            concat_ws('', partner_name, ', ', product_name) as name,
            cast(null as string) as unit_kind,
            cast(null as string) as unit_id,
            quantity,
            amount,
            cast(null as string) as reason,
            cast(null as date) as last_active_on,
            cast(null as date[]) as active_on,
            cast(null as string) as source
        from lines
        union all by name
        select 2 as place, 'customer' as part, customer_id, customer_name as name, quantity, amount
        from customers
        union all by name
        select
            case when units.is_counted then 3 else 4 end as place,
            case when units.is_counted then 'counted' else 'not_counted' end as part,
            units.customer_id,
            customers.customer_name as name,
            units.unit_kind,
            units.unit_id,
            units.reason,
            units.last_active_on,
            units.active_on,
            case
                when units.source_feed is not null
                then
                    concat_ws(
                        '',
                        units.source_feed,
                        '/',
                        units.source_snapshot_date,
                        '/',
                        units.source_name,
                        ' data row ',
                        units.source_row
                    )
            end as source
        from units
        left join customers on units.customer_id = customers.customer_id
    )

select part, customer_id, name, unit_kind, unit_id, quantity, amount, reason, last_active_on, active_on, source
from parts
order by place, customer_id, unit_id, unit_kind
