{# Lists, which every engine writes its own way. Positions count from 1. #}
{% macro list_type(element) -%} {{ return(adapter.dispatch("list_type", "musterhouse")(element)) }} {%- endmacro %}

{% macro duckdb__list_type(element) -%} {{ element }} [] {%- endmacro %}

{% macro spark__list_type(element) -%} array<{{ element }}> {%- endmacro %}

{# A list of these expressions. #}
{% macro list_of(elements) -%} {{ return(adapter.dispatch("list_of", "musterhouse")(elements)) }} {%- endmacro %}

{% macro duckdb__list_of(elements) -%} [{{ elements | join(", ") }}] {%- endmacro %}

{% macro spark__list_of(elements) -%} array({{ elements | join(", ") }}) {%- endmacro %}

{% macro empty_list(element) -%} cast({{ list_of([]) }} as {{ list_type(element) }}) {%- endmacro %}

{# In a select list: one row per element. #}
{% macro exploded(list) -%} {{ return(adapter.dispatch("exploded", "musterhouse")(list)) }} {%- endmacro %}

{% macro duckdb__exploded(list) -%} unnest({{ list }}) {%- endmacro %}

{% macro spark__exploded(list) -%} explode({{ list }}) {%- endmacro %}

{# The first element; null when there is none. #}
{% macro first_of(list) -%} {{ return(adapter.dispatch("first_of", "musterhouse")(list)) }} {%- endmacro %}

{% macro duckdb__first_of(list) -%} {{ list }} [1] {%- endmacro %}

{% macro spark__first_of(list) -%} try_element_at({{ list }}, 1) {%- endmacro %}

{% macro largest_of(list) -%} {{ return(adapter.dispatch("largest_of", "musterhouse")(list)) }} {%- endmacro %}

{% macro duckdb__largest_of(list) -%} list_max({{ list }}) {%- endmacro %}

{% macro spark__largest_of(list) -%} array_max({{ list }}) {%- endmacro %}

{% macro smallest_of(list) -%} {{ return(adapter.dispatch("smallest_of", "musterhouse")(list)) }} {%- endmacro %}

{% macro duckdb__smallest_of(list) -%} list_min({{ list }}) {%- endmacro %}

{% macro spark__smallest_of(list) -%} array_min({{ list }}) {%- endmacro %}

{# Whether any element lies between two values, neither included. #}
{% macro any_between(list, low, high) -%}
    {{ return(adapter.dispatch("any_between", "musterhouse")(list, low, high)) }}
{%- endmacro %}

{% macro duckdb__any_between(list, low, high) -%}
    len(list_filter({{ list }}, lambda element:element > {{ low }} and element < {{ high }})) > 0
{%- endmacro %}

{% macro spark__any_between(list, low, high) -%}
    exists ({{ list }}, element -> element > {{ low }} and element < {{ high }})
{%- endmacro %}

{# The texts of a group in one, in the order of an expression. #}
{% macro joined_texts(text, separator, order_by) -%}
    {{ return(adapter.dispatch("joined_texts", "musterhouse")(text, separator, order_by)) }}
{%- endmacro %}

{% macro duckdb__joined_texts(text, separator, order_by) -%}
    string_agg({{ text }}, '{{ separator }}' order by {{ order_by }})
{%- endmacro %}

{% macro spark__joined_texts(text, separator, order_by) -%}
    listagg({{ text }}, '{{ separator }}') within group (order by {{ order_by }})
{%- endmacro %}

{# The different texts of a group in one, in their own order. #}
{% macro distinct_texts(text, separator) -%}
    {{ return(adapter.dispatch("distinct_texts", "musterhouse")(text, separator)) }}
{%- endmacro %}

{% macro duckdb__distinct_texts(text, separator) -%}
    string_agg(distinct {{ text }}, '{{ separator }}' order by {{ text }})
{%- endmacro %}

{% macro spark__distinct_texts(text, separator) -%}
    array_join(array_sort(array_agg(distinct {{ text }})), '{{ separator }}')
{%- endmacro %}
