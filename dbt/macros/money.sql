{#
    Exact money (R19). DuckDB rounds DECIMAL half away from zero, but only to a literal number of
    places; minor units are 0, 2 or 3 (ISO 4217). Each branch is cast by itself: left to find a
    common type, CASE settles on no decimals at all.
#}
{% macro round_to_minor_units(amount, minor_units) -%}
    case
        {{ minor_units }}
        when 0
        then cast(round({{ amount }}, 0) as decimal(18, 3))
        when 2
        then cast(round({{ amount }}, 2) as decimal(18, 3))
        when 3
        then cast(round({{ amount }}, 3) as decimal(18, 3))
    end
{%- endmacro %}

{# The tax on a net amount at a rate in per cent: one rounding a document (R19). #}
{% macro tax_on(amount, rate, minor_units) -%}
    {{ round_to_minor_units("(" ~ amount ~ " * cast(" ~ rate ~ " as decimal(9, 6)) * 0.01)", minor_units) }}
{%- endmacro %}

{# A rounded amount as a whole number of minor units, for sharing out to the last one (R17). #}
{% macro in_minor_units(amount, minor_units) -%}
    case
        {{ minor_units }}
        when 0
        then cast({{ amount }} as bigint)
        when 2
        then cast({{ amount }} * 100 as bigint)
        when 3
        then cast({{ amount }} * 1000 as bigint)
    end
{%- endmacro %}

{% macro from_minor_units(minor_amount, minor_units) -%}
    case
        {{ minor_units }}
        when 0
        then cast({{ minor_amount }} as decimal(18, 3))
        when 2
        then cast(cast({{ minor_amount }} as decimal(18, 0)) * 0.01 as decimal(18, 3))
        when 3
        then cast(cast({{ minor_amount }} as decimal(18, 0)) * 0.001 as decimal(18, 3))
    end
{%- endmacro %}

{# How often the denominator goes into the numerator. A function: the SQL formatter takes the operator for a comment. #}
{% macro whole_quotient(numerator, denominator) -%}
    {{ return(adapter.dispatch("whole_quotient", "musterhouse")(numerator, denominator)) }}
{%- endmacro %}

{% macro spark__whole_quotient(numerator, denominator) -%}
    cast(({{ numerator }}) div({{ denominator }}) as bigint)
{%- endmacro %}

{# Whole numbers beyond a bigint. #}
{% macro wide_integer() -%} {{ return(adapter.dispatch("wide_integer", "musterhouse")()) }} {%- endmacro %}

{% macro duckdb__wide_integer() -%} hugeint {%- endmacro %}

{% macro spark__wide_integer() -%} decimal(38, 0) {%- endmacro %}

{% macro duckdb__whole_quotient(numerator, denominator) -%}
    cast(divide({{ numerator }}, {{ denominator }}) as bigint)
{%- endmacro %}
