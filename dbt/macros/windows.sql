{#
    Window arithmetic lives here and nowhere else (R2).

    An activity row holds one month of one device or firewall as a bit per day: bit 0 is the 1st.
    A window is a mask over those bits.
#}
{# First date of the window of `active_window_days` dates that ends on `window_ends_on`, both included. #}
{% macro window_starts_on(window_ends_on, active_window_days) -%}
    {{ add_days(window_ends_on, "1 - " ~ active_window_days) }}
{%- endmacro %}

{# The bit of a date in its month. #}
{% macro day_bit(active_on) -%} {{ shift_left("1", "extract(day from " ~ active_on ~ ") - 1") }} {%- endmacro %}

{# Every bit of the month from its 1st through `through`; none when `through` lies before it. #}
{% macro day_bits_through(activity_month, through) -%}
    ({{ shift_left("1", "greatest(0, least(31, " ~ days_between(activity_month, through) ~ " + 1))") }} - 1)
{%- endmacro %}

{# The days of one activity row that lie in the window. #}
{% macro days_in_window(active_days, activity_month, starts_on, ends_on) -%}
    (
        {{ active_days }} & cast(
            {{ day_bits_through(activity_month, ends_on) }}
            - {{ day_bits_through(activity_month, add_days(starts_on, "-1")) }} as integer
        )
    )
{%- endmacro %}

{# The latest date among the bits; `active_days` must not be 0. #}
{% macro latest_day(active_days, activity_month) -%}
    {{ add_days(activity_month, "cast(length(bin(" ~ active_days ~ ")) as integer) - 1") }}
{%- endmacro %}

{# The bits decoded: an ascending list of dates. #}
{% macro active_dates(active_days, activity_month) -%}
    {{ return(adapter.dispatch("active_dates", "musterhouse")(active_days, activity_month)) }}
{%- endmacro %}

{% macro duckdb__active_dates(active_days, activity_month) -%}
    list_transform(
        list_filter(range(0, 31), lambda day_index: ({{ active_days }} >> cast(day_index as integer)) & 1 = 1),
        lambda day_index:{{ activity_month }} + cast(day_index as integer)
    )
{%- endmacro %}

{% macro spark__active_dates(active_days, activity_month) -%}
    transform(
        filter(sequence(0, 30), day_index -> (({{ active_days }} >> day_index) & 1) = 1),
        day_index -> date_add({{ activity_month }}, day_index)
    )
{%- endmacro %}

{# The cut-off in a month (R1): the month's last day, or `cutoff_day` clamped to it. #}
{% macro cutoff_on(month_starts_on, cutoff_day) -%}
    least(
        last_day({{ month_starts_on }}),
        {{ add_days(month_starts_on, "cast(coalesce(" ~ cutoff_day ~ ", 31) as integer) - 1") }}
    )
{%- endmacro %}

{# What differs between engines: date arithmetic and shifts. #}
{% macro add_days(from_date, day_count) -%}
    {{ return(adapter.dispatch("add_days", "musterhouse")(from_date, day_count)) }}
{%- endmacro %}

{% macro duckdb__add_days(from_date, day_count) -%} ({{ from_date }} + cast({{ day_count }} as integer)) {%- endmacro %}

{% macro spark__add_days(from_date, day_count) -%}
    date_add({{ from_date }}, cast({{ day_count }} as integer))
{%- endmacro %}

{% macro days_between(from_date, to_date) -%}
    {{ return(adapter.dispatch("days_between", "musterhouse")(from_date, to_date)) }}
{%- endmacro %}

{% macro duckdb__days_between(from_date, to_date) -%} ({{ to_date }} - {{ from_date }}) {%- endmacro %}

{% macro spark__days_between(from_date, to_date) -%} datediff({{ to_date }}, {{ from_date }}) {%- endmacro %}

{% macro shift_left(operand, places) -%}
    {{ return(adapter.dispatch("shift_left", "musterhouse")(operand, places)) }}
{%- endmacro %}

{% macro duckdb__shift_left(operand, places) -%}
    (cast({{ operand }} as bigint) << cast({{ places }} as bigint))
{%- endmacro %}

{% macro spark__shift_left(operand, places) -%}
    shiftleft(cast({{ operand }} as bigint), cast({{ places }} as integer))
{%- endmacro %}
