"""One delivered file read against its contract: rows accepted, rows quarantined, or all refused.

Only what follows from the file itself belongs here; versions and storage are `ingest.intake`'s.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
from isal import igzip, igzip_lib

from ingest.contracts import (
    IDENTIFIER_PATTERN,
    LARGEST_FILE_BYTES,
    RESERVED_PATTERN,
    Column,
    ColumnType,
    Contract,
)
from ingest.landing import Format
from ingest.reasons import Reason, printable
from ingest.trial import ends_the_reader

MAX_FIELD_BYTES = 65_536
# The archive keeps the whole row; the quarantine shows enough of it to be recognised.
MAX_RAW_TEXT = 4_096
MAX_INTEGER = 999_999_999
# Real files shrink to a fifth or a thirtieth; gzip's own limit is a thousandth. Small ones may do
# what they like.
LARGEST_RATIO = 200
_RATIO_MATTERS_FROM = 64 << 20
_BLOCK_BYTES = 1 << 20
LARGEST_NOTE_BYTES = 1 << 20  # of a manifest or a retraction
# A row of Parquet takes at least this much a column in memory, however well it is packed.
_PARQUET_CELL_BYTES = 8
# A header of the contract is under 200 bytes; nobody adds thousands of columns on purpose.
_LONGEST_HEADER = 65_536
# Rows judged at a time: bounds the memory of the intermediate columns, not the result.
_SLICE_ROWS = 1_000_000
# A quoted field that spans more than this is taken for a quote that was never closed.
_MAX_RECORD_BYTES = 1 << 20

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

# Days from 0001-01-01 to 1970-01-01, and from there to 10000-01-01.
_FIRST_DAY, _END_DAY = 719_162, 2_932_897
_DAY_MILLISECONDS = 86_400_000

_FIELD = r'(?:"(?:[^"]|"")*"|[^",]*)'
_FIELD_AFTER_COMMA = f",{_FIELD}"
_ENDS_INSIDE_QUOTES = rf'^(?:{_FIELD},)*"(?:[^"]|"")*$'

_TEXTS = (ColumnType.TEXT, ColumnType.IDENTIFIER)
_INVALID = {
    ColumnType.DATE: Reason.INVALID_DATE,
    ColumnType.TIMESTAMP: Reason.INVALID_TIMESTAMP,
    ColumnType.INTEGER: Reason.INVALID_INTEGER,
    ColumnType.DECIMAL: Reason.INVALID_DECIMAL,
}
_POLARS_TYPE: dict[ColumnType, pl.DataType] = {
    ColumnType.TEXT: pl.String(),
    ColumnType.IDENTIFIER: pl.String(),
    ColumnType.DATE: pl.Date(),
    ColumnType.TIMESTAMP: pl.Datetime("us"),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.DECIMAL: pl.Decimal(18, 6),
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
_NONE_BROKEN = _NONE_QUARANTINED.select("row_number", "reason")


class Rejected(Exception):
    """The whole file is refused: `reason` is the code, `detail` what was found and where."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        # It may quote the sender, and is told in terminals and kept in the journal.
        self.detail = printable(detail)
        super().__init__(f"{reason}: {self.detail}")


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
    schema = {column.name: _POLARS_TYPE[column.type] for column in contract.columns}
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
    promise = _Manifest.read(manifest, contract)
    if promise.sha256 is not None:
        with path.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
        if found != promise.sha256.lower():
            raise Rejected(
                Reason.MANIFEST_MISMATCH,
                f"the manifest says SHA-256 {promise.sha256}, the file has {found}",
            )
    if format is not Format.CSV_GZ:
        _check_size(path.stat().st_size, largest_file_bytes, "the file has")
    how = (contract, snapshot_date, clock_skew_minutes, promise)
    if format is Format.PARQUET:
        _check_magic(path)
        if promise.sha256 is None:
            # Bytes that are vouched for are read as they were written.
            _try_in_a_child(path, largest_file_bytes)
        try:
            parsed = _judge(_read_parquet(path, contract, largest_file_bytes), *how)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            lines = str(error).strip().splitlines() or ["unreadable"]
            raise Rejected(Reason.CORRUPT_FILE, f"Parquet: {lines[0]}") from error
    else:
        is_plain = format is Format.CSV
        content = path.read_bytes() if is_plain else _decompress(path, largest_file_bytes)
        rows = _read_csv(content, contract, is_vouched_for=promise.vouches)
        del content
        parsed = _judge(rows, *how)
    if parsed.rows_in_file != (
        parsed.accepted.height + parsed.quarantined.height + parsed.duplicates
    ):
        raise AssertionError(f"{path}: rows in file ≠ accepted + quarantined + duplicates")
    return parsed


