-- depends_on: {{ ref("stg_policies") }}
{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days"],
        contract={"enforced": false},
        persist_docs={"relation": false, "columns": false},
    )
}}

{{ units_on_date(attribution_in_force()) }}
