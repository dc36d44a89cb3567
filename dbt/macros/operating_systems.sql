{#
    What a heartbeat says its firewall runs (R9): read without the spaces around it, in any case, by its beginning.
    A new system is one entry here; with one that is missing, licensed firewalls are a warning and not silence.
#}
{% macro known_operating_systems() -%} {{ return(["sfos", "utm"]) }} {%- endmacro %}

{# SFOS 20.0, sfos and ` SFOS` are the system that is billed. #}
{% macro is_sfos(operating_system) -%} lower(trim({{ operating_system }})) like 'sfos%' {%- endmacro %}

{% macro is_known_operating_system(operating_system) -%}
    (
        {%- for system in known_operating_systems() %}
            lower(trim({{ operating_system }})) like '{{ system }}%' {{ "" if loop.last else "or" }}
        {%- endfor %}
    )
{%- endmacro %}

{#
    Whether a heartbeat is evidence of the firewall, under the policy `firewall_evidence`. Under `latest`, which
    documents issued before it were made by, only the exact name counts.
#}
{% macro is_sfos_evidence(operating_system, firewall_evidence) -%}
    case
        when {{ firewall_evidence }} = 'latest'
        then {{ operating_system }} = 'SFOS'
        else {{ is_sfos(operating_system) }}
    end
{%- endmacro %}
