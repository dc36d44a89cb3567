{# What distributors contest: a row a dispute, with its notes. It moves no figure (R24). #}
with
    notes as (select * from {{ ref("stg_dispute_notes") }}),
    documents as (select * from {{ ref("stg_issued_documents") }}),
    lines as (select * from {{ ref("stg_issued_lines") }}),

    gathered as (
        select
            dispute_id,
            number,
            line_number,
            max(case when kind = 'settled' then 1 else 0 end) = 0 as is_open,
            max(case when kind = 'opened' then noted_on end) as opened_on,
            max(case when kind = 'opened' then noted_by end) as opened_by,
            max(case when kind = 'settled' then noted_on end) as settled_on,
            max(case when kind = 'settled' then noted_by end) as settled_by,
            count(*) as note_count,
            {{ joined_texts("cast(noted_on as string) || ' ' || noted_by || ': ' || note", "\n", "note_number") }}
            as notes
        from notes
        group by dispute_id, number, line_number
    ),

    with_their_lines as (
        select
            gathered.dispute_id,
            documents.distributor_id,
            documents.period,
            gathered.number,
            gathered.line_number,
            lines.partner_id,
            lines.product_code,
            lines.quantity,
            lines.amount,
            documents.currency,
            gathered.is_open,
            gathered.opened_on,
            gathered.opened_by,
            gathered.settled_on,
            gathered.settled_by,
            gathered.note_count,
            gathered.notes
        from gathered
        left join documents on documents.number = gathered.number
        left join
            lines
            on lines.distributor_id = documents.distributor_id
            and lines.sequence = documents.sequence
            and lines.line_number = gathered.line_number
    )

select *
from with_their_lines
