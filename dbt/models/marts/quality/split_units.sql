{{
    config(
        materialized="table_function",
        parameters=["units_table"],
        contract={"enforced": false},
    )
}}

{#
    The caller's table lists somebody else's units, each with period, customer_id, product_code and unit_id; the other
    columns are null where it has none. Whatever is billed in the periods, distributors and partners it speaks of is
    compared. A unit on one side only has exactly one cause, the first that holds in the order of `place` below.

    No catalog name: the function is copied into the published file and reads the tables beside it.
#}
with
    accounts as (select * from {{ ref("customer_accounts").include(database=false) }}),

    roster as (select * from {{ ref("draft_roster").include(database=false) }}),

    candidates as (select * from {{ ref("count_candidates").include(database=false) }}),

    device_activity as (select * from {{ ref("device_activity").include(database=false) }}),

    firewall_activity as (select * from {{ ref("firewall_activity").include(database=false) }}),

    products as (select * from {{ ref("products").include(database=false) }}),

    named as (
        select
            cast(null as string) as against,
            cast(null as string) as period,
            cast(null as string) as distributor_id,
            cast(null as string) as partner_id,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            cast(null as string) as unit_id,
            cast(null as date) as counted_on
        where false
        union all by name
        select *
        from query_table(units_table)
    ),

    {# What is asked about at once: one other side, period, distributor and partner. #}
    given as (
        select
            * replace (coalesce(against, 'table') as against),
            dense_rank() over (order by coalesce(against, 'table'), period, distributor_id, partner_id) as scope_id
        from named
    ),

    scopes as (
        select scope_id, against, period, distributor_id, partner_id, max(counted_on) as counted_on
        from given
        group by scope_id, against, period, distributor_id, partner_id
    ),

    listed_customers as (
        select scope_id, customer_id, max(counted_on) as counted_on from given group by scope_id, customer_id
    ),

    {# The bill a customer's units belong to: the partner of record's, else of whom it left last. #}
    bills as (
        select listed_customers.scope_id, listed_customers.customer_id, accounts.* except (period, customer_id)
        from listed_customers
        inner join scopes on listed_customers.scope_id = scopes.scope_id
        inner join
            accounts
            on scopes.period = accounts.period
            and listed_customers.customer_id = accounts.customer_id
            and coalesce(scopes.distributor_id, accounts.distributor_id) = accounts.distributor_id
            and coalesce(scopes.partner_id, accounts.partner_id) = accounts.partner_id
        qualify
            row_number() over (
                partition by listed_customers.scope_id, listed_customers.customer_id
                order by
                    accounts.is_of_record desc,
                    accounts.had_until desc nulls last,
                    accounts.distributor_id,
                    accounts.partner_id
            )
            = 1
    ),

    listed_units as (
        select
            scope_id,
            against,
            period,
            distributor_id,
            partner_id,
            customer_id,
            product_code,
            unit_id,
            max(counted_on) as counted_on
        from given
        group by scope_id, against, period, distributor_id, partner_id, customer_id, product_code, unit_id
    ),

    theirs as (
        select
            listed_units.* replace (
                coalesce(bills.distributor_id, listed_units.distributor_id) as distributor_id,
                coalesce(bills.partner_id, listed_units.partner_id) as partner_id,
                coalesce(listed_units.counted_on, bills.cutoff_on) as counted_on
            ),
            bills.cutoff_on,
            bills.window_starts_on,
            bills.active_window_days,
            bills.customer_id is null as is_nobodys,
            bills.is_of_record,
            bills.billed_by_distributor_id,
            bills.billed_to_partner_id
        from listed_units
        left join bills on listed_units.scope_id = bills.scope_id and listed_units.customer_id = bills.customer_id
    ),

    ours as (
        select
            scopes.scope_id,
            scopes.against,
            roster.period,
            roster.distributor_id,
            roster.partner_id,
            roster.customer_id,
            roster.product_code,
            roster.unit_id,
            accounts.cutoff_on,
            accounts.window_starts_on,
            accounts.active_window_days,
            coalesce(listed_customers.counted_on, scopes.counted_on, accounts.cutoff_on) as counted_on,
            listed_customers.customer_id is null as is_customer_unlisted,
            roster.last_active_on
        from scopes
        inner join
            roster
            on scopes.period = roster.period
            and coalesce(scopes.distributor_id, roster.distributor_id) = roster.distributor_id
            and coalesce(scopes.partner_id, roster.partner_id) = roster.partner_id
        inner join
            accounts
            on roster.period = accounts.period
            and roster.distributor_id = accounts.distributor_id
            and roster.partner_id = accounts.partner_id
            and roster.customer_id = accounts.customer_id
        left join
            listed_customers
            on scopes.scope_id = listed_customers.scope_id
            and roster.customer_id = listed_customers.customer_id
        where roster.is_counted
    ),

    both_sides as (select theirs.* from theirs semi join ours using (scope_id, customer_id, product_code, unit_id)),

    only_theirs as (select theirs.* from theirs anti join ours using (scope_id, customer_id, product_code, unit_id)),

    only_ours as (select ours.* from ours anti join theirs using (scope_id, customer_id, product_code, unit_id)),

    one_sided as (
        select *
        from only_theirs
        union all by name
        select *
        from only_ours
    ),

    {# What the files say of these ids, be they a user's, a device's or a firewall's. #}
    activity as (
        select customer_id, product_code, user_id as unit_id, activity_month, active_days
        from device_activity
        union all
        select customer_id, product_code, device_id as unit_id, activity_month, active_days
        from device_activity
        union all
        select
            firewall_units.customer_id,
            firewall_units.product_code,
            firewall_units.unit_id,
            firewall_activity.activity_month,
            firewall_activity.active_days
        from
            (
                select distinct customer_id, product_code, unit_id
                from one_sided
                semi join
                    products on products.billing_unit = 'firewall' and one_sided.product_code = products.product_code
            ) as firewall_units
        inner join firewall_activity on firewall_units.unit_id = firewall_activity.serial_number
    ),

    active_days as (
        select
            one_sided.scope_id,
            one_sided.customer_id,
            one_sided.product_code,
            one_sided.unit_id,
            activity.activity_month,
            {{
                days_in_window(
                    "activity.active_days",
                    "activity.activity_month",
                    window_starts_on("one_sided.counted_on", "one_sided.active_window_days"),
                    "one_sided.counted_on",
                )
            }} as days_on_their_date,
            {{
                days_in_window(
                    "activity.active_days",
                    "activity.activity_month",
                    "activity.activity_month",
                    add_days("one_sided.window_starts_on", "-1"),
                )
            }} as days_before,
            {{
                days_in_window(
                    "activity.active_days",
                    "activity.activity_month",
                    add_days("one_sided.cutoff_on", "1"),
                    "last_day(activity.activity_month)",
                )
            }} as days_after
        from one_sided
        inner join
            activity
            on one_sided.customer_id = activity.customer_id
            and one_sided.product_code = activity.product_code
            and one_sided.unit_id = activity.unit_id
    ),

    when_active as (
        select
            scope_id,
            customer_id,
            product_code,
            unit_id,
            bool_or(days_on_their_date <> 0) as is_on_their_date,
            max({{ latest_day("days_before", "activity_month") }}) filter (where days_before <> 0) as last_before,
            max({{ latest_day("days_after", "activity_month") }}) filter (where days_after <> 0) as last_after
        from active_days
        group by scope_id, customer_id, product_code, unit_id
    ),

    {# The user that a device they list counts for in our window (R6). #}
    device_days as (
        select
            only_theirs.scope_id,
            only_theirs.period,
            only_theirs.distributor_id,
            only_theirs.customer_id,
            only_theirs.product_code,
            only_theirs.unit_id as device_id,
            device_activity.user_id,
            device_activity.activity_month,
            {{
                days_in_window(
                    "device_activity.active_days",
                    "device_activity.activity_month",
                    "only_theirs.window_starts_on",
                    "only_theirs.cutoff_on",
                )
            }} as days_here
        from only_theirs
        inner join
            device_activity
            on only_theirs.customer_id = device_activity.customer_id
            and only_theirs.product_code = device_activity.product_code
            and only_theirs.unit_id = device_activity.device_id
        where device_activity.user_id is not null
    ),

    device_users as (
        select scope_id, period, distributor_id, customer_id, product_code, device_id, user_id
        from device_days
        where days_here <> 0
        qualify
            row_number() over (
                partition by scope_id, customer_id, product_code, device_id
                order by {{ latest_day("days_here", "activity_month") }} desc, user_id
            )
            = 1
    ),

    devices_listed as (
        select
            device_users.scope_id,
            device_users.customer_id,
            device_users.product_code,
            device_users.device_id,
            roster.unit_id,
            roster.is_counted,
            roster.reason
        from device_users
        inner join
            roster
            on device_users.period = roster.period
            and device_users.distributor_id = roster.distributor_id
            and device_users.customer_id = roster.customer_id
            and device_users.product_code = roster.product_code
            and device_users.user_id = roster.unit_id
            and roster.unit_kind = 'user'
            and roster.is_active
    ),

    known_products as (select distinct product_code from products),

    findings_of_theirs as (
        select
            only_theirs.*,
            1 as place,
            'unmatched_id' as cause,
            concat_ws('', 'No bill of ', period, ' has a customer ', customer_id) as evidence
        from only_theirs
        where is_nobodys
        union all
        select
            only_theirs.*,
            2 as place,
            'unmatched_id' as cause,
            concat_ws('', 'There is no product ', product_code, ' here') as evidence
        from only_theirs
        anti join known_products using (product_code)
        where product_code <> 'firewall_unassigned'
        union all
        select
            only_theirs.*,
            3 as place,
            'retired_product' as cause,
            concat_ws(
                '', only_theirs.product_code, ' is no longer a product on the cut-off, ', only_theirs.cutoff_on
            ) as evidence
        from only_theirs
        semi join known_products on only_theirs.product_code = known_products.product_code
        anti join
            products
            on only_theirs.product_code = products.product_code
            and {{ valid_on("products", "only_theirs.cutoff_on") }}
        where not only_theirs.is_nobodys
        union all
        select
            only_theirs.*,
            4 as place,
            'move' as cause,
            concat_ws('', 'Billed to partner ', billed_to_partner_id, ' by ', billed_by_distributor_id) as evidence
        from only_theirs
        semi join
            roster
            on only_theirs.period = roster.period
            and only_theirs.customer_id = roster.customer_id
            and only_theirs.product_code = roster.product_code
            and only_theirs.unit_id = roster.unit_id
            and (roster.is_counted or roster.reason = 'other_partner_of_record')
        where not only_theirs.is_of_record
        union all
        {# A firewall without a licence is on the roster without a product. #}
        select
            only_theirs.*,
            5 as place,
            {{ cause_of_reason("roster.reason") }} as cause,
            concat_ws('', 'Not billed here: ', roster.reason, ', last active on ', roster.last_active_on) as evidence
        from only_theirs
        inner join
            roster
            on only_theirs.period = roster.period
            and only_theirs.distributor_id = roster.distributor_id
            and only_theirs.customer_id = roster.customer_id
            and only_theirs.unit_id = roster.unit_id
            and (
                only_theirs.product_code = roster.product_code
                or (roster.unit_kind = 'firewall' and roster.product_code = 'firewall_unassigned')
            )
        where roster.reason <> 'outside_window'
        union all
        select
            only_theirs.*,
            6 as place,
            case
                when devices_listed.is_counted then 'identity' else {{ cause_of_reason("devices_listed.reason") }}
            end as cause,
            concat_ws(
                '',
                'A device of ',
                devices_listed.unit_id,
                case
                    when devices_listed.is_counted
                    then ', who is counted'
                    else concat_ws('', ', not billed here: ', devices_listed.reason)
                end
            ) as evidence
        from only_theirs
        inner join
            devices_listed
            on only_theirs.scope_id = devices_listed.scope_id
            and only_theirs.customer_id = devices_listed.customer_id
            and only_theirs.product_code = devices_listed.product_code
            and only_theirs.unit_id = devices_listed.device_id
        union all
        select
            only_theirs.*,
            7 as place,
            'move' as cause,
            concat_ws(
                '', 'Counted for customer ', roster.customer_id, ', last active there on ', roster.last_active_on
            ) as evidence
        from only_theirs
        inner join
            roster
            on only_theirs.period = roster.period
            and only_theirs.product_code = roster.product_code
            and only_theirs.unit_id = roster.unit_id
            and only_theirs.customer_id <> roster.customer_id
            and roster.is_counted
        union all
        select
            only_theirs.*,
            8 as place,
            'cutoff' as cause,
            concat_ws(
                '',
                'Active in the ',
                only_theirs.active_window_days,
                ' dates up to ',
                only_theirs.counted_on,
                ', not in those up to ',
                only_theirs.cutoff_on
            ) as evidence
        from only_theirs
        semi join
            when_active
            on only_theirs.scope_id = when_active.scope_id
            and only_theirs.customer_id = when_active.customer_id
            and only_theirs.product_code = when_active.product_code
            and only_theirs.unit_id = when_active.unit_id
            and when_active.is_on_their_date
        where only_theirs.counted_on <> only_theirs.cutoff_on
        union all
        select
            only_theirs.*,
            9 as place,
            case when when_active.last_before is not null then 'window' else 'cutoff' end as cause,
            case
                when when_active.last_before is not null
                then
                    concat_ws(
                        '',
                        'Last active on ',
                        when_active.last_before,
                        '; the window begins on ',
                        only_theirs.window_starts_on
                    )
                else concat_ws('', 'Active on ', when_active.last_after, '; the window ends on ', only_theirs.cutoff_on)
            end as evidence
        from only_theirs
        inner join
            when_active
            on only_theirs.scope_id = when_active.scope_id
            and only_theirs.customer_id = when_active.customer_id
            and only_theirs.product_code = when_active.product_code
            and only_theirs.unit_id = when_active.unit_id
        where when_active.last_before is not null or when_active.last_after is not null
        union all
        select
            only_theirs.*,
            10 as place,
            'unmatched_id' as cause,
            'No file names it for this customer and product' as evidence
        from only_theirs
    ),

    findings_of_ours as (
        select
            only_ours.*,
            1 as place,
            'unmatched_id' as cause,
            concat_ws('', 'The other side lists nothing of customer ', customer_id) as evidence
        from only_ours
        where is_customer_unlisted
        union all
        select
            only_ours.*,
            2 as place,
            candidates.cause,
            case
                when candidates.cause = 'late_data'
                then
                    concat_ws(
                        '',
                        'No file dated up to ',
                        only_ours.counted_on,
                        ' tells of it, the first on ',
                        {{ add_days("candidates.counted_to", "1") }}
                    )
                else concat_ws('', 'No monthly licence in effect on ', only_ours.counted_on)
            end as evidence
        from only_ours
        inner join
            candidates
            on only_ours.period = candidates.period
            and only_ours.distributor_id = candidates.distributor_id
            and only_ours.customer_id = candidates.customer_id
            and only_ours.product_code = candidates.product_code
            and only_ours.unit_id = candidates.unit_id
            and only_ours.counted_on >= coalesce(candidates.counted_from, only_ours.counted_on)
            and only_ours.counted_on <= coalesce(candidates.counted_to, only_ours.counted_on)
        left join
            (select distinct scope_id, customer_id, product_code from theirs) as listed_products
            on only_ours.scope_id = listed_products.scope_id
            and only_ours.customer_id = listed_products.customer_id
            and only_ours.product_code = listed_products.product_code
        {# Who lists any unit of the product did see a licence. #}
        where
            candidates.cause = 'late_data'
            or (candidates.way in ('not_yet_licensed', 'no_longer_licensed') and listed_products.product_code is null)
        union all
        select
            only_ours.*,
            3 as place,
            'identity' as cause,
            concat_ws('', 'They list its device ', devices_listed.device_id) as evidence
        from only_ours
        inner join
            devices_listed
            on only_ours.scope_id = devices_listed.scope_id
            and only_ours.customer_id = devices_listed.customer_id
            and only_ours.product_code = devices_listed.product_code
            and only_ours.unit_id = devices_listed.unit_id
        union all
        select
            only_ours.*,
            4 as place,
            'move' as cause,
            concat_ws('', 'They list it for customer ', theirs.customer_id) as evidence
        from only_ours
        inner join
            theirs
            on only_ours.scope_id = theirs.scope_id
            and only_ours.product_code = theirs.product_code
            and only_ours.unit_id = theirs.unit_id
            and only_ours.customer_id <> theirs.customer_id
        union all
        select
            only_ours.*,
            5 as place,
            'cutoff' as cause,
            concat_ws(
                '',
                'Not active in the ',
                only_ours.active_window_days,
                ' dates up to ',
                only_ours.counted_on,
                '; here last on ',
                only_ours.last_active_on
            ) as evidence
        from only_ours
        anti join
            when_active
            on only_ours.scope_id = when_active.scope_id
            and only_ours.customer_id = when_active.customer_id
            and only_ours.product_code = when_active.product_code
            and only_ours.unit_id = when_active.unit_id
            and when_active.is_on_their_date
        where only_ours.counted_on <> only_ours.cutoff_on
        union all
        select
            only_ours.*,
            6 as place,
            'unexplained' as cause,
            concat_ws('', 'Counted here, last active on ', only_ours.last_active_on) as evidence
        from only_ours
    ),

    combined as (
        select *, 'both' as side, 0 as place, 0 as units
        from both_sides
        union all by name
        select *, 'theirs' as side, 1 as units
        from findings_of_theirs
        union all by name
        select *, 'ours' as side, -1 as units
        from findings_of_ours
    )

select
    against,
    period,
    distributor_id,
    partner_id,
    customer_id,
    product_code,
    unit_id,
    counted_on,
    side,
    cause,
    units,
    evidence
from combined
qualify
    row_number() over (partition by scope_id, side, customer_id, product_code, unit_id order by place, cause, evidence)
    = 1