# ── Manifest ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Manifest:
    """What the sender says of the file; empty when there is no manifest."""

    is_present: bool = False
    rows: int | None = None
    sha256: str | None = None
    totals: dict[str, Decimal] = field(default_factory=dict)

    @property
    def vouches(self) -> bool:
        """It gives the rows or the bytes, so a file cut short cannot agree with it."""
        return self.rows is not None or self.sha256 is not None

    @property
    def verifies(self) -> bool:
        return self.rows is not None and self.sha256 is not None

    @classmethod
    def read(cls, content: bytes | None, contract: Contract) -> _Manifest:
        if content is None:
            return cls()
        if len(content) > LARGEST_NOTE_BYTES:
            raise Rejected(
                Reason.MANIFEST_INVALID,
                f"the manifest is longer than {LARGEST_NOTE_BYTES:,} bytes",
            )

        def invalid(why: str) -> Rejected:
            return Rejected(Reason.MANIFEST_INVALID, f"the manifest {why}")

        try:
            values = json.loads(content, parse_float=Decimal)
        except (ValueError, RecursionError, InvalidOperation) as error:
            raise invalid(f"is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise invalid("is not a JSON object")
        rows = values.get("rows")
        if rows is not None and (type(rows) is not int or rows < 0):
            raise invalid(f"gives {rows!r} for rows; a whole number is needed")
        sha256 = values.get("sha256")
        if sha256 is not None and not isinstance(sha256, str):
            raise invalid(f"gives {sha256!r} for sha256; a text is needed")
        totals = values.get("totals", {})
        if not isinstance(totals, dict):
            raise invalid("gives totals that are not an object of column: decimal")
        numeric = {
            column.name
            for column in contract.columns
            if column.type in (ColumnType.INTEGER, ColumnType.DECIMAL)
        }
        exact: dict[str, Decimal] = {}
        for name, total in totals.items():
            if name not in numeric:
                raise invalid(f"gives a total of {name!r}, which is no number of this feed")
            try:
                if isinstance(total, bool) or not isinstance(total, str | int | Decimal):
                    raise InvalidOperation
                exact[name] = Decimal(total)
                if not exact[name].is_finite():
                    raise InvalidOperation
            except InvalidOperation as error:
                raise invalid(f"gives {total!r} as the total of {name}") from error
        return cls(True, rows, sha256, exact)

    def check(self, rows_in_file: int, totals: dict[str, Decimal]) -> None:
        """Raises Rejected when the manifest says otherwise."""
        if self.rows is not None and self.rows != rows_in_file:
            raise Rejected(
                Reason.MANIFEST_MISMATCH,
                f"the manifest says {self.rows:,} rows, the file has {rows_in_file:,}",
            )
        for name, expected in self.totals.items():
            if expected != totals[name]:
                raise Rejected(
                    Reason.MANIFEST_MISMATCH,
                    f"the manifest says {name} adds up to {expected}, the file's to "
                    f"{totals[name]:f}",
                )


# ── Files to rows ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Slice:
    """Some consecutive rows. `fields` has row_number and the contract's columns, as text from
    CSV, in their own types from Parquet. `broken` are the rows that could not be split into
    fields: row_number, reason."""

    fields: pl.DataFrame
    broken: pl.DataFrame


@dataclass(frozen=True)
class _Rows:
    """A file's rows. `locate` gives line_number and raw_text, in order, for row numbers."""

    count: int
    slices: Iterator[_Slice]
    locate: Callable[[pl.Series], pl.DataFrame]
    warnings: list[str]
    is_text: bool


def _check_size(size: int, largest: int | None, what: str) -> None:
    if largest is not None and size > largest:
        raise Rejected(
            Reason.FILE_TOO_LARGE, f"{what} {size:,} bytes; {largest:,} are allowed at most"
        )


def _decompress(path: Path, largest: int | None) -> bytes:
    """The text of a gzip file, which stops where it grows beyond what a real one holds."""
    packed = path.stat().st_size
    try:
        with igzip.open(path) as source:  # type: ignore[no-untyped-call]
            return b"".join(_blocks(source, packed, largest))
    except (EOFError, igzip_lib.IsalError, gzip.BadGzipFile):  # type: ignore[misc]  # its stub
        pass  # The standard library, three times as slow, judges and says what is wrong.
    unpacked = 0
    blocks: list[bytes] = []
    try:
        with gzip.open(path) as source:
            for block in _blocks(source, packed, largest):
                blocks.append(block)
                unpacked += len(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Rejected(
            Reason.CORRUPT_FILE,
            f"gzip: {error} (after {unpacked:,} bytes of text, in a file of {packed:,} bytes)",
        ) from error
    return b"".join(blocks)


def _blocks(source: gzip.GzipFile, packed: int, largest: int | None) -> Iterator[bytes]:
    unpacked = 0
    while block := source.read1(_BLOCK_BYTES):
        yield block
        unpacked += len(block)
        _check_size(unpacked, largest, "gzip: the text has more than")
        if largest is not None and unpacked > max(_RATIO_MATTERS_FROM, LARGEST_RATIO * packed):
            raise Rejected(
                Reason.FILE_TOO_LARGE,
                f"gzip: {packed:,} bytes unpack to more than {unpacked:,}, over "
                f"{LARGEST_RATIO} times as many",
            )


def _read_csv(content: bytes, contract: Contract, is_vouched_for: bool) -> _Rows:
    warnings: list[str] = []
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Rejected(Reason.WRONG_ENCODING, "line 1, byte 0: the file is UTF-16")
    if (at := content.find(b"\0")) >= 0:
        raise Rejected(Reason.NUL_BYTE, f"{_place(content, at)}: a NUL byte")
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError as error:
            at = error.start
            raise Rejected(
                Reason.WRONG_ENCODING, f"{_place(content, at)}: 0x{content[at]:02x} is not UTF-8"
            ) from error
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
        warnings.append("byte_order_mark: the file begins with a byte order mark")
    if not content or content.isspace():
        raise Rejected(Reason.EMPTY_FILE, "the file holds no header line")
    has_returns = b"\r" in content
    if has_returns and b"\n" not in content:
        at = content.index(b"\r")
        raise Rejected(
            Reason.WRONG_HEADER, f"line 1, byte {at}: lines end in CR alone; LF or CRLF is needed"
        )
    if not content.endswith(b"\n") and not is_vouched_for:
        last = content.count(b"\n") + 1
        raise Rejected(
            Reason.NO_FINAL_LINE_BREAK,
            f"line {last} is not ended by a line break: end it, or give a manifest",
        )
    has_quotes = b'"' in content
    if has_returns and b"\r\n" in content:
        warnings.append("crlf: lines end in CRLF")
        if has_quotes:
            # The line reader takes one CR off; inside quotes it belongs to the value.
            content = content.replace(b"\r\n", b"\r\r\n")
    header = content[: content.find(b"\n")] if b"\n" in content else content
    positions, width = _header(header.decode().removesuffix("\r"), contract, warnings)
    if not has_quotes and not has_returns:
        fields = _read_regular(content, positions, width)
        if fields is not None:
            return _regular_rows(fields, content, warnings)
    records = _lines(content).to_frame().with_row_index("line_number", offset=1).slice(1)
    records = records.with_columns(pl.col("line_number").cast(pl.Int64))
    if has_quotes:
        records = _join_quoted_lines(records)
        records = records.with_columns(pl.col("raw_text").str.strip_suffix("\r"))
    # Blank lines at the very end carry nothing; anywhere else they are broken rows.
    filled = (records["raw_text"] != "").arg_true()
    records = records.head(filled[-1] + 1 if len(filled) else 0)
    records = records.with_row_index("row_number", offset=1)
    records = records.with_columns(pl.col("row_number").cast(pl.Int64))

    def slices() -> Iterator[_Slice]:
        for start in range(0, records.height, _SLICE_ROWS):
            some = records.slice(start, _SLICE_ROWS)
            yield _split(some, contract, positions, width, has_quotes)

    def locate(row_numbers: pl.Series) -> pl.DataFrame:
        return records[row_numbers - 1].select("line_number", "raw_text")

    return _Rows(records.height, slices(), locate, warnings, is_text=True)


def _lines(content: bytes) -> pl.Series:
    return pl.read_lines(io.BytesIO(content)).to_series().rename("raw_text")


def _read_regular(content: bytes, positions: dict[str, int], width: int) -> pl.DataFrame | None:
    """The fields of a text without quotes and carriage returns whose every row has `width` of
    them, blanks as null; None of any other text. Three times as fast as line by line."""
    count = content.count(b"\n") - content.endswith(b"\n")
    if width < 2 or count < 1 or content.count(b",") != (count + 1) * (width - 1):
        return None
    names = [str(position) for position in range(width)]
    try:
        fields = pl.read_csv(
            content,
            has_header=False,
            skip_lines=1,
            quote_char=None,
            schema=dict.fromkeys(names, pl.String),
        )
    except pl.exceptions.PolarsError:  # a row has more fields, so another has fewer
        return None
    if fields.height != count:
        return None
    return fields.select(pl.col(str(at)).alias(name) for name, at in positions.items())


def _regular_rows(fields: pl.DataFrame, content: bytes, warnings: list[str]) -> _Rows:
    """A line is a row here, and the header is line 1."""
    fields = fields.with_row_index("row_number", offset=1)
    fields = fields.with_columns(pl.col("row_number").cast(pl.Int64))

    def locate(row_numbers: pl.Series) -> pl.DataFrame:
        return pl.DataFrame(
            {"line_number": row_numbers + 1, "raw_text": _lines(content)[row_numbers]}
        )

    return _Rows(fields.height, _sliced(fields), locate, warnings, is_text=True)


def _sliced(fields: pl.DataFrame) -> Iterator[_Slice]:
    for start in range(0, fields.height, _SLICE_ROWS):
        yield _Slice(fields.slice(start, _SLICE_ROWS), _NONE_BROKEN)


def _place(content: bytes, at: int) -> str:
    line = content.count(b"\n", 0, at) + 1
    return f"line {line}, byte {at}"


def _header(line: str, contract: Contract, warnings: list[str]) -> tuple[dict[str, int], int]:
    """Where the contract's columns stand, and how many fields a row has."""
    if len(line) > _LONGEST_HEADER:
        raise Rejected(
            Reason.WRONG_HEADER,
            f"line 1: the header is longer than {_LONGEST_HEADER:,} characters",
        )
    try:
        names = next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise Rejected(Reason.WRONG_HEADER, f"line 1: {error}") from error
    try:
        _check_names(names, contract, warnings)
    except Rejected as error:
        other = next((one for one in ";\t|" if line.count(one) >= 2), None)
        hint = (
            ""
            if other is None or "," in line
            else f"; it is separated by {other!r} instead of commas"
        )
        raise Rejected(error.reason, f"line 1: {error.detail}{hint}") from error
    return {name: names.index(name) for name in contract.column_names}, len(names)


def _check_names(names: list[str], contract: Contract, warnings: list[str]) -> None:
    expected = list(contract.column_names)
    shown = ",".join(expected)
    missing = [name for name in expected if name not in names]
    added = [name for name in names if name not in expected]
    if missing:
        found = f"; found instead: {_quoted(added)}" if added else ""
        raise Rejected(
            Reason.WRONG_HEADER, f"missing: {_quoted(missing)}{found}. The columns are {shown}"
        )
    if len(set(names)) != len(names):
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        raise Rejected(Reason.WRONG_HEADER, f"repeated: {_quoted(twice)}. The columns are {shown}")
    if [name for name in names if name in expected] != expected:
        raise Rejected(Reason.WRONG_HEADER, f"out of order. The columns are {shown}")
    if added:
        warnings.append(f"added_column: {_quoted(added)}; kept in the archived file only")


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name[:80]) for name in names[:20])


