{# A month's name, YYYY-MM. #}
{% macro period_of(month_starts_on) -%} substr(cast({{ month_starts_on }} as string), 1, 7) {%- endmacro %}

{# The first day of a date's month. #}
{% macro month_of(on_date) -%} cast(date_trunc('month', {{ on_date }}) as date) {%- endmacro %}

{# One row per date from `first` to `last`, a column `{{ name }}`; step is 'day' or 'month'. #}
{% macro date_spine(name, first, last, step) -%}
    {{ return(adapter.dispatch("date_spine", "musterhouse")(name, first, last, step)) }}
{%- endmacro %}

{% macro duckdb__date_spine(name, first, last, step) -%}
    cast(unnest(generate_series({{ first }}, {{ last }}, interval 1 {{ step }})) as date) as {{ name }}
{%- endmacro %}

{# Spark takes it for an error when `last` lies before `first`. #}
{% macro spark__date_spine(name, first, last, step) -%}
    explode(
        case when {{ first }} <= {{ last }} then sequence({{ first }}, {{ last }}, interval 1 {{ step }}) end
    ) as {{ name }}
{%- endmacro %}

{# A period as a number that grows by one a month. #}
{% macro month_index(period) -%}
    (cast(substr({{ period }}, 1, 4) as integer) * 12 + cast(substr({{ period }}, 6, 2) as integer))
{%- endmacro %}
