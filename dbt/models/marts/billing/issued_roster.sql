{#
    Who stands behind every issued document, from the roster file it was issued with. Of an invoice: every unit, and
    those that were not billed or nearly active. Of a note, which counts a whole period again: the units counted since
    the document before it, and those counted there and no longer.
#}
with
    documents as (select * from {{ ref("stg_issued_documents") }}),

    lines as (select * from {{ ref("stg_issued_lines") }}),

    rosters as (
        select rosters.*, documents.number, documents.period, documents.billed_period, documents.currency
        from {{ ref("stg_document_rosters") }} as rosters
        inner join
            documents on rosters.distributor_id = documents.distributor_id and rosters.sequence = documents.sequence
    ),

    notes as (
        select note.*, max(earlier.sequence) as sequence_before
        from documents as note
        left join
            documents as earlier
            on note.distributor_id = earlier.distributor_id
            and note.billed_period = earlier.billed_period
            and note.currency = earlier.currency
            and note.sequence > earlier.sequence
        where not note.is_invoice
        group by all
    ),

    of_invoices as (
        select rosters.*
        from rosters
        semi join
            (select * from documents where is_invoice) as invoices
            on rosters.distributor_id = invoices.distributor_id
            and rosters.sequence = invoices.sequence
    ),

    counted_before_a_note as (
        select
            rosters.* except (sequence, number, period),
            notes.sequence as sequence,
            notes.number as number,
            notes.period as period
        from rosters
        inner join notes on rosters.distributor_id = notes.distributor_id and rosters.sequence = notes.sequence_before
        where rosters.is_counted
    ),

    of_notes as (
        select rosters.*
        from rosters
        semi join notes on rosters.distributor_id = notes.distributor_id and rosters.sequence = notes.sequence
    ),

    counted_since as (
        select of_notes.*
        from of_notes
        anti join
            counted_before_a_note as before
            on of_notes.distributor_id = before.distributor_id
            and of_notes.sequence = before.sequence
            and of_notes.partner_id = before.partner_id
            and of_notes.product_code = before.product_code
            and of_notes.customer_id = before.customer_id
            and of_notes.unit_kind = before.unit_kind
            and of_notes.unit_id = before.unit_id
        where of_notes.is_counted
    ),

    not_counted_any_more as (
        select
            before.* except (is_counted, reason),
            false as is_counted,
            case when of_notes.unit_id is null then 'no_longer_reported' else of_notes.reason end as reason
        from counted_before_a_note as before
        left join
            of_notes
            on before.distributor_id = of_notes.distributor_id
            and before.sequence = of_notes.sequence
            and before.partner_id = of_notes.partner_id
            and before.product_code = of_notes.product_code
            and before.customer_id = of_notes.customer_id
            and before.unit_kind = of_notes.unit_kind
            and before.unit_id = of_notes.unit_id
        where not coalesce(of_notes.is_counted, false)
    ),

    shown as (
        {% for some in ["of_invoices", "counted_since", "not_counted_any_more"] %}
            select
                distributor_id,
                sequence,
                number,
                period,
                billed_period,
                currency,
                partner_id,
                product_code,
                customer_id,
                unit_kind,
                unit_id,
                is_counted,
                reason,
                last_device_id,
                device_count,
                last_active_on,
                active_on,
                source_feed,
                source_snapshot_date,
                source_name,
                source_row
            from {{ some }}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select
    shown.distributor_id,
    shown.sequence,
    shown.number,
    shown.period,
    shown.billed_period,
    shown.currency,
    lines.line_number,
    shown.partner_id,
    shown.product_code,
    shown.customer_id,
    shown.unit_kind,
    shown.unit_id,
    shown.is_counted,
    shown.reason,
    shown.last_device_id,
    shown.device_count,
    shown.last_active_on,
    shown.active_on,
    shown.source_feed,
    shown.source_snapshot_date,
    shown.source_name,
    shown.source_row
from shown
left join
    lines
    on shown.distributor_id = lines.distributor_id
    and shown.sequence = lines.sequence
    and shown.partner_id = lines.partner_id
    and shown.product_code = lines.product_code
