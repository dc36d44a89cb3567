{{
    config(
        materialized="table_function",
        parameters=["document_number", "line_number"],
        contract={"enforced": false},
    )
}}

{# No catalog name: the function is copied into the published file and reads the tables beside it. #}
with
    units as (select * from {{ ref("issued_roster").include(database=false) }}),

    customers as (select * from {{ ref("issued_invoice_customers").include(database=false) }})

select
    units.customer_id,
    customers.customer_name,
    units.unit_kind,
    units.unit_id,
    units.is_counted,
    units.reason,
    units.last_device_id,
    units.device_count,
    units.last_active_on,
    units.active_on,
    units.source_feed,
    units.source_snapshot_date,
    units.source_name,
    units.source_row
from units
left join
    customers
    on units.number = customers.number
    and units.partner_id = customers.partner_id
    and units.product_code = customers.product_code
    and units.customer_id = customers.customer_id
where units.number = document_number and units.line_number = line_number
order by units.is_counted desc, units.customer_id, units.unit_id, units.unit_kind
