{#
    R21, "no number without its roster": every active unit shows the dates it was active on, all of them in the window
    and the last of them its last active date, and the landing row that said so. A distributor that disputes a unit
    is shown that row. Breaks when the evidence is looked up under another customer, device or date.
#}
{{ config(meta={"dagster": {"ref": {"name": "draft_roster"}}}) }}

select roster.period, roster.distributor_id, roster.customer_id, roster.product_code, roster.unit_kind, roster.unit_id
from {{ ref("draft_roster") }} as roster
inner join
    {{ ref("int_billing_periods") }} as periods
    on roster.period = periods.period
    and roster.distributor_id = periods.distributor_id
where
    roster.is_active
    and (
        roster.source_row is null
        or roster.source_name is null
        or coalesce(cardinality(roster.active_on), 0) = 0
        or {{ largest_of("roster.active_on") }} <> roster.last_active_on
        or {{ smallest_of("roster.active_on") }} < periods.window_starts_on
        or {{ largest_of("roster.active_on") }} > periods.cutoff_on
        {# A clock may run ahead of its snapshot's day, by less than a day (R3). #}
        or roster.source_snapshot_date < {{ add_days("roster.last_active_on", "-1") }}
    )
