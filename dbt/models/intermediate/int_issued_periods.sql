{#
    What is in force of each issued period (R24): the invoice or nil document that no credit note took
    back, and the cut-off and policies it keeps. A distributor with two currencies has two.
#}
select
    billed_period as period,
    distributor_id,
    currency,
    sequence,
    number,
    cutoff_on,
    active_window_days,
    device_user_attribution,
    firewall_evidence,
    replaced_hardware,
    correction_periods
from {{ ref("stg_issued_documents") }}
where is_invoice and not is_cancelled
