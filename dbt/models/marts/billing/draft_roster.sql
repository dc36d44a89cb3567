with
    roster as (select * from {{ ref("int_roster") }}),

    lines as (select * from {{ ref("draft_invoice_lines") }}),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    period_windows as (select * from {{ ref("int_period_windows") }} where purpose = 'billing'),

    evidence as (select * from {{ ref("int_last_evidence") }})

select
    roster.period,
    roster.distributor_id,
    customers.currency,
    lines.line_number,
    roster.partner_id,
    roster.product_code,
    roster.customer_id,
    roster.unit_kind,
    roster.unit_id,
    roster.is_active and roster.reason is null as is_counted,
    roster.is_active,
    roster.reason,
    roster.last_device_id,
    cast(roster.device_count as bigint) as device_count,
    roster.last_active_on,
    roster.active_on,
    evidence.source_feed,
    evidence.source_snapshot_date,
    evidence.source_name,
    evidence.source_row
from roster
left join
    customers
    on roster.period = customers.period
    and roster.distributor_id = customers.distributor_id
    and roster.customer_id = customers.customer_id
left join
    lines
    on roster.period = lines.period
    and roster.distributor_id = lines.distributor_id
    and customers.currency = lines.currency
    and roster.partner_id = lines.partner_id
    and roster.product_code = lines.product_code
left join
    period_windows on roster.period = period_windows.period and roster.distributor_id = period_windows.distributor_id
left join
    evidence
    on period_windows.window_id = evidence.window_id
    and roster.is_active
    and roster.last_device_id = evidence.entity_id
    and (
        (
            roster.unit_kind <> 'firewall'
            and evidence.source_feed = 'usage'
            and roster.customer_id = evidence.customer_id
            and roster.product_code = evidence.product_code
        )
        or (roster.unit_kind = 'firewall' and evidence.source_feed = 'heartbeat')
    )