def _join_quoted_lines(records: pl.DataFrame) -> pl.DataFrame:
    """Put the lines of a quoted field that holds line breaks back together.

    Raises Rejected when such a field does not close properly: where its row ends, and so what
    the lines after it are, would be a guess.
    """
    openers = records.filter(
        pl.col("raw_text").str.contains('"', literal=True)
        & pl.col("raw_text").str.contains(_ENDS_INSIDE_QUOTES)
    )["line_number"]
    if openers.is_empty():
        return records
    lines = records["raw_text"]
    first = records.item(0, "line_number")
    joined: dict[str, list[Any]] = {"line_number": [], "joined": []}
    ends: list[int] = []
    swallowed: list[int] = []
    consumed = 0
    for opener in openers:
        if opener <= consumed:
            continue
        at = opener
        parts = [lines.item(opener - first)]
        length = len(parts[0])
        is_open = True
        while is_open:
            at += 1
            if at - first >= len(lines) or length > _MAX_RECORD_BYTES:
                _refuse_malformed(joined, ends)
                raise Rejected(
                    Reason.UNCLOSED_QUOTE, f"line {opener}: a quote opens and never closes"
                )
            more = lines.item(at - first)
            parts.append(more)
            length += len(more) + 1
            # Counting is enough: whatever quotes stand in wrong places is found below.
            is_open = more.count('"') % 2 == 0
        joined["line_number"].append(opener)
        joined["joined"].append("\n".join(parts))
        ends.append(at)
        swallowed.extend(range(opener + 1, at + 1))
        consumed = at
    _refuse_malformed(joined, ends)
    return (
        records.filter(~pl.col("line_number").is_in(swallowed))
        .join(
            pl.DataFrame(joined, schema={"line_number": pl.Int64, "joined": pl.String}),
            on="line_number",
            how="left",
            maintain_order="left",
        )
        .select("line_number", pl.coalesce("joined", "raw_text").alias("raw_text"))
    )


