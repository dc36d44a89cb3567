"""One delivered file read against its contract: rows accepted, rows quarantined, or all refused.

Only what follows from the file itself belongs here: splitting it into fields is `ingest.rows`'s,
versions and storage are `ingest.intake`'s.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import polars as pl

from ingest.contracts import (
    IDENTIFIER_PATTERN,
    LARGEST_FILE_BYTES,
    RESERVED_PATTERN,
    Column,
    ColumnType,
    Contract,
)
from ingest.landing import Format
from ingest.manifest import Manifest
from ingest.reasons import Reason, Rejected
from ingest.rows import (
    POLARS_TYPE,
    TEXTS,
    Rows,
    check_magic,
    check_size,
    decompress,
    in_calendar,
    is_bounded,
    largest_unpacked,
    read_csv,
    read_in_a_child,
    read_parquet,
)

MAX_FIELD_BYTES = 65_536
# The archive keeps the whole row; the quarantine shows enough of it to be recognised.
MAX_RAW_TEXT = 4_096
MAX_INTEGER = 999_999_999

_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIMESTAMP = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?Z$"
)
_WHOLE_SECONDS_BYTES = len("2026-01-31T23:59:59Z")
_INTEGER = r"^[0-9]{1,9}$"
_DECIMAL = r"^[0-9]{1,12}(?:\.[0-9]{1,6})?$"
_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
_BLANK = r"^\s+$"
_EMAIL_COLUMNS = ("user_id", "device_id")

_INVALID = {
    ColumnType.DATE: Reason.INVALID_DATE,
    ColumnType.TIMESTAMP: Reason.INVALID_TIMESTAMP,
    ColumnType.INTEGER: Reason.INVALID_INTEGER,
    ColumnType.DECIMAL: Reason.INVALID_DECIMAL,
}
_NONE_QUARANTINED = pl.DataFrame(
    schema={
        "row_number": pl.Int64(),
        "line_number": pl.Int64(),
        "column_name": pl.String(),
        "reason": pl.String(),
        "raw_text": pl.String(),
    }
)


@dataclass(frozen=True)
class Parsed:
    """A file that was read. rows_in_file = accepted + quarantined + duplicates, always.

    `accepted` has the contract's columns, typed, and row_number (1-based, of the data rows);
    usage and heartbeat are ordered by activity date, so that they cluster by activity month.
    `quarantined` has row_number, line_number (of the CSV, the header is line 1; for Parquet the
    row number), column_name, reason and raw_text. `duplicates` counts exact repeats left out.
    `warnings` are "code: sentence"; byte_order_mark and crlf are for information only.
    `verified` says that a manifest vouched for rows and bytes.
    """

    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    rows_in_file: int
    duplicates: int
    warnings: tuple[str, ...]
    verified: bool


def accepted_schema(contract: Contract) -> dict[str, pl.DataType]:
    """Column names and types of `Parsed.accepted`."""
    schema = {column.name: POLARS_TYPE[column.type] for column in contract.columns}
    return {**schema, "row_number": pl.Int64()}


def parse(
    path: Path,
    format: Format,
    contract: Contract,
    snapshot_date: date,
    clock_skew_minutes: int,
    manifest: bytes | None = None,
    largest_file_bytes: int | None = LARGEST_FILE_BYTES,
) -> Parsed:
    """Read a file of a feed for a snapshot date. Same content, same frames, in every format.

    `manifest` is the text of the file beside it. `largest_file_bytes` bounds the unpacked size,
    None for a file that was accepted before, whatever the bounds were. Raises Rejected when the
    whole file is refused and OSError when it cannot be read from disk.
    """
    promise = Manifest.read(manifest, contract)
    if promise.sha256 is not None:
        with path.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
        if found != promise.sha256.lower():
            raise Rejected(
                Reason.MANIFEST_MISMATCH,
                f"the manifest says SHA-256 {promise.sha256}, the file has {found}",
            )
    if format is not Format.CSV_GZ:
        check_size(path.stat().st_size, largest_file_bytes, "the file has")
    how = (contract, snapshot_date, clock_skew_minutes, promise)
    if format is Format.PARQUET:
        check_magic(path)
        unreadable = None
        # Bytes that are vouched for are read as they were written, unless that may be too much.
        is_vouched_for = promise.sha256 is not None
        if not is_vouched_for:
            unreadable = read_in_a_child(path, largest_file_bytes)
        if unreadable is None and not is_bounded(path, largest_file_bytes) and is_vouched_for:
            unreadable = read_in_a_child(path, largest_file_bytes)
        try:
            rows = read_parquet(path, contract, largest_file_bytes, unreadable)
            parsed = _judge(rows, *how)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            lines = str(error).strip().splitlines() or ["unreadable"]
            raise Rejected(Reason.CORRUPT_FILE, f"Parquet: {lines[0]}") from error
    else:
        is_plain = format is Format.CSV
        content = path.read_bytes() if is_plain else decompress(path, largest_file_bytes)
        most = largest_unpacked(path.stat().st_size, largest_file_bytes)
        rows = read_csv(content, contract, promise.vouches, most)
        del content
        parsed = _judge(rows, *how)
    if parsed.rows_in_file != (
        parsed.accepted.height + parsed.quarantined.height + parsed.duplicates
    ):
        raise AssertionError(f"{path}: rows in file ≠ accepted + quarantined + duplicates")
    return parsed


@dataclass(frozen=True)
class _Check:
    column_name: str
    reason: Reason
    fails: pl.Expr


def _judge(
    rows: Rows,
    contract: Contract,
    snapshot_date: date,
    clock_skew_minutes: int,
    promise: Manifest,
) -> Parsed:
    given, typed = _values(contract, rows.is_text)
    checks, fault = _checks(contract, snapshot_date, clock_skew_minutes)
    schema = accepted_schema(contract)
    totals = dict.fromkeys(promise.totals, Decimal(0))
    emails = {name: 0 for name in _EMAIL_COLUMNS if name in contract.column_names}
    other_dates: list[date] = []
    is_wrong_throughout = rows.count > 0
    accepted = [pl.DataFrame(schema=schema)]
    quarantined = [_NONE_QUARANTINED]
    for some in rows.slices:
        quarantined.append(_quarantine(some.broken, rows))
        # Lazily, so that what several expressions share is computed once.
        fields = (
            some.fields.lazy().with_columns(given).with_columns(typed).with_columns(fault).collect()
        )
        good = fields.filter(pl.col("fault").is_null())
        if good.height < fields.height:
            bad = fields.filter(pl.col("fault").is_not_null()).select("row_number", "fault")
            named = bad.join(_names(checks), on="fault", how="left", maintain_order="left")
            quarantined.append(_quarantine(named, rows))
        accepted.append(good.select(*schema))
        for name in totals:
            totals[name] += Decimal(fields[name].cast(pl.Decimal(38, 6)).sum() or 0)
        for name in emails:
            suspects = fields[name].filter(fields[name].str.contains("@", literal=True))
            emails[name] += int(suspects.str.contains(_EMAIL).sum() or 0)
        real_dates = fields["snapshot_date"].drop_nulls()
        if is_wrong_throughout and len(real_dates):
            wrong = real_dates.filter(real_dates != snapshot_date)
            is_wrong_throughout = len(wrong) == len(real_dates)
            other_dates.extend(wrong.unique().head(5))
    promise.check(rows.count, totals)
    if is_wrong_throughout and other_dates:
        shown = ", ".join(day.isoformat() for day in sorted(set(other_dates))[:5])
        raise Rejected(
            Reason.WRONG_DATE_FOLDER, f"every row is of {shown}, the folder of {snapshot_date}"
        )
    warnings = list(rows.warnings)
    for name, count in emails.items():
        if count:
            warnings.append(
                f"looks_like_email: {name} looks like an e-mail address in {count:,} rows; "
                "rosters are kept for years, send opaque ids"
            )
    if promise.is_present and not promise.verifies:
        warnings.append("incomplete_manifest: without rows and sha256 it verifies nothing")
    kept, conflicting, duplicates = _resolve_repeats(pl.concat(accepted), contract)
    reason = pl.lit(Reason.DUPLICATE_KEY.value).alias("reason")
    quarantined.append(_quarantine(conflicting.select("row_number", reason), rows))
    return Parsed(
        accepted=_clustered(kept, contract).select(*schema),
        quarantined=pl.concat(quarantined).sort("row_number"),
        rows_in_file=rows.count,
        duplicates=duplicates,
        warnings=tuple(warnings),
        verified=promise.verifies,
    )


@lru_cache(maxsize=64)
def _values(contract: Contract, is_text: bool) -> tuple[list[pl.Expr], list[pl.Expr]]:
    """Two steps: blanks to null, and the given value kept beside; then the typed value."""
    given: list[pl.Expr] = []
    typed: list[pl.Expr] = []
    for column in contract.columns:
        value = pl.col(column.name)
        if is_text or column.type in TEXTS:
            value = pl.when(value != "").then(value)
        if column.type in TEXTS:
            given.append(value.alias(column.name))
            continue
        given.append(value.alias(_given(column.name)))
        value = pl.col(_given(column.name))
        typed.append((_from_text if is_text else _from_native)(value, column).alias(column.name))
    return given, typed


def _given(name: str) -> str:
    return f"{name} as given"


def _from_text(text: pl.Expr, column: Column) -> pl.Expr:
    """The typed value, null when the text is not exactly one of that type."""
    match column.type:
        case ColumnType.DATE:
            exact = pl.when(text.str.contains(_DATE)).then(text)
            return in_calendar(exact.str.to_date("%Y-%m-%d", strict=False), column)
        case ColumnType.TIMESTAMP:
            exact = pl.when(text.str.contains(_TIMESTAMP)).then(text)
            is_whole = text.str.len_bytes() == _WHOLE_SECONDS_BYTES
            # Reading whole seconds takes an eighth of the time that fractions take.
            return in_calendar(
                pl.coalesce(
                    pl.when(is_whole)
                    .then(exact)
                    .str.to_datetime(
                        "%Y-%m-%dT%H:%M:%SZ", strict=False, time_unit="us", cache=False
                    ),
                    pl.when(~is_whole)
                    .then(exact)
                    .str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", strict=False, time_unit="us"),
                ),
                column,
            )
        case ColumnType.INTEGER:
            return pl.when(text.str.contains(_INTEGER)).then(text).cast(pl.Int64, strict=False)
        case _:
            exact = pl.when(text.str.contains(_DECIMAL)).then(text)
            return exact.str.to_decimal(scale=6).cast(pl.Decimal(18, 6))


def _from_native(value: pl.Expr, column: Column) -> pl.Expr:
    """The same from a Parquet value; null when CSV could not have said it."""
    match column.type:
        case ColumnType.DATE:
            return in_calendar(value, column).cast(pl.Date)
        case ColumnType.TIMESTAMP:
            return in_calendar(value, column).cast(pl.Datetime("us"))
        case ColumnType.INTEGER:
            return pl.when(value.is_between(0, MAX_INTEGER)).then(value).cast(pl.Int64)
        case _:
            bounds = (Decimal(0), Decimal("999999999999.999999"))
            wide = value.cast(pl.Decimal(38, 6), strict=False)
            return pl.when(wide.is_between(*bounds)).then(wide).cast(pl.Decimal(18, 6))


@lru_cache(maxsize=64)
def _checks(
    contract: Contract, snapshot_date: date, clock_skew_minutes: int
) -> tuple[list[_Check], pl.Expr]:
    """The checks in the order in which a row's faults are looked for, and the column `fault`:
    the position of the first check that fails, null for a good row. Building expressions costs
    more than judging a small file with them, hence the cache: a day's sources share them."""
    checks: list[_Check] = []
    for column in contract.columns:
        value = pl.col(column.name)

        def check(reason: Reason, fails: pl.Expr, name: str = column.name) -> None:
            checks.append(_Check(name, reason, fails))

        if column.type in TEXTS:
            check(Reason.FIELD_TOO_LONG, value.str.len_bytes() > MAX_FIELD_BYTES)
            check(Reason.NUL_CHARACTER, value.str.contains("\0", literal=True))
            blank = value.str.contains(_BLANK)
            check(Reason.MISSING_VALUE, value.is_null() | blank if column.required else blank)
        else:
            given = pl.col(_given(column.name))
            if column.required:
                check(Reason.MISSING_VALUE, given.is_null())
            check(_INVALID[column.type], given.is_not_null() & value.is_null())
        if column.type is ColumnType.IDENTIFIER:
            is_safe = value.str.contains(IDENTIFIER_PATTERN) & ~value.str.contains(RESERVED_PATTERN)
            check(Reason.INVALID_IDENTIFIER, ~is_safe)
        if column.allowed:
            check(Reason.VALUE_NOT_ALLOWED, ~value.is_in(list(column.allowed)))
        if column.name == "snapshot_date":
            check(Reason.WRONG_SNAPSHOT_DATE, value != snapshot_date)
        if column.name == contract.activity_time:
            end = datetime.combine(snapshot_date, datetime.min.time()) + timedelta(days=1)
            latest = end + timedelta(minutes=clock_skew_minutes)
            check(Reason.FUTURE_TIME, value > latest)
    fault = pl.coalesce(
        *(pl.when(check.fails).then(pl.lit(i, pl.Int16)) for i, check in enumerate(checks))
    )
    return checks, fault.alias("fault")


