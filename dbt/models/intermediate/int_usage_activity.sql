-- depends_on: {{ ref("stg_withdrawn_activity") }}
{{
    config(
        materialized="incremental",
        incremental_strategy="insert_overwrite" if target.type == "spark" else "delete+insert",
        unique_key="activity_month",
        partition_by="activity_month",
        pre_hook="{{ forget_withdrawn_months('usage') }}",
    )
}}

{{ activity_store("stg_usage", ["customer_id", "product_code", "device_id", "user_id"]) }}
