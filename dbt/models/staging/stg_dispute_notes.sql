select note_number, dispute_id, number, line_number, kind, note, noted_by, noted_on
from {{ source("ledger", "disputes") }}
