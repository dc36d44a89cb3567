{#
    What an issued period would bill as known now, against everything it was billed: the document,
    cancelled ones too, and all earlier notes (R25). One row per customer, product and currency that
    differs. A period that was passed over is corrected as if it had been issued with nothing; one
    whose invoice was cancelled is not corrected but issued again.
#}
with
    periods as (select * from {{ ref("int_billing_periods") }}),

    issued_periods as (select * from {{ ref("int_issued_periods") }}),

    documents as (select * from {{ ref("stg_issued_documents") }}),

    issued_customers as (select * from {{ ref("stg_issued_customers") }}),

    quantities as (select * from {{ ref("int_quantities") }}),

    shares as (select * from {{ ref("int_customer_shares") }}),

    products as (select * from {{ ref("stg_products") }}),

    currencies as (select * from {{ ref("stg_currencies") }}),

    billed as (
        select
            billed_period as period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            customer_id,
            {{ last_known("partner_name", "sequence") }} as partner_name,
            {{ last_known("product_name", "sequence") }} as product_name,
            {{ last_known("category", "sequence") }} as category,
            {{ last_known("billing_unit", "sequence") }} as billing_unit,
            {{ last_known("sku", "sequence") }} as sku,
            {{ last_known("listing_order", "sequence") }} as listing_order,
            {{ last_known("customer_name", "sequence") }} as customer_name,
            {{ last_known("licence_type", "sequence") }} as licence_type,
            {{ last_known("owner", "sequence") }} as owner,
            cast(sum(quantity) as bigint) as quantity,
            cast(sum(amount) as decimal(18, 3)) as amount
        from issued_customers
        semi join
            periods
            on issued_customers.billed_period = periods.period
            and issued_customers.distributor_id = periods.distributor_id
        group by all
    ),

    recomputed as (
        select
            quantities.period,
            quantities.distributor_id,
            quantities.currency,
            quantities.partner_id,
            quantities.product_code,
            quantities.customer_id,
            quantities.partner_name,
            products.product_name,
            products.category,
            products.billing_unit,
            products.sku,
            products.listing_order,
            quantities.customer_name,
            quantities.licence_type,
            quantities.owner,
            quantities.quantity,
            cast(coalesce(shares.amount, 0) as decimal(18, 3)) as amount
        from quantities
        inner join periods on quantities.period = periods.period and quantities.distributor_id = periods.distributor_id
        left join
            products
            on quantities.product_code = products.product_code
            and {{ valid_on("products", "periods.cutoff_on") }}
        left join
            shares
            on quantities.period = shares.period
            and quantities.distributor_id = shares.distributor_id
            and quantities.currency = shares.currency
            and quantities.partner_id = shares.partner_id
            and quantities.product_code = shares.product_code
            and quantities.customer_id = shares.customer_id
    ),

    compared as (
        select
            coalesce(recomputed.period, billed.period) as period,
            coalesce(recomputed.distributor_id, billed.distributor_id) as distributor_id,
            coalesce(recomputed.currency, billed.currency) as currency,
            coalesce(recomputed.partner_id, billed.partner_id) as partner_id,
            coalesce(recomputed.partner_name, billed.partner_name) as partner_name,
            coalesce(recomputed.product_code, billed.product_code) as product_code,
            coalesce(recomputed.product_name, billed.product_name) as product_name,
            coalesce(recomputed.category, billed.category) as category,
            coalesce(recomputed.billing_unit, billed.billing_unit) as billing_unit,
            coalesce(recomputed.sku, billed.sku) as sku,
            coalesce(recomputed.listing_order, billed.listing_order) as listing_order,
            coalesce(recomputed.customer_id, billed.customer_id) as customer_id,
            coalesce(recomputed.customer_name, billed.customer_name) as customer_name,
            coalesce(recomputed.licence_type, billed.licence_type) as licence_type,
            coalesce(recomputed.owner, billed.owner) as owner,
            coalesce(billed.quantity, 0) as billed_quantity,
            coalesce(billed.amount, 0) as billed_amount,
            coalesce(recomputed.quantity, 0) as known_quantity,
            coalesce(recomputed.amount, 0) as known_amount
        from recomputed
        full join
            billed
            on recomputed.period = billed.period
            and recomputed.distributor_id = billed.distributor_id
            and recomputed.currency = billed.currency
            and recomputed.partner_id = billed.partner_id
            and recomputed.product_code = billed.product_code
            and recomputed.customer_id = billed.customer_id
    ),

    cancelled as (select distinct billed_period as period, distributor_id, currency from documents where is_cancelled)

select
    compared.*,
    compared.known_quantity - compared.billed_quantity as quantity,
    cast(compared.known_amount - compared.billed_amount as decimal(18, 3)) as amount,
    currencies.minor_units,
    periods.run_period,
    periods.is_correctable,
    periods.is_last_run_over,
    issued_periods.number as corrects_number,
    issued_periods.sequence as corrects_sequence
from compared
inner join periods on compared.period = periods.period and compared.distributor_id = periods.distributor_id
inner join currencies on compared.currency = currencies.currency
left join
    issued_periods
    on compared.period = issued_periods.period
    and compared.distributor_id = issued_periods.distributor_id
    and compared.currency = issued_periods.currency
left join
    cancelled
    on compared.period = cancelled.period
    and compared.distributor_id = cancelled.distributor_id
    and compared.currency = cancelled.currency
where
    (compared.known_quantity <> compared.billed_quantity or compared.known_amount <> compared.billed_amount)
    and (
        issued_periods.sequence is not null
        or (
            cancelled.period is null
            and (periods.is_passed_over or periods.is_issued)
            and compared.period < periods.run_period
        )
    )
