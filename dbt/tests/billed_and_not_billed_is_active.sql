{#
    R21: billed + not billed = active, per period, distributor and product.
    Active is counted anew from the units and firewalls in the windows, billed from the invoice lines,
    not billed from its mart: the roster, which both were made from, is not asked. Partners and finance
    rely on it to know that no unit was dropped between use and invoice. Breaks when a join loses units
    (a customer without a partner, a product without a reference row) or doubles them.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_not_billed"}}}) }}

with
    active_units as (
        select
            customers.period,
            customers.distributor_id,
            units.product_code,
            units.customer_id,
            units.unit_kind,
            units.unit_id
        from {{ ref("int_customers_of_period") }} as customers
        inner join
            {{ ref("int_period_windows") }} as period_windows
            on customers.period = period_windows.period
            and customers.distributor_id = period_windows.distributor_id
            and period_windows.purpose = 'billing'
        inner join
            {{ ref("int_active_units") }} as units
            on period_windows.window_id = units.window_id
            and customers.customer_id = units.customer_id
    ),

    active as (
        select period, distributor_id, product_code, count(*) as units
        from active_units
        group by period, distributor_id, product_code
        union all
        select period, distributor_id, product_code, count(*) as units
        from {{ ref("int_active_firewalls") }}
        group by period, distributor_id, product_code
    ),

    accounted_for as (
        select period, distributor_id, product_code, quantity as units
        from {{ ref("draft_invoice_lines") }}
        union all
        select period, distributor_id, product_code, units
        from {{ ref("draft_not_billed") }}
    ),

    both_sides as (
        select period, distributor_id, product_code, units as active, 0 as accounted_for
        from active
        union all
        select period, distributor_id, product_code, 0 as active, units as accounted_for
        from accounted_for
    )

select period, distributor_id, product_code, sum(active) as active, sum(accounted_for) as accounted_for
from both_sides
group by period, distributor_id, product_code
having sum(active) <> sum(accounted_for)
