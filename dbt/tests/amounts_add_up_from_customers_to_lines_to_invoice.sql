{#
    R17, R19, R20: the customers' shares add up to their line and the lines to the invoice, to the last minor unit.
    The distributor's and the partners' books rely on it: a cent lost between them is a dispute every month.
    Breaks when a share is rounded by itself, or a customer falls out of the split.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_invoices"}}}) }}

with
    of_customers as (
        select period, distributor_id, currency, partner_id, product_code, sum(amount) as amount
        from {{ ref("draft_invoice_customers") }}
        group by period, distributor_id, currency, partner_id, product_code
    ),

    of_lines as (
        select period, distributor_id, currency, sum(amount) as amount, count(*) as line_count
        from {{ ref("draft_invoice_lines") }}
        group by period, distributor_id, currency
    )

select
    'line' as level,
    coalesce(lines.period, of_customers.period) as period,
    coalesce(lines.distributor_id, of_customers.distributor_id) as distributor_id,
    lines.line_number,
    lines.amount as stated,
    of_customers.amount as summed
from {{ ref("draft_invoice_lines") }} as lines
full join
    of_customers
    on lines.period = of_customers.period
    and lines.distributor_id = of_customers.distributor_id
    and lines.currency = of_customers.currency
    and lines.partner_id = of_customers.partner_id
    and lines.product_code = of_customers.product_code
where coalesce(lines.amount, 0) <> coalesce(of_customers.amount, 0)
union all
select
    'invoice' as level,
    coalesce(invoices.period, of_lines.period) as period,
    coalesce(invoices.distributor_id, of_lines.distributor_id) as distributor_id,
    null as line_number,
    invoices.total_amount as stated,
    of_lines.amount as summed
from {{ ref("draft_invoices") }} as invoices
full join
    of_lines
    on invoices.period = of_lines.period
    and invoices.distributor_id = of_lines.distributor_id
    and invoices.currency = of_lines.currency
where
    coalesce(invoices.total_amount, 0) <> coalesce(of_lines.amount, 0)
    or coalesce(invoices.line_count, 0) <> coalesce(of_lines.line_count, 0)
    or invoices.period is null
