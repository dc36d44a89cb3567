{#
    Every issued document, from the ledger: never recomputed. Credit and debit notes are here too; what a
    period was billed in all is the sum over its `billed_period`.
#}
select
    distributor_id,
    sequence,
    number,
    kind,
    period,
    billed_period,
    cancels,
    is_cancelled,
    currency,
    cutoff_on,
    issue_on,
    due_on,
    total_amount,
    tax_category,
    tax_rate,
    tax_amount,
    payable_amount,
    content_sha256,
    version_set_sha256
from {{ ref("stg_issued_documents") }}
