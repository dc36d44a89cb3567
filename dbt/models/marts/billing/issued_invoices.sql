{# What was issued, from the ledger: never recomputed. #}
select
    distributor_id, sequence, number, kind, period, currency, cutoff_on, issue_on, due_on, total_amount, content_sha256
from {{ ref("stg_issued_documents") }}
