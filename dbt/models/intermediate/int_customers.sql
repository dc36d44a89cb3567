{{ registry_history("customers", key=["customer_id"], attributes=["customer_name", "partner_id", "status"]) }}
