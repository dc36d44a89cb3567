{{
    registry_history(
        "partners",
        key=["partner_id"],
        attributes=["partner_name", "distributor_id", "country", "programme", "registered_on", "parent_partner_id"],
    )
}}
