{# Why two counts differ, in the order in which equal explanations are preferred. #}
{% macro causes() -%}
    {{
        return(
            [
                "cutoff",
                "window",
                "time_zone",
                "trial",
                "term",
                "unlicensed",
                "outside_programme",
                "move",
                "identity",
                "late_data",
                "retired_product",
                "unmatched_id",
                "no_monthly_licence",
                "joined",
                "left",
                "unexplained",
            ]
        )
    }}
{%- endmacro %}

{# Ways of counting: whoever counts so counts so for everybody. The other causes are facts about one customer. #}
{% macro ways_of_counting() -%} 'cutoff', 'window', 'time_zone', 'identity', 'late_data' {%- endmacro %}

{% macro cause_order(cause) -%}
    {%- set quoted = [] -%}
    {%- for known in causes() %} {%- do quoted.append("'" ~ known ~ "'") -%} {%- endfor -%}
    array_position({{ list_of(quoted) }}, {{ cause }})
{%- endmacro %}

{# Each reason a unit of the roster is not billed for is one cause of a difference. #}
{% macro cause_of_reason(reason) -%}
    case
        {{ reason }}
        when 'trial'
        then 'trial'
        when 'term'
        then 'term'
        when 'unlicensed'
        then 'unlicensed'
        when 'outside_flex'
        then 'outside_programme'
        when 'legacy_programme'
        then 'outside_programme'
        when 'excluded_territory'
        then 'outside_programme'
        when 'partner_resale'
        then 'outside_programme'
        when 'other_partner_of_record'
        then 'move'
        when 'moved_to_other_customer'
        then 'move'
        when 'attributed_to_other_user'
        then 'identity'
        when 'ha_member'
        then 'identity'
        when 'not_sfos'
        then 'identity'
        when 'replaced_hardware'
        then 'identity'
        when 'outside_window'
        then 'window'
        when 'unknown_product'
        then 'retired_product'
    end
{%- endmacro %}

{# A few of a list's texts, in order: `a, b, c, d, e and 12 others`. #}
{% macro a_few(texts) -%} {{ return(adapter.dispatch("a_few", "musterhouse")(texts)) }} {%- endmacro %}

{% macro duckdb__a_few(texts) -%}
    concat_ws(
        '',
        array_to_string(array_sort({{ texts }})[1:5], ', '),
        case when len({{ texts }}) > 5 then concat_ws('', ' and ', len({{ texts }}) - 5, ' others') else '' end
    )
{%- endmacro %}

{% macro spark__a_few(texts) -%}
    concat_ws(
        '',
        array_join(slice(array_sort({{ texts }}), 1, 5), ', '),
        case when size({{ texts }}) > 5 then concat_ws('', ' and ', size({{ texts }}) - 5, ' others') else '' end
    )
{%- endmacro %}

{# The date of a UTC time in a time zone, daylight saving included. #}
{% macro date_in_zone(at_utc, time_zone) -%}
    {{ return(adapter.dispatch("date_in_zone", "musterhouse")(at_utc, time_zone)) }}
{%- endmacro %}

{% macro duckdb__date_in_zone(at_utc, time_zone) -%}
    cast(timezone({{ time_zone }}, timezone('UTC', {{ at_utc }})) as date)
{%- endmacro %}

{% macro spark__date_in_zone(at_utc, time_zone) -%}
    cast(from_utc_timestamp({{ at_utc }}, {{ time_zone }}) as date)
{%- endmacro %}
