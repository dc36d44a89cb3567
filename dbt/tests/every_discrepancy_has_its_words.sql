{#
    `muster status` tells a discrepancy by the words of its kind and severity: one without any would not be told at all.
#}
{{ config(meta={"dagster": {"ref": {"name": "discrepancies"}}}) }}

with
    discrepancies as (select * from {{ ref("discrepancies") }}), kinds as (select * from {{ ref("discrepancy_kinds") }})

select discrepancies.kind, discrepancies.severity, discrepancies.distributor_id
from discrepancies
anti join kinds on discrepancies.kind = kinds.kind and discrepancies.severity = kinds.severity