def _refuse_malformed(joined: dict[str, list[Any]], ends: list[int]) -> None:
    """All at once: asking Polars about a row by itself takes longer than reading it."""
    texts = pl.Series(joined["joined"], dtype=pl.String).str.strip_suffix("\r")
    wrong = (~_is_well_formed(texts)).arg_true()
    if len(wrong):
        raise Rejected(
            Reason.UNCLOSED_QUOTE,
            f"line {joined['line_number'][wrong[0]]}: a quote opens and closes in the middle of "
            f"line {ends[wrong[0]]}",
        )


def _is_well_formed(raw: pl.Series) -> pl.Series:
    """Whether fields and commas, taken together, are the whole of the text."""
    fields = ("," + raw).str.extract_all(_FIELD_AFTER_COMMA)
    return fields.list.join("").str.len_bytes() == raw.str.len_bytes() + 1


def _split(
    records: pl.DataFrame,
    contract: Contract,
    positions: dict[str, int],
    width: int,
    has_quotes: bool,
) -> _Slice:
    """Records to fields. A record with another number of fields has none."""
    raw = pl.col("raw_text")
    is_quoted = raw.str.contains('"', literal=True) if has_quotes else pl.lit(False)
    records = records.with_columns(is_quoted.alias("is_quoted"))
    commas = raw.str.count_matches(",", literal=True)
    plain = records.filter(~pl.col("is_quoted")).with_columns((commas + 1).alias("width"))
    parts = [
        plain.filter(pl.col("width") == width)
        .with_columns(raw.str.splitn(",", width).alias("fields"))
        .select(
            "row_number",
            *(
                pl.col("fields").struct.field(f"field_{positions[name]}").alias(name)
                for name in contract.column_names
            ),
        )
    ]
    wrong = Reason.WRONG_FIELD_COUNT
    broken = [_broken(plain.filter(pl.col("width") != width), wrong)]
    quoted = records.filter("is_quoted")
    if quoted.height:
        quoted = quoted.with_columns(
            ("," + raw).str.extract_all(_FIELD_AFTER_COMMA).alias("fields"),
            _is_well_formed(quoted["raw_text"]).alias("is_well_formed"),
        ).with_columns(pl.col("fields").list.len().alias("width"))
        good = pl.col("is_well_formed") & (pl.col("width") == width)

        def value(name: str) -> pl.Expr:
            text = pl.col("fields").list.get(positions[name], null_on_oob=True).str.slice(1)
            inner = text.str.strip_prefix('"').str.strip_suffix('"')
            unquoted = inner.str.replace_all('""', '"', literal=True)
            return pl.when(text.str.starts_with('"')).then(unquoted).otherwise(text).alias(name)

        parts.append(quoted.filter(good).select("row_number", *map(value, contract.column_names)))
        malformed = quoted.filter(~pl.col("is_well_formed"))
        broken.append(_broken(malformed, Reason.MALFORMED_QUOTES))
        broken.append(_broken(quoted.filter(~good & pl.col("is_well_formed")), wrong))
        parts = [pl.concat(parts).sort("row_number")]
    return _Slice(parts[0], pl.concat(broken))


