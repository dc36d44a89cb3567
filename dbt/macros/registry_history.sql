{#
    Validity of a registry's rows, derived from its daily snapshots (R11).

    On a day, a source says what its latest snapshot up to that day says (before its first: what the
    first says). The registry is the union of its sources; of a key that two sources hold, the later
    snapshot wins, then the smaller source name. What a first snapshot says of the days before it is
    a guess for want of better: another source's snapshot up to that day goes before it, however
    late the second source starts. Rows: one per key and stretch of days over which
    the attributes did not change: valid_from to valid_to, both included. `asserted_on` is the
    first snapshot that says so, which a stretch reaching back before all snapshots needs:
    a snapshot dated after a cut-off must not touch the period. A file whose rows were all refused is no snapshot: the
    one before stands in.
#}
{% macro registry_history(feed, key, attributes) -%}
    {%- set key_columns = key | join(", ") -%}
    {%- set attribute_columns = attributes | join(", ") -%}
    with
        rows_received as (select * from {{ ref("stg_" ~ feed) }}),

        snapshots as (
            select
                source,
                snapshot_date,
                case
                    when lag(snapshot_date) over by_source is null then date '0001-01-01' else snapshot_date
                end as valid_from,
                coalesce({{ add_days("lead(snapshot_date) over by_source", "-1") }}, date '9999-12-31') as valid_to
            from {{ ref("stg_files") }}
            where feed = '{{ feed }}' and is_wholly_refused is not true
            window by_source as (partition by source order by snapshot_date)
        ),

        asserted as (
            select rows_received.* except (load_id, row_number), snapshots.valid_from, snapshots.valid_to
            from rows_received
            inner join
                snapshots
                on rows_received.source = snapshots.source
                and rows_received.snapshot_date = snapshots.snapshot_date
        ),

        keys_in_several_sources as (
            select {{ key_columns }} from asserted group by {{ key_columns }} having count(distinct source) > 1
        ),

        boundaries as (
            select {{ key_columns }}, valid_from as starts_on
            from asserted
            semi join keys_in_several_sources using ({{ key_columns }})
            union
            select {{ key_columns }}, {{ add_days("valid_to", "1") }} as starts_on
            from asserted
            semi join keys_in_several_sources using ({{ key_columns }})
            where valid_to < date '9999-12-31'
            union
            {# From here on a source's first snapshot is no guess any more. #}
            select {{ key_columns }}, snapshot_date as starts_on
            from asserted
            semi join keys_in_several_sources using ({{ key_columns }})
        ),

        segments as (
            select
                {{ key_columns }},
                starts_on,
                coalesce(
                    {{ add_days("lead(starts_on) over (partition by " ~ key_columns ~ " order by starts_on)", "-1") }},
                    date '9999-12-31'
                ) as ends_on
            from boundaries
        ),

        settled as (
            select
                asserted.* except (valid_from, valid_to), segments.starts_on as valid_from, segments.ends_on as valid_to
            from asserted
            inner join
                segments on {% for column in key %} asserted.{{ column }} = segments.{{ column }} and {% endfor %}
                asserted.valid_from <= segments.starts_on and asserted.valid_to >= segments.ends_on
            qualify
                row_number() over (
                    partition by {% for column in key %} asserted.{{ column }}, {% endfor %} segments.starts_on
                    order by
                        asserted.snapshot_date > segments.starts_on,
                        case when asserted.snapshot_date > segments.starts_on then asserted.snapshot_date end,
                        asserted.snapshot_date desc,
                        asserted.source
                )
                = 1
        ),

        said as (
            select *
            from asserted
            anti join keys_in_several_sources using ({{ key_columns }})
            union all
            select *
            from settled
        ),

        marked as (
            select
                *,
                case
                    when
                        {% for column in attributes %}
                            {{ column }} is not distinct from lag({{ column }}) over by_key and
                        {% endfor %}
                        valid_from = {{ add_days("lag(valid_to) over by_key", "1") }}
                    then 0
                    else 1
                end as starts_stretch
            from said
            window by_key as (partition by {{ key_columns }} order by valid_from)
        ),

        numbered as (
            select
                *,
                sum(starts_stretch) over (
                    partition by {{ key_columns }} order by valid_from rows between unbounded preceding and current row
                ) as stretch
            from marked
        )

    select
        {{ key_columns }},
        {{ attribute_columns }},
        min(snapshot_date) as asserted_on,
        min(valid_from) as valid_from,
        max(valid_to) as valid_to
    from numbered
    group by {{ key_columns }}, {{ attribute_columns }}, stretch
{%- endmacro %}
