-- depends_on: {{ ref("draft_invoices") }}
-- depends_on: {{ ref("draft_invoice_customers") }}
-- depends_on: {{ ref("draft_discrepancies") }}
-- depends_on: {{ ref("draft_roster") }}
-- depends_on: {{ ref("draft_safety_bounds") }}
-- depends_on: {{ ref("three_way_match") }}
{#
    R19: a DOUBLE in a money column fails the build. No column of the billing marts is floating point, and no column
    anywhere with money in its name is anything but DECIMAL. Breaks when a division or an average of DECIMAL, which
    returns DOUBLE, reaches a column: amounts would differ in the last digit from machine to machine.
#}
{{
    config(
        tags=["on_warehouse"], enabled=target.type == "duckdb", meta={"dagster": {"ref": {"name": "draft_invoices"}}}
    )
}}

select table_schema, table_name, column_name, data_type
from information_schema.columns
where
    table_schema in ('raw', 'reference', 'ledger', 'staging', 'intermediate', 'activity', 'billing', 'quality')
    and (
        (table_schema = 'billing' and data_type in ('DOUBLE', 'FLOAT', 'REAL'))
        or (regexp_matches(column_name, '(amount|price|stake)') and not regexp_matches(data_type, '^DECIMAL'))
    )
