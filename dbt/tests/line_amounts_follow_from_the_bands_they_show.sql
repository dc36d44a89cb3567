{#
    R17-R19: a line's amount is the sum of quantity x unit price over the bands printed on it, rounded once half away
    from zero, and its bands take exactly its units. The distributor recomputes an invoice this way. Rounded here by
    whole numbers (half a minor unit added, the rest cut off), not by the macro the line was rounded with.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_invoice_lines"}}}) }}

with
    lines as (
        select
            lines.*,
            cast(case currencies.minor_units when 0 then 1 when 2 then 100 when 3 then 1000 end as bigint) as scale
        from {{ ref("draft_invoice_lines") }} as lines
        inner join {{ ref("stg_currencies") }} as currencies on lines.currency = currencies.currency
        where lines.bands is not null
    ),

    {# Unit prices carry six decimals, so a millionth of the currency is a whole number. #}
    bands as (
        select
            lines.period,
            lines.distributor_id,
            lines.currency,
            lines.line_number,
            band.quantity,
            cast(band.unit_price * 1000000 as {{ wide_integer() }}) as unit_price_in_millionths
        from
            (
                select
                    lines.*,
                    {{
                        exploded(
                            parsed_json_list("lines.bands", {"quantity": "bigint", "unit_price": "decimal(18,6)"})
                        )
                    }} as band
                from lines
            ) as lines
    ),

    summed as (
        select
            period,
            distributor_id,
            currency,
            line_number,
            sum(quantity) as quantity,
            sum(quantity * unit_price_in_millionths) as millionths
        from bands
        group by period, distributor_id, currency, line_number
    )

select lines.period, lines.distributor_id, lines.line_number, lines.amount, summed.millionths, summed.quantity
from lines
inner join
    summed
    on lines.period = summed.period
    and lines.distributor_id = summed.distributor_id
    and lines.currency = summed.currency
    and lines.line_number = summed.line_number
where
    lines.quantity <> summed.quantity
    or cast(lines.amount * lines.scale as {{ wide_integer() }})
    <> {{ whole_quotient("(summed.millionths * lines.scale * 2 + 1000000)", "2000000") }}
