{#
    The activity store: one row per entity and month with a bit per active day, and the row that
    first asserted the latest of these days (smallest snapshot date, source and row number).

    bit_or and min are idempotent, commutative and associative, so replays, duplicates and any order
    of files give the same rows. An incremental run reads the files loaded since the last one,
    finds the months in which they say something new, and rewrites just these.

    Of a large backlog the variable `folded_through` lets one run fold the files up to a load_id, so that
    memory and disk for aggregating are bounded by the batch. The rows are the same in the end.
#}
{% macro activity_store(staged, entity) -%}
    {%- set entity_columns = entity | join(", ") -%}
    {%- set feed = staged | replace("stg_", "") -%}
    {%- set folded_through = var("folded_through", none) -%}
    with
        {% if is_incremental() %}
            stored as (select * from {{ this }}), folded as (select coalesce(max(load_id), 0) as load_id from stored),

        {% endif %}
        received as (
            select
                {{ entity_columns }},
                activity_month,
                {{ day_bit("active_on") }} as active_days,
                {{ activity_evidence(staged) }} as last_evidence,
                load_id
            from {{ ref(staged) }} as {{ staged }}
            where
                {% if folded_through is none %} true
                {% else %} load_id <= {{ folded_through }}
                {% endif %}
                {% if is_incremental() %}
                    and (
                        load_id > (select load_id from folded)
                        or activity_month in (
                            select activity_month
                            from {{ ref("stg_withdrawn_activity") }}
                            where feed = '{{ feed }}' and load_id > (select load_id from folded)
                        )
                    )
                {% endif %}
        ),

        {% if is_incremental() %}
            incoming as (
                select
                    {{ entity_columns }},
                    activity_month,
                    bit_or(active_days) as active_days,
                    min(last_evidence) as last_evidence,
                    max(load_id) as load_id
                from received
                group by {{ entity_columns }}, activity_month
            ),

            changed_months as (
                select distinct incoming.activity_month
                from incoming
                left join
                    stored on incoming.activity_month = stored.activity_month
                    {%- for column in entity %}
                        and incoming.{{ column }} is not distinct from stored.{{ column }}
                    {%- endfor %}
                where
                    stored.activity_month is null
                    or (stored.active_days | incoming.active_days) <> stored.active_days
                    or incoming.last_evidence < stored.last_evidence
            ),

            facts as (
                select {{ entity_columns }}, activity_month, active_days, last_evidence, load_id
                from incoming
                where activity_month in (select activity_month from changed_months)
                union all
                select {{ entity_columns }}, activity_month, active_days, last_evidence, load_id
                from stored
                where activity_month in (select activity_month from changed_months)
            ),
        {% else %} facts as (select * from received),
        {% endif %}

        folded_by_month as (
            select
                {{ entity_columns }},
                cast(bit_or(active_days) as integer) as active_days,
                min(last_evidence) as last_evidence,
                max(load_id) as load_id,
                {# Last, where Spark wants the column that a table is partitioned by. #}
                activity_month
            from facts
            group by {{ entity_columns }}, activity_month
        )

    select *
    from folded_by_month
{%- endmacro %}

{#
    Which row asserted an activity date. Compared as a whole, the smallest is the latest date's
    (`days_to_month_end` counts down), and of these the earliest snapshot's.
#}
{% macro activity_evidence(relation) -%}
    {{
        record(
            {
                "days_to_month_end": days_between(relation ~ ".active_on", "last_day(" ~ relation ~ ".active_on)"),
                "snapshot_date": relation ~ ".snapshot_date",
                "source": relation ~ ".source",
                "row_number": relation ~ ".row_number",
            }
        )
    }}
{%- endmacro %}
