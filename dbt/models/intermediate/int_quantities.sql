{#
    Billed units per monthly customer and product of a drafted period, zero included (R20), beside
    the units of the calendar month up to the cut-off (R2) and who joined and left since the window before.
#}
with
    licence_types as (select * from {{ ref("int_licence_types") }} where reason is null),

    customers as (select * from {{ ref("int_customers_of_period") }} where is_of_record),

    roster as (select * from {{ ref("int_roster") }}),

    period_windows as (select * from {{ ref("int_period_windows") }}),

    units as (select * from {{ ref("int_active_units") }}),

    firewalls as (select * from {{ ref("int_firewalls_in_window") }}),

    claims as (select * from {{ ref("int_firewall_claims") }} where licence_type = 'monthly'),

    periods as (select * from {{ ref("int_billing_periods") }}),

    customer_partners as (select * from {{ ref("int_customer_partners") }}),

    excluded_moves as (select * from {{ ref("int_unapproved_transfers") }} where decision = 'exclude'),

    {# What a customer did under another distributor is that one's to tell; an excluded move took it nowhere (R14). #}
    days_with_distributor as (
        select
            periods.period,
            periods.distributor_id,
            customer_partners.customer_id,
            greatest(customer_partners.valid_from, periods.month_starts_on) as first_day,
            least(customer_partners.valid_to, periods.cutoff_on) as last_day
        from periods
        inner join
            customer_partners
            on periods.distributor_id = customer_partners.distributor_id
            and customer_partners.asserted_on <= periods.cutoff_on
            and customer_partners.valid_from <= periods.cutoff_on
            and customer_partners.valid_to >= periods.month_starts_on
        union all
        select
            periods.period,
            periods.distributor_id,
            customers.customer_id,
            periods.month_starts_on as first_day,
            periods.cutoff_on as last_day
        from periods
        inner join customers on periods.period = customers.period and periods.distributor_id = customers.distributor_id
        semi join
            excluded_moves
            on customers.period = excluded_moves.period
            and customers.customer_id = excluded_moves.customer_id
    ),

    passive_members as (select period, distributor_id, unit_id from roster where reason = 'ha_member'),

    replaced as (select period, distributor_id, unit_id from roster where reason = 'replaced_hardware'),

    {# The same units over the other windows; firewalls by the licences of this period. #}
    units_by_purpose as (
        select
            period_windows.period,
            period_windows.distributor_id,
            period_windows.purpose,
            units.customer_id,
            units.product_code,
            units.unit_id,
            units.active_on
        from period_windows
        inner join units on period_windows.window_id = units.window_id
        where period_windows.purpose <> 'billing'
        union all
        select
            period_windows.period,
            period_windows.distributor_id,
            period_windows.purpose,
            claims.customer_id,
            claims.product_code,
            firewalls.serial_number as unit_id,
            firewalls.active_on
        from period_windows
        inner join firewalls on period_windows.window_id = firewalls.window_id
        inner join
            claims
            on period_windows.period = claims.period
            and period_windows.distributor_id = claims.distributor_id
            and firewalls.serial_number = claims.serial_number
        {# A passive member counts through the other one, in this window and in the ones compared with it. #}
        anti join
            passive_members
            on period_windows.period = passive_members.period
            and period_windows.distributor_id = passive_members.distributor_id
            and firewalls.serial_number = passive_members.unit_id
        {# In the calendar month, too, its licence covers one serial; in the window before it was this one. #}
        anti join
            replaced
            on period_windows.period = replaced.period
            and period_windows.distributor_id = replaced.distributor_id
            and firewalls.serial_number = replaced.unit_id
            and period_windows.purpose <> 'previous'
        where period_windows.purpose <> 'billing' and firewalls.operating_system = 'SFOS'
    ),

    has_window_before as (
        select period, distributor_id
        from {{ ref("int_billing_periods") }}
        where
            period_starts_on
            > (select min(snapshot_date) from {{ ref("stg_files") }} where feed in ('usage', 'heartbeat'))
    ),

    billed as (
        select period, distributor_id, customer_id, product_code, unit_id from roster where is_active and reason is null
    ),

    quantities as (
        select period, distributor_id, customer_id, product_code, count(*) as quantity from billed group by all
    ),

    calendar_units as (
        select
            units_by_purpose.period,
            units_by_purpose.distributor_id,
            units_by_purpose.customer_id,
            units_by_purpose.product_code,
            count(distinct units_by_purpose.unit_id) as calendar_month_units
        from units_by_purpose
        inner join
            days_with_distributor
            on units_by_purpose.period = days_with_distributor.period
            and units_by_purpose.distributor_id = days_with_distributor.distributor_id
            and units_by_purpose.customer_id = days_with_distributor.customer_id
        where
            units_by_purpose.purpose = 'month_to_cutoff'
            and {{
                any_between(
                    "units_by_purpose.active_on",
                    add_days("days_with_distributor.first_day", "-1"),
                    add_days("days_with_distributor.last_day", "1"),
                )
            }}
        group by
            units_by_purpose.period,
            units_by_purpose.distributor_id,
            units_by_purpose.customer_id,
            units_by_purpose.product_code
    ),

    whole_month_units as (
        select period, distributor_id, customer_id, product_code, count(*) as whole_month_units
        from units_by_purpose
        where purpose = 'calendar'
        group by all
    ),

    previous_units as (select * from units_by_purpose where purpose = 'previous'),

    joined as (
        select billed.period, billed.distributor_id, billed.customer_id, billed.product_code, count(*) as joined
        from billed
        anti join
            previous_units
            on billed.period = previous_units.period
            and billed.distributor_id = previous_units.distributor_id
            and billed.customer_id = previous_units.customer_id
            and billed.product_code = previous_units.product_code
            and billed.unit_id = previous_units.unit_id
        group by all
    ),

    left_since as (
        select
            previous_units.period,
            previous_units.distributor_id,
            previous_units.customer_id,
            previous_units.product_code,
            count(*) as left_since
        from previous_units
        anti join
            billed
            on previous_units.period = billed.period
            and previous_units.distributor_id = billed.distributor_id
            and previous_units.customer_id = billed.customer_id
            and previous_units.product_code = billed.product_code
            and previous_units.unit_id = billed.unit_id
        group by all
    )

select
    licence_types.period,
    licence_types.distributor_id,
    customers.currency,
    licence_types.partner_id,
    customers.partner_name,
    licence_types.customer_id,
    customers.customer_name,
    licence_types.product_code,
    licence_types.licence_type,
    licence_types.owner,
    coalesce(quantities.quantity, 0) as quantity,
    coalesce(calendar_units.calendar_month_units, 0) as calendar_month_units,
    coalesce(whole_month_units.whole_month_units, 0) as whole_month_units,
    {# Nothing is known of a window that ended before the first snapshot: not 0, null. #}
    case when has_window_before.period is not null then coalesce(joined.joined, 0) end as joined,
    case when has_window_before.period is not null then coalesce(left_since.left_since, 0) end as left_since
from licence_types
left join
    has_window_before
    on licence_types.period = has_window_before.period
    and licence_types.distributor_id = has_window_before.distributor_id
inner join
    customers
    on licence_types.period = customers.period
    and licence_types.distributor_id = customers.distributor_id
    and licence_types.customer_id = customers.customer_id
{% for counted in ["quantities", "calendar_units", "whole_month_units", "joined", "left_since"] -%}
    left join
        {{ counted }}
        on licence_types.period = {{ counted }}.period
        and licence_types.distributor_id = {{ counted }}.distributor_id
        and licence_types.customer_id = {{ counted }}.customer_id
        and licence_types.product_code = {{ counted }}.product_code
{% endfor %}
