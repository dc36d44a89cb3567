"""Why a row or a file was not taken: every reason code with its sentence.

Only the words belong here; the checks are in `ingest.parse` and `ingest.intake`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A reason code and, as `sentence`, what it means to a person."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Self:
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.sentence = sentence
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
    MISSING_VALUE = ("missing_value", "A required field is empty.")
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
    EMPTY_FILE = ("empty_file", "The file has no header.")
    WRONG_ENCODING = ("wrong_encoding", "The file is not valid UTF-8.")
    NUL_BYTE = ("nul_byte", "The file holds a NUL byte.")
    CORRUPT_FILE = ("corrupt_file", "The file is cut short or damaged and cannot be read.")
    NO_FINAL_LINE_BREAK = (
        "no_final_line_break",
        "The last line is not ended and no manifest vouches for it, so it may be cut short.",
    )
    UNCLOSED_QUOTE = (
        "unclosed_quote",
        "A quoted field runs over several lines and never closes properly.",
    )
    WRONG_HEADER = ("wrong_header", "Columns are missing, renamed, repeated or out of order.")
    WRONG_TYPE = ("wrong_type", "A Parquet column's type is not the contract's.")
    MANIFEST_INVALID = ("manifest_invalid", "The manifest beside the file cannot be used.")
    MANIFEST_MISMATCH = ("manifest_mismatch", "The manifest contradicts the file.")
    TWO_FILES_FOR_SLOT = (
        "two_files_for_slot",
        "Two files speak for one feed, date and source; the first by name counts.",
    )
    WRONG_DATE_FOLDER = (
        "wrong_date_folder",
        "Every row carries another date than the folder.",
    )
    IN_FORCE_ELSEWHERE = (
        "in_force_elsewhere",
        "The same bytes are in force for another feed, date or source.",
    )
    RETRACTION_INVALID = (
        "retraction_invalid",
        "The retraction is not a JSON object with sha256, who and why.",
    )
    RETRACTION_MISMATCH = (
        "retraction_mismatch",
        "The retraction names other bytes than those in force.",
    )
