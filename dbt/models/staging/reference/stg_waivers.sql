select discrepancy_id, decision, reason, decided_by, decided_on from {{ source("reference", "waivers") }}
