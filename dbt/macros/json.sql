{# JSON text, the same to the byte on every engine: no white space, fields in the order given, nulls written. #}
{# An object; `fields` are names and expressions. #}
{% macro json_object(fields) -%} {{ return(adapter.dispatch("json_object", "musterhouse")(fields)) }} {%- endmacro %}

{% macro duckdb__json_object(fields) -%} cast(to_json({{ record(fields) }}) as string) {%- endmacro %}

{% macro spark__json_object(fields) -%} to_json({{ record(fields) }}, map('ignoreNullFields', 'false')) {%- endmacro %}

{# An aggregate: the objects of a group's rows (those that meet `where`) in one list, in the order of expressions. #}
{% macro json_list(fields, order_by, where="true") -%}
    {{ return(adapter.dispatch("json_list", "musterhouse")(fields, order_by, where)) }}
{%- endmacro %}

{% macro duckdb__json_list(fields, order_by, where) -%}
    cast(
        to_json(
            array_agg({{ record(fields) }} order by {{ order_by | join(", ") }}) filter (where {{ where }})
        ) as string
    )
{%- endmacro %}

{% macro spark__json_list(fields, order_by, where) -%}
    to_json(
        transform(
            array_sort(
                array_agg(
                    named_struct(
                        {% for expression in order_by %}'order_{{ loop.index }}', {{ expression }}, {% endfor %}
                        'element',
                        {{ record(fields) }}
                    )
                ) filter (where {{ where }})
            ),
            ordered -> ordered.element
        ),
        map('ignoreNullFields', 'false')
    )
{%- endmacro %}

{# A text field of a JSON object. #}
{% macro json_field(json, field) -%}
    {{ return(adapter.dispatch("json_field", "musterhouse")(json, field)) }}
{%- endmacro %}

{% macro duckdb__json_field(json, field) -%} {{ json }} ->> '$.{{ field }}' {%- endmacro %}

{% macro spark__json_field(json, field) -%} get_json_object({{ json }}, '$.{{ field }}') {%- endmacro %}

{# The list of records in a JSON text; `fields` are names and types. #}
{% macro parsed_json_list(json, fields) -%}
    {{ return(adapter.dispatch("parsed_json_list", "musterhouse")(json, fields)) }}
{%- endmacro %}

{% macro duckdb__parsed_json_list(json, fields) -%} from_json({{ json }}, '[{
        {%- for name, type in fields.items() -%}
            "{{ name }}":"{{ type | upper }}"
            {%- if not loop.last %},{% endif -%}
        {%- endfor -%}
        }]') {%- endmacro %}

{% macro spark__parsed_json_list(json, fields) -%} from_json({{ json }}, 'array<struct<
        {%- for name, type in fields.items() -%}
            {{ name }}:{{ type }}
            {%- if not loop.last %},{% endif -%}
        {%- endfor -%}
        >>') {%- endmacro %}
