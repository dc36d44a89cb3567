{#
    "The one of the latest date, ties to the smallest id" (R6, R8, R9): the smallest pair of
    (days back from the window's end, id). Bytewise, whatever the locale.
#}
{% macro latest_then_smallest(last_active_on, window_ends_on, id) -%}
    min({{ record({"days_back": days_between(last_active_on, window_ends_on), "id": id}) }}).id
{%- endmacro %}

{# An aggregate: the value of the row that is last in an order, among those that have one. #}
{% macro last_known(value, order_by) -%}
    max_by({{ value }}, {{ order_by }}) filter (where {{ value }} is not null)
{%- endmacro %}

{#
    A number for a row's key, to find the keys that occur once without comparing texts. Different keys may
    share a number, so it may only decide who takes the longer way, which is right for everybody.
#}
{% macro fingerprint(columns) -%} {{ return(adapter.dispatch("fingerprint", "musterhouse")(columns)) }} {%- endmacro %}

{% macro duckdb__fingerprint(columns) -%} hash({{ columns | join(", ") }}) {%- endmacro %}

{% macro spark__fingerprint(columns) -%} xxhash64({{ columns | join(", ") }}) {%- endmacro %}
