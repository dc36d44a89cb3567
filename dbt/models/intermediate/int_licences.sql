{{
    registry_history(
        "licences",
        key=["licence_id", "customer_id"],
        attributes=["product_code", "licence_type", "owner", "quantity", "serial_number", "starts_on", "ends_on"],
    )
}}
