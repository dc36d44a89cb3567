{#
    R17: a line's quantity is the number of its roster rows that count, and the sum of its customers'. "No number
    without its roster": the distributor checks an invoice by counting the names behind it. Breaks when the roster
    and the lines are joined differently, or a unit is listed twice.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_roster"}}}) }}

with
    all_counts as (
        select period, distributor_id, currency, partner_id, product_code, 'line' as counted, quantity
        from {{ ref("draft_invoice_lines") }}
        union all
        select period, distributor_id, currency, partner_id, product_code, 'roster' as counted, 1 as quantity
        from {{ ref("draft_roster") }}
        where is_counted
        union all
        select period, distributor_id, currency, partner_id, product_code, 'customers' as counted, quantity
        from {{ ref("draft_invoice_customers") }}
    ),

    sums as (
        select
            period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            coalesce(sum(quantity) filter (where counted = 'line'), 0) as of_line,
            coalesce(sum(quantity) filter (where counted = 'roster'), 0) as of_roster,
            coalesce(sum(quantity) filter (where counted = 'customers'), 0) as of_customers
        from all_counts
        group by period, distributor_id, currency, partner_id, product_code
    )

select *
from sums
where of_line <> of_roster or of_line <> of_customers