def _broken(records: pl.DataFrame, reason: Reason) -> pl.DataFrame:
    return records.select("row_number", pl.lit(reason.value).alias("reason"))


def _read_parquet(path: Path, contract: Contract, largest: int | None) -> _Rows:
    """Raises a Polars error or panic when the file is damaged."""
    warnings: list[str] = []
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    schema = scan.collect_schema()
    _check_names(list(schema), contract, warnings)
    for column in contract.columns:
        _check_type(column, schema[column.name])
    # Millions of equal rows fit into some kilobytes, so the footer is asked before they are read.
    rows_promised = scan.select(pl.len()).collect().item()
    needed = rows_promised * len(contract.columns) * _PARQUET_CELL_BYTES
    _check_size(needed, largest, f"Parquet: {rows_promised:,} rows take more than")
    table = pl.read_parquet(
        path, columns=list(contract.column_names), glob=False, hive_partitioning=False
    )
    unknown = [column for column in contract.columns if isinstance(schema[column.name], pl.Null)]
    table = table.with_columns(
        pl.col(column.name).cast(_POLARS_TYPE[column.type]) for column in unknown
    )
    texts = [column.name for column in contract.columns if column.type in _TEXTS]
    table = table.with_columns(pl.col(texts).cast(pl.String)).with_row_index("row_number", offset=1)
    table = table.with_columns(pl.col("row_number").cast(pl.Int64))

    def locate(row_numbers: pl.Series) -> pl.DataFrame:
        values = [_native_text(column).fill_null("") for column in contract.columns]
        return table[row_numbers - 1].select(
            pl.col("row_number").alias("line_number"),
            pl.concat_str(values, separator=",").alias("raw_text"),
        )

    return _Rows(table.height, _sliced(table), locate, warnings, is_text=False)


