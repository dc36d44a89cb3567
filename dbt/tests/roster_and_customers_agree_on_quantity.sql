{#
    R17: each customer's quantity under a line is the number of its roster rows that count. Partners re-bill their
    customers by these: two errors that cancel out within a line would still put one customer's units on another.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_invoice_customers"}}}) }}

with
    counted as (
        select period, distributor_id, product_code, customer_id, count(*) as units
        from {{ ref("draft_roster") }}
        where is_counted
        group by period, distributor_id, product_code, customer_id
    )

select
    coalesce(customers.period, counted.period) as period,
    coalesce(customers.customer_id, counted.customer_id) as customer_id,
    coalesce(customers.product_code, counted.product_code) as product_code,
    customers.quantity,
    counted.units
from {{ ref("draft_invoice_customers") }} as customers
full join
    counted
    on customers.period = counted.period
    and customers.distributor_id = counted.distributor_id
    and customers.product_code = counted.product_code
    and customers.customer_id = counted.customer_id
where coalesce(customers.quantity, 0) <> coalesce(counted.units, 0)
