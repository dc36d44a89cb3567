{{
    config(
        materialized="table_function",
        parameters=["as_of", "window_days", "device_user_attribution"],
        contract={"enforced": false},
        persist_docs={"relation": false, "columns": false},
    )
}}

{{ units_on_date("device_user_attribution") }}