def _try_in_a_child(path: Path, largest: int | None) -> None:
    how = ends_the_reader(path, None if largest is None else largest // _PARQUET_CELL_BYTES)
    if how is not None:
        raise Rejected(
            Reason.CORRUPT_FILE, f"Parquet: it is damaged so that the reader breaks off ({how})"
        )


def _check_magic(path: Path) -> None:
    with path.open("rb") as source:
        start = source.read(4)
        source.seek(max(path.stat().st_size - 4, 0))
        end = source.read(4)
    if b"PARE" in (start, end):
        raise Rejected(Reason.CORRUPT_FILE, "Parquet: it is encrypted; send it without encryption")
    for place, found in (("begins", start), ("ends", end)):
        if found != b"PAR1":
            raise Rejected(Reason.CORRUPT_FILE, f"Parquet: it {place} with {found!r}, not b'PAR1'")


def _native_text(column: Column) -> pl.Expr:
    """A Parquet value as text; the bare number where no calendar has such a day."""
    value = pl.col(column.name)
    if column.type not in (ColumnType.DATE, ColumnType.TIMESTAMP):
        return value.cast(pl.String)
    return pl.coalesce(
        _in_calendar(value, column).cast(pl.String), value.to_physical().cast(pl.String)
    )


def _check_type(column: Column, found: pl.DataType) -> None:
    match column.type:
        case ColumnType.TEXT | ColumnType.IDENTIFIER:
            fits = isinstance(found, pl.String | pl.Categorical | pl.Enum)
        case ColumnType.DATE:
            fits = isinstance(found, pl.Date)
        case ColumnType.TIMESTAMP:
            fits = isinstance(found, pl.Datetime) and found.time_zone in (
                None,
                "UTC",
                "Etc/UTC",
                "Z",
                "+00:00",
            )
        case ColumnType.INTEGER:
            fits = found.is_integer()
        case ColumnType.DECIMAL:
            fits = isinstance(found, pl.Decimal) and found.scale <= 6
    # A writer that saw nothing but nulls may not have known the type.
    if isinstance(found, pl.Null) and not column.required:
        fits = True
    if not fits:
        raise Rejected(
            Reason.WRONG_TYPE, f"column {column.name} is {found}, the contract says {column.type}"
        )


# ── Rows to a judgement ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Check:
    column_name: str
    reason: Reason
    fails: pl.Expr


def _judge(
    rows: _Rows,
    contract: Contract,
    snapshot_date: date,
    clock_skew_minutes: int,
    promise: _Manifest,
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
        if is_text or column.type in _TEXTS:
            value = pl.when(value != "").then(value)
        if column.type in _TEXTS:
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
            return _in_calendar(exact.str.to_date("%Y-%m-%d", strict=False), column)
        case ColumnType.TIMESTAMP:
            exact = pl.when(text.str.contains(_TIMESTAMP)).then(text)
            is_whole = text.str.len_bytes() == _WHOLE_SECONDS_BYTES
            # Reading whole seconds takes an eighth of the time that fractions take.
            return _in_calendar(
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
            return _in_calendar(value, column).cast(pl.Date)
        case ColumnType.TIMESTAMP:
            return _in_calendar(value, column).cast(pl.Datetime("us"))
        case ColumnType.INTEGER:
            return pl.when(value.is_between(0, MAX_INTEGER)).then(value).cast(pl.Int64)
        case _:
            bounds = (Decimal(0), Decimal("999999999999.999999"))
            wide = value.cast(pl.Decimal(38, 6), strict=False)
            return pl.when(wide.is_between(*bounds)).then(wide).cast(pl.Decimal(18, 6))


def _in_calendar(value: pl.Expr, column: Column) -> pl.Expr:
    """Years 1 to 9999: what YYYY-MM-DD can say and every reader downstream can hold. Judged by the
    bare number, because Polars panics on days it cannot name."""
    days = value.to_physical()
    scale = 1
    if column.type is ColumnType.TIMESTAMP:
        days, scale = value.dt.timestamp("ms"), _DAY_MILLISECONDS
    is_named = days.is_between(-_FIRST_DAY * scale, _END_DAY * scale, closed="left")
    return pl.when(is_named).then(value)


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

        if column.type in _TEXTS:
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


def _quarantine(faults: pl.DataFrame, rows: _Rows) -> pl.DataFrame:
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
