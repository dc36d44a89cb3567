{#
    A discrepancy's id hashes its kind, period, keys, expected and found (R23): a changed figure is a
    new discrepancy, so that a waiver never covers more than the person who gave it saw.
#}
{% macro discrepancy_id(kind, period, keys, expected, found) -%}
    substr(
        sha256(
            concat_ws(
                '|',
                {{ kind }},
                {{ period }},
                {% for key in keys %} coalesce({{ key }}, ''), {% endfor %}
                coalesce({{ expected }}, ''),
                coalesce({{ found }}, '')
            )
        ),
        1,
        16
    )
{%- endmacro %}
