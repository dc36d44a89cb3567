select programme, cast(bills_monthly as boolean) as bills_monthly, closed_to_new_on
from {{ source("reference", "programmes") }}
