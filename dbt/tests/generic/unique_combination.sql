{#
    No two rows agree in all of `columns`; nulls count as equal, as they do in a key. It gives the rows whole, so that it
    is known whose they are (R22).
#}
{% test unique_combination(model, columns) %}
    with
        repeated as (
            select {{ columns | join(", ") }} from {{ model }} group by {{ columns | join(", ") }} having count(*) > 1
        )

    select entries.*
    from {{ model }} as entries
    semi join
        repeated
        on {% for column in columns -%}
            entries.{{ column }} is not distinct from repeated.{{ column }} {%- if not loop.last %} and {% endif %}
        {%- endfor %}
{% endtest %}
