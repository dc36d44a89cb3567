{# A model's schema is the one its folder names: the same word in SQL, in Dagster and on disk. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
