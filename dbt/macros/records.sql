{# A record of names and expressions. Records compare field by field, so one is an order over several columns. #}
{% macro record(fields) -%} {{ return(adapter.dispatch("record", "musterhouse")(fields)) }} {%- endmacro %}

{% macro duckdb__record(fields) -%}
    {
        {%- for name, expression in fields.items() -%}
            '{{ name }}':{{ expression }} {%- if not loop.last %},{% endif -%}
        {%- endfor -%}
    }
{%- endmacro %}

{% macro spark__record(fields) -%}
    named_struct(
        {%- for name, expression in fields.items() -%}
            '{{ name }}', {{ expression }} {%- if not loop.last %},{% endif -%}
        {%- endfor -%}
    )
{%- endmacro %}
