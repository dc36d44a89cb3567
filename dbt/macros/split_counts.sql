{#
    Splits the differences between our counts and somebody else's into causes that add up exactly to them.

    `counts` is a query with the columns against, period, distributor_id, partner_id, customer_id, product_code,
    quantity and counted_on: what one other side (`against`) counts; a null quantity is one it does not list, a null
    distributor or partner is whoever is billed, a null date is the cut-off. The other arguments are relations. Rows:
    one per compared customer and product and cause; where both agree one, without a cause.

    A candidate is one other way to count one customer's product, taken whole or not at all. Of the sets of at most
    `most_causes_together` candidates that add up exactly to the difference the smallest is taken, of several the
    first in the order of the causes. Before that, a way of counting must hold for the other side as a whole: it
    stays a candidate only if it is in a smallest set of more customers' products than it would wrongly change. Where
    nothing adds up, only a way of counting that explains most of what it touches is applied; all else is unexplained.
#}
{% macro split_counts(
    counts, accounts, quantities, candidates, device_activity, firewall_activity, firewall_claims, products
) -%}
    {%- set lengths = var("compared_window_days") -%}
    {%- set other_ways = ["calendar_month"] -%}
    {%- for length in lengths %} {% do other_ways.append(length ~ "_days") %} {% endfor -%}
    {%- set passes = ["first", "final"] -%}
    with
        counts as ({{ counts }}),

        accounts as (select * from {{ accounts }}),

        quantities as (select * from {{ quantities }}),

        known_candidates as (select * from {{ candidates }}),

        device_activity as (select * from {{ device_activity }}),

        firewall_activity as (select * from {{ firewall_activity }} where {{ is_sfos("operating_system") }}),

        firewall_claims as (select * from {{ firewall_claims }}),

        products as (select * from {{ products }}),

        asked as (
            select
                against,
                period,
                distributor_id,
                partner_id,
                customer_id,
                product_code,
                cast(sum(quantity) as bigint) as quantity,
                max(counted_on) as counted_on
            from counts
            group by against, period, distributor_id, partner_id, customer_id, product_code
        ),

        {# The bill the row belongs to: the partner of record's, else of whom the customer left last. #}
        placed as (
            select
                asked.*,
                accounts.distributor_id as account_distributor_id,
                accounts.partner_id as account_partner_id,
                accounts.is_of_record,
                accounts.cutoff_on,
                accounts.window_starts_on,
                accounts.active_window_days,
                accounts.device_user_attribution,
                accounts.billed_by_distributor_id,
                accounts.billed_to_partner_id
            from asked
            left join
                accounts
                on asked.period = accounts.period
                and asked.customer_id = accounts.customer_id
                and coalesce(asked.distributor_id, accounts.distributor_id) = accounts.distributor_id
                and coalesce(asked.partner_id, accounts.partner_id) = accounts.partner_id
            qualify
                row_number() over (
                    partition by
                        asked.against,
                        asked.period,
                        asked.distributor_id,
                        asked.partner_id,
                        asked.customer_id,
                        asked.product_code
                    order by
                        accounts.is_of_record desc nulls last,
                        accounts.had_until desc nulls last,
                        accounts.distributor_id,
                        accounts.partner_id
                )
                = 1
        ),

        known_products as (select distinct product_code from products),

        listed_customers as (
            select distinct against, period, distributor_id, partner_id, customer_id
            from asked
            where quantity is not null
        ),

        compared_found as (
            select
                row_number() over (
                    order by
                        placed.against,
                        placed.period,
                        placed.distributor_id,
                        placed.partner_id,
                        placed.customer_id,
                        placed.product_code
                ) as row_id,
                placed.against,
                placed.period,
                coalesce(placed.account_distributor_id, placed.distributor_id) as distributor_id,
                coalesce(placed.account_partner_id, placed.partner_id) as partner_id,
                placed.customer_id,
                placed.product_code,
                placed.cutoff_on,
                coalesce(placed.counted_on, placed.cutoff_on) as counted_on,
                placed.window_starts_on,
                placed.active_window_days,
                placed.device_user_attribution,
                placed.billed_by_distributor_id,
                placed.billed_to_partner_id,
                coalesce(quantities.quantity, 0) as our_quantity,
                coalesce(placed.quantity, 0) as their_quantity,
                coalesce(placed.quantity, 0) - coalesce(quantities.quantity, 0) as difference,
                placed.account_distributor_id is null as is_nobodys,
                listed_customers.customer_id is null as is_customer_unlisted,
                known_products.product_code is null
                and placed.product_code <> 'firewall_unassigned' as is_product_unknown,
                placed.cutoff_on is not null
                and known_products.product_code is not null
                and products.product_code is null as is_product_retired,
                placed.quantity is not null as is_listed,
                placed.is_of_record and quantities.customer_id is null as is_not_billed_here
            from placed
            left join
                quantities
                on placed.is_of_record
                and placed.period = quantities.period
                and placed.account_distributor_id = quantities.distributor_id
                and placed.customer_id = quantities.customer_id
                and placed.product_code = quantities.product_code
            left join
                listed_customers
                on placed.against = listed_customers.against
                and placed.period = listed_customers.period
                and placed.distributor_id is not distinct from listed_customers.distributor_id
                and placed.partner_id is not distinct from listed_customers.partner_id
                and placed.customer_id = listed_customers.customer_id
            left join known_products on placed.product_code = known_products.product_code
            left join
                products
                on placed.product_code = products.product_code
                and {{ valid_on("products", "placed.cutoff_on") }}
        ),

        {{ checkpoint("compared", "compared_found") }},

        {# Where all agree nothing need be counted again. #}
        disputed as (select distinct against, period, distributor_id from compared where difference <> 0),

        in_dispute as (
            select compared.*
            from compared
            semi join
                disputed
                on compared.against = disputed.against
                and compared.period = disputed.period
                and compared.distributor_id is not distinct from disputed.distributor_id
        ),

        {# The same units counted over other windows: our own, the one up to their date, and that one made longer. #}
        dates as (
            select distinct
                period,
                distributor_id,
                counted_on,
                cutoff_on,
                window_starts_on,
                active_window_days,
                device_user_attribution
            from in_dispute
            where not is_nobodys
        ),

        ways as (
            select *, 'own' as way, window_starts_on as starts_on, cutoff_on as ends_on
            from dates
            union all
            select
                *,
                'on_their_date' as way,
                {{ window_starts_on("counted_on", "active_window_days") }} as starts_on,
                counted_on as ends_on
            from dates
            union all
            select *, 'calendar_month' as way, {{ month_of("counted_on") }} as starts_on, counted_on as ends_on
            from dates
            {% for length in lengths %}
                union all
                select
                    *,
                    '{{ length }}_days' as way,
                    {{ window_starts_on("counted_on", length) }} as starts_on,
                    counted_on as ends_on
                from dates
            {% endfor %}
        ),

        spans as (select distinct starts_on, ends_on, device_user_attribution from ways),

        {# All rows of the devices that a customer in dispute ever had: another customer may have them now (R8). #}
        devices_in_dispute as (
            select distinct product_code, device_id
            from device_activity
            where customer_id in (select customer_id from in_dispute)
        ),

        masked as (
            select
                spans.starts_on,
                spans.ends_on,
                spans.device_user_attribution,
                device_activity.customer_id,
                device_activity.product_code,
                device_activity.device_id,
                device_activity.user_id,
                device_activity.activity_month,
                {{
                    days_in_window(
                        "device_activity.active_days",
                        "device_activity.activity_month",
                        "spans.starts_on",
                        "spans.ends_on",
                    )
                }} as active_days
            from spans
            inner join
                device_activity
                on device_activity.activity_month between {{ month_of("spans.starts_on") }} and spans.ends_on
            semi join
                devices_in_dispute
                on device_activity.product_code = devices_in_dispute.product_code
                and device_activity.device_id = devices_in_dispute.device_id
        ),

        active as (
            select
                starts_on,
                ends_on,
                device_user_attribution,
                customer_id,
                product_code,
                device_id,
                user_id,
                max({{ latest_day("active_days", "activity_month") }}) as last_active_on
            from masked
            where active_days <> 0
            group by starts_on, ends_on, device_user_attribution, customer_id, product_code, device_id, user_id
        ),

        {# R8, then R6, as in int_unit_activity. #}
        under_one_customer as (
            select *
            from active
            qualify
                customer_id = first_value(customer_id) over (
                    partition by starts_on, ends_on, device_user_attribution, product_code, device_id
                    order by last_active_on desc, customer_id
                )
        ),

        with_user as (
            select
                *,
                first_value(user_id) over (
                    partition by starts_on, ends_on, device_user_attribution, customer_id, product_code, device_id
                    order by user_id is null, last_active_on desc, user_id
                ) as latest_user_id
            from under_one_customer
        ),

        attributed as (
            select
                with_user.*,
                coalesce(products.billing_unit, 'user') = 'user' as is_per_user,
                case
                    when with_user.device_user_attribution = 'any' then with_user.user_id else with_user.latest_user_id
                end as counted_user_id
            from with_user
            left join
                products
                on with_user.product_code = products.product_code
                and {{ valid_on("products", "with_user.ends_on") }}
            {# No evidence of a firewall (R10). #}
            where products.billing_unit is distinct from 'firewall'
        ),

        units_in_span as (
            select
                starts_on,
                ends_on,
                device_user_attribution,
                customer_id,
                product_code,
                is_per_user and counted_user_id is not null as is_user,
                case when is_per_user then coalesce(counted_user_id, device_id) else device_id end as unit_id,
                max(last_active_on) as last_active_on
            from attributed
            where not is_per_user or counted_user_id is not null or latest_user_id is null
            group by all
        ),

        passive_members as (select distinct period, distributor_id, unit_id from known_candidates where way = 'boxes'),

        units_by_way as (
            select
                in_dispute.row_id, ways.way, units_in_span.is_user, units_in_span.unit_id, units_in_span.last_active_on
            from in_dispute
            inner join
                ways
                on in_dispute.period = ways.period
                and in_dispute.distributor_id = ways.distributor_id
                and in_dispute.counted_on = ways.counted_on
            inner join
                units_in_span
                on ways.starts_on = units_in_span.starts_on
                and ways.ends_on = units_in_span.ends_on
                and ways.device_user_attribution = units_in_span.device_user_attribution
                and in_dispute.customer_id = units_in_span.customer_id
                and in_dispute.product_code = units_in_span.product_code
            union all
            select
                in_dispute.row_id,
                ways.way,
                false as is_user,
                firewall_activity.serial_number as unit_id,
                max(
                    {{
                        latest_day(
                            days_in_window(
                                "firewall_activity.active_days",
                                "firewall_activity.activity_month",
                                "ways.starts_on",
                                "ways.ends_on",
                            ),
                            "firewall_activity.activity_month",
                        )
                    }}
                ) as last_active_on
            from in_dispute
            inner join
                ways
                on in_dispute.period = ways.period
                and in_dispute.distributor_id = ways.distributor_id
                and in_dispute.counted_on = ways.counted_on
            inner join
                firewall_claims
                on in_dispute.period = firewall_claims.period
                and in_dispute.distributor_id = firewall_claims.distributor_id
                and in_dispute.customer_id = firewall_claims.customer_id
                and in_dispute.product_code = firewall_claims.product_code
            inner join
                firewall_activity
                on firewall_claims.serial_number = firewall_activity.serial_number
                and firewall_activity.activity_month between {{ month_of("ways.starts_on") }} and ways.ends_on
                and {{
                    days_in_window(
                        "firewall_activity.active_days",
                        "firewall_activity.activity_month",
                        "ways.starts_on",
                        "ways.ends_on",
                    )
                }} <> 0
            anti join
                passive_members
                on firewall_claims.period = passive_members.period
                and firewall_claims.distributor_id = passive_members.distributor_id
                and firewall_claims.serial_number = passive_members.unit_id
            group by in_dispute.row_id, ways.way, firewall_activity.serial_number
        ),

        units_present_found as (
            select
                row_id,
                unit_id,
                max(last_active_on) as last_active_on,
                cast(bool_or(way = 'own') as bigint) as is_own,
                cast(bool_or(way = 'on_their_date') as bigint) as is_on_their_date
                {% for way in other_ways %}, cast(bool_or(way = '{{ way }}') as bigint) as is_{{ way }} {% endfor %}
            from units_by_way
            group by row_id, is_user, unit_id
        ),

        {{ checkpoint("units_present", "units_present_found") }},

        recounted as (
            select
                row_id,
                'cutoff' as cause,
                'on_their_date' as way,
                unit_id,
                is_on_their_date - is_own as units,
                last_active_on
            from units_present
            {% for way in other_ways %}
                union all
                select
                    row_id,
                    'window' as cause,
                    '{{ way }}' as way,
                    unit_id,
                    is_{{ way }} - is_on_their_date as units,
                    last_active_on
                from units_present
            {% endfor %}
        ),

        candidate_units as (
            select *
            from recounted
            where units <> 0
            union all
            select
                in_dispute.row_id,
                known_candidates.cause,
                known_candidates.way,
                known_candidates.unit_id,
                known_candidates.units,
                known_candidates.last_active_on
            from in_dispute
            inner join
                known_candidates
                on in_dispute.period = known_candidates.period
                and in_dispute.distributor_id = known_candidates.distributor_id
                and in_dispute.partner_id = known_candidates.partner_id
                and in_dispute.customer_id = known_candidates.customer_id
                and in_dispute.product_code = known_candidates.product_code
                and in_dispute.counted_on >= coalesce(known_candidates.counted_from, in_dispute.counted_on)
                and in_dispute.counted_on <= coalesce(known_candidates.counted_to, in_dispute.counted_on)
        ),

        labelled as (
            select
                *,
                concat_ws(
                    '',
                    unit_id,
                    case when abs(units) > 1 then concat_ws('', ' ×', abs(units)) else '' end,
                    case when last_active_on is not null then concat_ws('', ' (', last_active_on, ')') else '' end
                ) as label
            from candidate_units
        ),

        weighed as (
            select
                row_id,
                cause,
                way,
                cast(sum(units) as bigint) as units,
                cast(coalesce(sum(units) filter (where units > 0), 0) as bigint) as more,
                cast(coalesce(- sum(units) filter (where units < 0), 0) as bigint) as fewer,
                array_agg(label) filter (where units > 0) as units_more,
                array_agg(label) filter (where units < 0) as units_fewer
            from labelled
            group by row_id, cause, way
            having sum(units) <> 0
        ),

        {# A product we no longer sell and an id only one side has: the whole difference comes of it. #}
        unknown_to_one as (
            select
                row_id,
                case when is_product_retired then 'retired_product' else 'unmatched_id' end as cause,
                case
                    when is_product_retired
                    then 'retired'
                    when is_nobodys
                    then 'customer_unknown'
                    when is_product_unknown
                    then 'product_unknown'
                    else 'customer_unlisted'
                end as way,
                difference as units
            from in_dispute
            where difference <> 0 and (is_product_retired or is_nobodys or is_product_unknown or is_customer_unlisted)
        ),

        {# Under a stable number, so that of equally small sets the first in the order of causes is taken. #}
        first_candidates_found as (
            select
                *,
                cast(
                    row_number() over (
                        partition by row_id
                        order by
                            {{ cause_order("cause") }},
                            case when way in ('on_their_date', 'calendar_month', 'where_it_was') then 0 else 1 end,
                            way
                    ) as integer
                ) as place
            from
                (
                    select row_id, cause, way, units, more, fewer, units_more, units_fewer
                    from weighed
                    union all
                    select
                        row_id,
                        cause,
                        way,
                        units,
                        cast(null as bigint) as more,
                        cast(null as bigint) as fewer,
                        cast(null as {{ list_type("string") }}) as units_more,
                        cast(null as {{ list_type("string") }}) as units_fewer
                    from unknown_to_one
                ) as found
        ),

        {{ checkpoint("first_candidates", "first_candidates_found") }},

        {% for pass in passes %}
            {{ smallest_sets(pass, var("most_causes_together")) }},
            {% if pass == "first" %}
                in_a_smallest_set as (select distinct row_id, {{ exploded("places") }} as place from first_smallest),

                {# How far each way of counting holds where the other side counts at all: in how many rows, of how many. #}
                holding as (
                    select
                        in_dispute.against,
                        in_dispute.period,
                        in_dispute.distributor_id,
                        first_candidates.cause,
                        first_candidates.way,
                        count(in_a_smallest_set.row_id) as holds,
                        count(*) filter (
                            where
                                in_a_smallest_set.row_id is null
                                and (in_dispute.difference = 0 or solved.row_id is not null)
                        ) as fails,
                        count(*) as touches
                    from in_dispute
                    inner join first_candidates on in_dispute.row_id = first_candidates.row_id
                    left join
                        in_a_smallest_set
                        on first_candidates.row_id = in_a_smallest_set.row_id
                        and first_candidates.place = in_a_smallest_set.place
                    left join
                        (select distinct row_id from first_smallest) as solved on in_dispute.row_id = solved.row_id
                    anti join unknown_to_one on in_dispute.row_id = unknown_to_one.row_id
                    where in_dispute.is_listed and first_candidates.cause in ({{ ways_of_counting() }})
                    group by
                        in_dispute.against,
                        in_dispute.period,
                        in_dispute.distributor_id,
                        first_candidates.cause,
                        first_candidates.way
                ),

                final_candidates_found as (
                    select first_candidates.*, holding.holds, coalesce(holding.touches, 0) as touches
                    from in_dispute
                    inner join first_candidates on in_dispute.row_id = first_candidates.row_id
                    left join
                        holding
                        on in_dispute.against = holding.against
                        and in_dispute.period = holding.period
                        and in_dispute.distributor_id is not distinct from holding.distributor_id
                        and first_candidates.cause = holding.cause
                        and first_candidates.way = holding.way
                    where holding.way is null or holding.holds > holding.fails
                ),

                {{ checkpoint("final_candidates", "final_candidates_found") }},
            {% endif %}
        {% endfor %}

        chosen_sets as (
            select row_id, places, count(*) over (partition by row_id) - 1 as other_fits
            from final_smallest
            qualify row_number() over (partition by row_id order by places) = 1
        ),

        chosen as (
            select final_candidates.* except (holds, touches), chosen_sets.other_fits
            from (select row_id, {{ exploded("places") }} as place, other_fits from chosen_sets) as chosen_sets
            inner join
                final_candidates
                on chosen_sets.row_id = final_candidates.row_id
                and chosen_sets.place = final_candidates.place
        ),

        {# Nothing adds up: only what explains most of what it touches is applied, one way of each cause. #}
        applied as (
            select final_candidates.* except (holds, touches), 0 as other_fits
            from final_candidates
            inner join in_dispute on final_candidates.row_id = in_dispute.row_id
            anti join chosen_sets on final_candidates.row_id = chosen_sets.row_id
            where
                in_dispute.difference <> 0
                and in_dispute.is_listed
                and 2 * final_candidates.holds > final_candidates.touches
                and final_candidates.cause in ({{ ways_of_counting() }})
            qualify
                row_number() over (
                    partition by final_candidates.row_id, final_candidates.cause
                    order by final_candidates.holds desc, final_candidates.place
                )
                = 1
        ),

        explained as (
            select *
            from chosen
            union all
            select *
            from applied
        ),

        licensed_otherwise as (
            select distinct row_id from first_candidates where cause in ('trial', 'term', 'outside_programme')
        ),

        {# A count that nothing explains, of a product the customer is billed nothing of and has no licence for. #}
        unexplained as (
            select
                in_dispute.row_id,
                case
                    when in_dispute.is_not_billed_here and licensed_otherwise.row_id is null
                    then 'no_monthly_licence'
                    else 'unexplained'
                end as cause,
                in_dispute.difference - coalesce(sum(explained.units), 0) as units
            from in_dispute
            left join explained on in_dispute.row_id = explained.row_id
            left join licensed_otherwise on in_dispute.row_id = licensed_otherwise.row_id
            group by in_dispute.row_id, in_dispute.difference, in_dispute.is_not_billed_here, licensed_otherwise.row_id
            having in_dispute.difference <> coalesce(sum(explained.units), 0)
        ),

        causes as (
            select row_id, cause, way, units, more, fewer, units_more, units_fewer, other_fits
            from explained
            union all
            select
                row_id,
                cause,
                cast(null as string) as way,
                cast(units as bigint) as units,
                cast(null as bigint) as more,
                cast(null as bigint) as fewer,
                cast(null as {{ list_type("string") }}) as units_more,
                cast(null as {{ list_type("string") }}) as units_fewer,
                0 as other_fits
            from unexplained
        )

    select
        compared.against,
        compared.period,
        compared.distributor_id,
        compared.partner_id,
        compared.customer_id,
        compared.product_code,
        compared.counted_on,
        compared.our_quantity,
        compared.their_quantity,
        compared.difference,
        causes.cause,
        causes.units,
        cast(coalesce(causes.other_fits, 0) as bigint) as other_fits,
        {{ evidence_of_split() }} as evidence
    from compared
    left join causes on compared.row_id = causes.row_id
{%- endmacro %}

{# The smallest sets of candidates, of different causes, that add up to a row's difference; `places` are their numbers. #}
{% macro smallest_sets(pass, most) -%}
    {{ pass }}_sets_0 as (
        select row_id, difference, cast(0 as bigint) as units, 0 as last_order, {{ empty_list("integer") }} as places
        from in_dispute
        where difference <> 0
    ),

    {# Another window was counted up to their date: where that date alone makes a difference, the set holds it. #}
    {{ pass }}_ordered as (
        select
            row_id,
            place,
            units,
            {{ cause_order("cause") }} as cause_order,
            case
                when cause = 'window' and bool_or(way = 'on_their_date') over (partition by row_id)
                then {{ cause_order("'cutoff'") }}
                else 0
            end as after_order
        from {{ pass }}_candidates
    ),

    {% for size in range(1, most + 1) %}
        {{ pass }}_sets_{{ size }} as (
            select
                sets.row_id,
                sets.difference,
                sets.units + candidates.units as units,
                candidates.cause_order as last_order,
                array_append(sets.places, candidates.place) as places
            from {{ pass }}_sets_{{ size - 1 }} as sets
            inner join
                {{ pass }}_ordered as candidates
                on sets.row_id = candidates.row_id
                and sets.last_order < candidates.cause_order
                and sets.last_order >= candidates.after_order
            {% if size > 1 %}
                anti join
                    (select distinct row_id from {{ pass }}_sets_{{ size - 1 }} where units = difference) as solved
                    on sets.row_id = solved.row_id
            {% endif %}
        ),
    {% endfor %}
    {{ pass }}_smallest_found as (
        {% for size in range(1, most + 1) %}
            select row_id, places
            from {{ pass }}_sets_{{ size }}
            where units = difference
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    {{ checkpoint(pass ~ "_smallest", pass ~ "_smallest_found") }}
{%- endmacro %}

{# One sentence per cause: what the other side did, on which date, and with which units. #}
{% macro evidence_of_split() -%}
    case
        when causes.cause is null
        then cast(null as string)
        when causes.cause = 'unexplained'
        then
            case
                when compared.is_listed
                then 'No other way of counting, and nothing known of this customer, adds up to it.'
                else
                    concat_ws(
                        '', 'The other side lists no ', compared.product_code, ' of this customer; nothing says why.'
                    )
            end
        when causes.cause = 'no_monthly_licence'
        then
            concat_ws(
                '',
                'Nothing of ',
                compared.product_code,
                ' is billed to this customer in ',
                compared.period,
                ': no monthly licence that bills was in effect.'
            )
        when causes.cause = 'retired_product'
        then concat_ws('', compared.product_code, ' is no longer a product on the cut-off, ', compared.cutoff_on, '.')
        when causes.cause = 'unmatched_id'
        then
            case
                causes.way
                when 'customer_unknown'
                then concat_ws('', 'No bill of ', compared.period, ' has a customer ', compared.customer_id, '.')
                when 'product_unknown'
                then concat_ws('', 'There is no product ', compared.product_code, ' here.')
                else concat_ws('', 'The other side lists nothing of customer ', compared.customer_id, '.')
            end
        else
            concat_ws(
                '',
                case
                    when causes.way = 'on_their_date'
                    then concat_ws('', 'Counted on ', compared.counted_on, ', here on ', compared.cutoff_on)
                    when causes.way = 'not_yet_licensed'
                    then concat_ws('', 'No monthly licence yet on ', compared.counted_on)
                    when causes.way = 'no_longer_licensed'
                    then concat_ws('', 'No monthly licence any more on ', compared.counted_on)
                    when causes.way = 'calendar_month'
                    then concat_ws('', 'The calendar month up to ', compared.counted_on, ' counted')
                    when causes.cause = 'window'
                    then
                        concat_ws(
                            '',
                            replace(causes.way, '_days', ''),
                            ' dates up to ',
                            compared.counted_on,
                            ' counted, here ',
                            compared.active_window_days
                        )
                    when causes.cause = 'time_zone'
                    then concat_ws('', 'Days of ', causes.way, ' counted, here UTC')
                    when causes.cause in ('trial', 'term')
                    then concat_ws('', 'Not billed here, on a ', causes.cause, ' licence')
                    when causes.cause = 'unlicensed'
                    then 'Not billed here, without a licence'
                    when causes.cause = 'outside_programme'
                    then concat_ws('', 'Not billed here: ', causes.way)
                    when causes.way = 'billed_elsewhere'
                    then
                        concat_ws(
                            '',
                            'Billed to partner ',
                            compared.billed_to_partner_id,
                            ' by ',
                            compared.billed_by_distributor_id
                        )
                    when causes.way = 'where_it_was'
                    then 'Counted for the customer the device was with before'
                    when causes.way = 'on_both_sides'
                    then 'Counted for both customers of a device that moved'
                    when causes.way = 'devices'
                    then 'Devices counted, here users'
                    when causes.way = 'boxes'
                    then 'Every box counted, here a pair once and SFOS only'
                    when causes.way = 'every_user'
                    then 'Every user of a device counted, here its latest'
                    when causes.way = 'known_later'
                    then concat_ws('', 'Told by files dated after ', compared.counted_on)
                end,
                ': ',
                concat_ws(
                    '; ',
                    case
                        when causes.more > 0
                        then concat_ws('', causes.more, ' more: ', {{ a_few("causes.units_more") }})
                    end,
                    case
                        when causes.fewer > 0
                        then concat_ws('', causes.fewer, ' fewer: ', {{ a_few("causes.units_fewer") }})
                    end
                ),
                '.'
            )
    end
{%- endmacro %}