def _names(checks: list[_Check]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "fault": range(len(checks)),
            "column_name": [check.column_name for check in checks],
            "reason": [check.reason.value for check in checks],
        },
        schema_overrides={"fault": pl.Int16},
    )


def _quarantine(faults: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """row_number, reason and perhaps column_name, completed by line number and raw text."""
    if faults.is_empty():
        return _NONE_QUARANTINED
    if "column_name" not in faults.columns:
        faults = faults.with_columns(pl.lit(None, pl.String).alias("column_name"))
    raw = pl.col("raw_text")
    shortened = pl.concat_str(
        raw.str.slice(0, MAX_RAW_TEXT), pl.lit(" … ("), raw.str.len_bytes(), pl.lit(" bytes)")
    )
    is_long = raw.str.len_chars() > MAX_RAW_TEXT
    return faults.hstack(rows.locate(faults["row_number"])).select(
        "row_number",
        "line_number",
        "column_name",
        "reason",
        pl.when(is_long).then(shortened).otherwise(raw).alias("raw_text"),
    )


def _resolve_repeats(
    rows: pl.DataFrame, contract: Contract
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Rows to keep, rows whose key they share while they differ, and how many exact repeats.

    Of exact repeats the first is kept; of rows that differ, none.
    """
    # Equal keys have equal hashes; what shares a hash by chance is told apart below.
    is_suspect = rows.select(pl.struct(contract.key).hash().is_duplicated()).to_series()
    if not is_suspect.any():
        return rows, rows.clear(), 0
    suspects = rows.filter(is_suspect).with_columns(
        pl.struct(contract.column_names).n_unique().over(contract.key).alias("variants"),
        pl.col("row_number").min().over(contract.key).alias("first"),
    )
    conflicting = suspects.filter(pl.col("variants") > 1)
    repeats = suspects.filter((pl.col("variants") == 1) & (pl.col("row_number") != pl.col("first")))
    dropped = pl.concat([conflicting, repeats]).select("row_number")
    kept = rows.join(dropped, on="row_number", how="anti", maintain_order="left")
    return kept, conflicting, repeats.height


def _clustered(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Rows come in the order of their numbers, which a stable sort keeps."""
    if contract.activity_time is None:
        return rows
    return rows.sort(pl.col(contract.activity_time).dt.date(), maintain_order=True)
