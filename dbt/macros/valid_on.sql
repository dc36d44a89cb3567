{# Effective-dated reference data: the version valid on a date, both ends included. #}
{% macro valid_on(alias, on_date) -%}
    {{ on_date }} >= {{ alias }}.valid_from and ({{ alias }}.valid_to is null or {{ on_date }} <= {{ alias }}.valid_to)
{%- endmacro %}
