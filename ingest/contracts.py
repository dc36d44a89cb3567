"""The contract of each landing feed: its columns in order, their types, and the key of a row.

Only declarations belong here. Reading files against them is `ingest.parse`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """How the text of a column is read; anything else is quarantined, never guessed."""

    TEXT = "text"
    IDENTIFIER = "identifier"  # becomes part of a path: see IDENTIFIER_PATTERN
    DATE = "date"  # YYYY-MM-DD
    TIMESTAMP = "timestamp"  # ISO 8601 UTC with Z, stored as UTC without zone
    INTEGER = "integer"  # zero or more, no sign, no fraction
    DECIMAL = "decimal"  # zero or more, up to 12 digits before and 6 after the point


# Letters, digits, dot, dash, underscore; starts with a letter or digit; at most 64 characters.
# Windows-reserved names (CON, NUL, COM1 …) and a trailing dot are refused as well.
IDENTIFIER_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$"
RESERVED_PATTERN = r"(?i)^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?$"

# What a file may take once it is unpacked; a machine with little memory lowers it. The snapshot of
# ten million devices has one gigabyte.
LARGEST_FILE_BYTES = 4 << 30


@dataclass(frozen=True)
class Column:
    """One column: `required` means a blank quarantines the row; `allowed` closes its values."""

    name: str
    type: ColumnType = ColumnType.TEXT
    required: bool = True
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """One feed. `activity_time` names the column whose UTC date is the activity date (R3)."""

    feed: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    activity_time: str | None = None

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


# What is counted and compared. Their files go with the retention policy, once no period needs them;
# the registry's say how a customer came to be what it is, for all time (R11).
EXPIRING = ("usage", "heartbeat", "portal_usage", "psa_additions")


def _text(name: str) -> Column:
    return Column(name)


def _optional(name: str) -> Column:
    return Column(name, required=False)


_SNAPSHOT_DATE = Column("snapshot_date", ColumnType.DATE)

_CONTRACTS = (
    Contract(
        feed="usage",
        columns=(
            _SNAPSHOT_DATE,
            _text("customer_id"),
            _text("product_code"),
            _text("device_id"),
            _optional("user_id"),
            Column("last_active_at", ColumnType.TIMESTAMP),
        ),
        key=("customer_id", "product_code", "device_id", "user_id"),
        activity_time="last_active_at",
    ),
    Contract(
        feed="heartbeat",
        columns=(
            _SNAPSHOT_DATE,
            _text("customer_id"),
            _text("serial_number"),
            _text("model"),
            _text("operating_system"),
            _text("firmware_version"),
            _optional("cluster_id"),
            Column("cluster_mode", required=False, allowed=("active-active", "active-passive")),
            Column("cluster_role", required=False),
            Column("last_heartbeat_at", ColumnType.TIMESTAMP),
        ),
        key=("customer_id", "serial_number"),
        activity_time="last_heartbeat_at",
    ),
    Contract(
        feed="customers",
        columns=(
            _SNAPSHOT_DATE,
            _text("customer_id"),
            _text("customer_name"),
            Column("partner_id", ColumnType.IDENTIFIER),
            Column("status", allowed=("active", "closed")),
        ),
        key=("customer_id",),
    ),
    Contract(
        feed="partners",
        columns=(
            _SNAPSHOT_DATE,
            Column("partner_id", ColumnType.IDENTIFIER),
            _text("partner_name"),
            Column("distributor_id", ColumnType.IDENTIFIER),
            _text("country"),
            Column("programme", allowed=("connect_flex", "connect", "msp_v1", "msp_v2")),
            Column("registered_on", ColumnType.DATE),
            Column("parent_partner_id", ColumnType.IDENTIFIER, required=False),
        ),
        key=("partner_id",),
    ),
    Contract(
        feed="licences",
        columns=(
            _SNAPSHOT_DATE,
            _text("licence_id"),
            _text("customer_id"),
            _text("product_code"),
            Column("licence_type", allowed=("trial", "monthly", "term")),
            Column("owner", allowed=("partner", "customer")),
            Column("quantity", ColumnType.INTEGER, required=False),
            _optional("serial_number"),
            Column("starts_on", ColumnType.DATE),
            Column("ends_on", ColumnType.DATE, required=False),
        ),
        key=("licence_id", "customer_id"),
    ),
    Contract(
        feed="transfers",
        columns=(
            _SNAPSHOT_DATE,
            _text("transfer_id"),
            _text("customer_id"),
            Column("from_partner_id", ColumnType.IDENTIFIER),
            Column("to_partner_id", ColumnType.IDENTIFIER),
            Column("effective_on", ColumnType.DATE),
            Column("current_partner_approved_on", ColumnType.DATE, required=False),
            Column("new_partner_approved_on", ColumnType.DATE, required=False),
            Column("customer_approved_on", ColumnType.DATE, required=False),
        ),
        key=("transfer_id",),
    ),
    Contract(
        feed="portal_usage",
        columns=(
            _SNAPSHOT_DATE,
            _text("customer_id"),
            _text("product_code"),
            Column("quantity", ColumnType.INTEGER),
        ),
        key=("customer_id", "product_code"),
    ),
    Contract(
        feed="psa_additions",
        columns=(
            _SNAPSHOT_DATE,
            _text("psa"),
            _text("company_id"),
            _text("agreement_id"),
            _text("addition_id"),
            _text("product_id"),
            Column("quantity", ColumnType.INTEGER),
            Column("unit_price", ColumnType.DECIMAL),
        ),
        key=("psa", "addition_id"),
    ),
)

FEEDS: dict[str, Contract] = {contract.feed: contract for contract in _CONTRACTS}
