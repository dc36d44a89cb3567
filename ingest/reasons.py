"""Why a row or a file was not taken: every reason code with its sentence.

Only the words belong here; the checks are in `ingest.rows`, `ingest.parse` and `ingest.intake`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

# What a terminal obeys instead of showing (control characters), what turns the direction of the
# text around it, and halves of a character that no file can be written with.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_LONGEST_SHOWN = 2_000


def printable(text: str, longest: int | None = _LONGEST_SHOWN) -> str:
    """A sender's text fit for a message: `\\u001b` for what must not be printed, not too long."""
    shown = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text[:longest])
    is_whole = longest is None or len(text) <= longest
    return shown if is_whole else f"{shown}… ({len(text):,} characters)"


class Reason(StrEnum):
    """A reason code, as `sentence` what it means to a person, and as `remedy`, for a file, what to
    do about it. What to do about a row follows from its sentence: send it again as that asks."""

    sentence: str
    remedy: str

    def __new__(cls, code: str, sentence: str, remedy: str = "") -> Self:
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.sentence = sentence
        reason.remedy = remedy
        return reason

    # Rows
    WRONG_FIELD_COUNT = (
        "wrong_field_count",
        "The row has more or fewer fields than the header.",
    )
    MALFORMED_QUOTES = (
        "malformed_quotes",
        "A quote stands inside an unquoted field, or text follows a closing quote.",
    )
    FIELD_TOO_LONG = ("field_too_long", "A field is longer than 65,536 bytes.")
    NUL_CHARACTER = ("nul_character", "A text holds the character NUL.")
    MISSING_VALUE = (
        "missing_value",
        "A required field is empty, or a field holds nothing but white space.",
    )
    INVALID_DATE = ("invalid_date", "The value is not a real date written YYYY-MM-DD.")
    INVALID_TIMESTAMP = (
        "invalid_timestamp",
        "The value is not a real UTC time written YYYY-MM-DDTHH:MM:SSZ.",
    )
    INVALID_INTEGER = (
        "invalid_integer",
        "The value is not a whole number from 0 to 999,999,999 written in digits.",
    )
    INVALID_DECIMAL = (
        "invalid_decimal",
        "The value is not a decimal number of at most 12 digits before and 6 after the point.",
    )
    INVALID_IDENTIFIER = (
        "invalid_identifier",
        "The id is unsafe as a file name: 1 to 64 letters, digits, dots, dashes, underscores.",
    )
    VALUE_NOT_ALLOWED = ("value_not_allowed", "The value is not one of those the contract lists.")
    WRONG_SNAPSHOT_DATE = (
        "wrong_snapshot_date",
        "The row's snapshot_date is not the date of the folder it was delivered in.",
    )
    FUTURE_TIME = (
        "future_time",
        "The time is later than the end of the snapshot date plus the allowed clock skew.",
    )
    DUPLICATE_KEY = ("duplicate_key", "Rows share a key in this file and differ.")

    # Files
    EMPTY_FILE = (
        "empty_file",
        "The file has no header.",
        "Send it with its header line, and without rows if there are none.",
    )
    WRONG_ENCODING = (
        "wrong_encoding",
        "The file is not valid UTF-8.",
        "Save it as UTF-8 and send it again.",
    )
    NUL_BYTE = (
        "nul_byte",
        "The file holds a NUL byte.",
        "Save it as UTF-8 text; a NUL often means UTF-16 or a damaged disk.",
    )
    CORRUPT_FILE = (
        "corrupt_file",
        "The file is cut short or damaged and cannot be read.",
        "Transfer it again, with a manifest beside it.",
    )
    FILE_TOO_LARGE = (
        "file_too_large",
        "The file, unpacked, is larger than allowed.",
        "Send what belongs in it; if that is so large, raise MUSTER_LARGEST_FILE_BYTES.",
    )
    NO_FINAL_LINE_BREAK = (
        "no_final_line_break",
        "The last line is not ended and no manifest vouches for it, so it may be cut short.",
        "End the last line, or put a manifest beside the file.",
    )
    UNCLOSED_QUOTE = (
        "unclosed_quote",
        "A quoted field runs over several lines and never closes properly.",
        "Close the quote; a quote inside a quoted field is doubled.",
    )
    WRONG_HEADER = (
        "wrong_header",
        "Columns are missing, renamed, repeated or out of order.",
        "Send the columns of the contract, by these names, in this order, separated by commas.",
    )
    WRONG_TYPE = (
        "wrong_type",
        "A Parquet column's type is not the contract's.",
        "Write the column with the contract's type.",
    )
    MANIFEST_INVALID = (
        "manifest_invalid",
        "The manifest beside the file cannot be used.",
        "Correct the manifest, or take it away.",
    )
    MANIFEST_MISMATCH = (
        "manifest_mismatch",
        "The manifest contradicts the file.",
        "Transfer both again, the file first.",
    )
    TWO_FILES_FOR_SLOT = (
        "two_files_for_slot",
        "Two files speak for one feed, date and source; the first by name counts.",
        "Take one of the two away.",
    )
    WRONG_DATE_FOLDER = (
        "wrong_date_folder",
        "Every row carries another date than the folder.",
        "Put the file into the folder of its date.",
    )
    IN_FORCE_ELSEWHERE = (
        "in_force_elsewhere",
        "The same bytes are in force for another feed, date or source.",
        "Take the copy away, or send the file that belongs here.",
    )
    RETRACTION_INVALID = (
        "retraction_invalid",
        "The retraction is not a JSON object with sha256, who and why.",
        "Write all three into it.",
    )
    RETRACTION_MISMATCH = (
        "retraction_mismatch",
        "The retraction names other bytes than those in force.",
        "Name the SHA-256 of the version to take back, or take the note away.",
    )


_BY_CODE = {str(one): one for one in Reason}


def told(reason: str | None, detail: str | None) -> str:
    """Why a file was not taken, where, and what to do about it: one line."""
    if reason is None:
        return detail or ""
    known = _BY_CODE[reason]
    return f"{detail or known.sentence.rstrip('.')}. {known.remedy}"


class Rejected(Exception):
    """The whole file is refused: `reason` is the code, `detail` what was found and where."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        # It may quote the sender, and is told in terminals and kept in the journal.
        self.detail = printable(detail)
        super().__init__(f"{reason}: {self.detail}")
