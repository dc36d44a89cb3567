{#
    The corrections by partner and product: what the line was billed with so far, what it would be
    as known now, and the difference (R25). A line of the note names the invoice line it corrects.
#}
with
    customers as (select * from {{ ref("draft_note_customers") }}),

    causes as (select * from {{ ref("int_correction_causes") }}),

    documents as (select * from {{ ref("int_issued_periods") }}),

    issued_lines as (select * from {{ ref("stg_issued_lines") }}),

    lines as (select * from {{ ref("int_priced_lines") }}),

    corrected as (
        select
            period,
            distributor_id,
            currency,
            line_number,
            partner_id,
            product_code,
            any_value(partner_name) as partner_name,
            any_value(product_name) as product_name,
            any_value(category) as category,
            any_value(billing_unit) as billing_unit,
            any_value(sku) as sku,
            any_value(listing_order) as listing_order,
            count(*) as customer_count,
            cast(sum(quantity) as bigint) as quantity,
            cast(sum(amount) as decimal(18, 3)) as amount
        from customers
        group by period, distributor_id, currency, line_number, partner_id, product_code
    ),

    causes_of_line as (
        select
            period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            cause,
            sum(units) as units,
            sum(amount) as amount
        from causes
        group by all
    ),

    cause_lists as (
        select
            period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            {{
                json_list(
                    {"cause": "cause", "quantity": "cast(units as bigint)", "amount": "cast(amount as string)"},
                    order_by=["cause"],
                )
            }} as causes
        from causes_of_line
        group by period, distributor_id, currency, partner_id, product_code
    ),

    billed as (
        select
            billed_period as period,
            distributor_id,
            currency,
            partner_id,
            product_code,
            cast(sum(quantity) as bigint) as quantity,
            cast(sum(amount) as decimal(18, 3)) as amount,
            {{ last_known("unit_price", "sequence") }} as unit_price
        from issued_lines
        group by all
    ),

    original_lines as (
        select
            documents.period,
            documents.distributor_id,
            documents.currency,
            issued_lines.partner_id,
            issued_lines.product_code,
            issued_lines.line_number
        from documents
        inner join
            issued_lines
            on documents.distributor_id = issued_lines.distributor_id
            and documents.sequence = issued_lines.sequence
    )

select
    corrected.period,
    corrected.distributor_id,
    corrected.currency,
    corrected.line_number,
    original_lines.line_number as corrects_line,
    corrected.partner_id,
    corrected.partner_name,
    corrected.product_code,
    corrected.product_name,
    corrected.category,
    corrected.billing_unit,
    corrected.sku,
    corrected.listing_order,
    corrected.customer_count,
    coalesce(billed.quantity, 0) as billed_quantity,
    billed.unit_price as billed_unit_price,
    cast(coalesce(billed.amount, 0) as decimal(18, 3)) as billed_amount,
    coalesce(lines.quantity, 0) as known_quantity,
    lines.pricing_model,
    lines.unit_price,
    coalesce(cast(lines.bands as string), '[]') as bands,
    cast(coalesce(lines.amount, 0) as decimal(18, 3)) as known_amount,
    corrected.quantity,
    corrected.amount,
    cause_lists.causes
from corrected
left join
    cause_lists
    on corrected.period = cause_lists.period
    and corrected.distributor_id = cause_lists.distributor_id
    and corrected.currency = cause_lists.currency
    and corrected.partner_id = cause_lists.partner_id
    and corrected.product_code = cause_lists.product_code
left join
    billed
    on corrected.period = billed.period
    and corrected.distributor_id = billed.distributor_id
    and corrected.currency = billed.currency
    and corrected.partner_id = billed.partner_id
    and corrected.product_code = billed.product_code
left join
    original_lines
    on corrected.period = original_lines.period
    and corrected.distributor_id = original_lines.distributor_id
    and corrected.currency = original_lines.currency
    and corrected.partner_id = original_lines.partner_id
    and corrected.product_code = original_lines.product_code
left join
    lines
    on corrected.period = lines.period
    and corrected.distributor_id = lines.distributor_id
    and corrected.currency = lines.currency
    and corrected.partner_id = lines.partner_id
    and corrected.product_code = lines.product_code
