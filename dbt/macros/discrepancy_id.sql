{#
    A discrepancy's id hashes its kind, period, keys, expected and found (R23): a changed figure is a
    new discrepancy, so that a waiver never covers more than the person who gave it saw.
#}
{% macro discrepancy_id(kind, period, keys, expected, found) -%}
    {%- set hashed -%}
        concat_ws(
            '|',
            {{ kind }},
            {{ period }},
            {% for key in keys %} coalesce({{ key }}, ''), {% endfor %}
            coalesce({{ expected }}, ''),
            coalesce({{ found }}, '')
        )
    {%- endset -%}
    substr({{ sha256(hashed) }}, 1, 16)
{%- endmacro %}

{# SHA-256 in lower-case hexadecimal. #}
{% macro sha256(text) -%} {{ return(adapter.dispatch("sha256", "musterhouse")(text)) }} {%- endmacro %}

{% macro duckdb__sha256(text) -%} sha256({{ text }}) {%- endmacro %}

{% macro spark__sha256(text) -%} sha2({{ text }}, 256) {%- endmacro %}
