"""The bytes of a delivered file as rows of fields: CSV, plain or gzipped, and Parquet.

What a field may hold is judged in `ingest.parse`; here a file is refused, or a row broken, only
when it cannot be split into fields.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from isal import igzip_lib

from ingest.contracts import Column, ColumnType, Contract
from ingest.reasons import Reason, Rejected
from ingest.trial import smallest_size, try_to_read

# Real files shrink to a fifth or a thirtieth; gzip's own limit is a thousandth. Small ones may do
# what they like.
LARGEST_RATIO = 200
_RATIO_MATTERS_FROM = 64 << 20
_BLOCK_BYTES = 1 << 20
# What a field of a CSV row takes in memory beside its text.
_FIELD_BYTES = 16
# The shortest rows there are take two and a half times their text.
_FIELDS_TO_TEXT = 4
# Of all ways to pack Parquet values the one in which a page bounds nothing: each text may repeat
# most of the one before.
_UNBOUNDED_ENCODING = "DELTA_BYTE_ARRAY"
# A header of the contract is under 200 bytes; nobody adds thousands of columns on purpose.
_LONGEST_HEADER = 65_536
# Rows judged at a time: bounds the memory of the intermediate columns, not the result.
_SLICE_ROWS = 1_000_000
# A quoted field that spans more than this is taken for a quote that was never closed.
_MAX_RECORD_BYTES = 1 << 20

# Days from 0001-01-01 to 1970-01-01, and from there to 10000-01-01.
_FIRST_DAY, _END_DAY = 719_162, 2_932_897
_DAY_MILLISECONDS = 86_400_000

_FIELD = r'(?:"(?:[^"]|"")*"|[^",]*)'
_FIELD_AFTER_COMMA = f",{_FIELD}"
_ENDS_INSIDE_QUOTES = rf'^(?:{_FIELD},)*"(?:[^"]|"")*$'

TEXTS = (ColumnType.TEXT, ColumnType.IDENTIFIER)
POLARS_TYPE: dict[ColumnType, pl.DataType] = {
    ColumnType.TEXT: pl.String(),
    ColumnType.IDENTIFIER: pl.String(),
    ColumnType.DATE: pl.Date(),
    ColumnType.TIMESTAMP: pl.Datetime("us"),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.DECIMAL: pl.Decimal(18, 6),
}
_NONE_BROKEN = pl.DataFrame(schema={"row_number": pl.Int64(), "reason": pl.String()})


@dataclass(frozen=True)
class Slice:
    """Some consecutive rows. `fields` has row_number and the contract's columns, as text from
    CSV, in their own types from Parquet. `broken` are the rows that could not be split into
    fields: row_number, reason."""

    fields: pl.DataFrame
    broken: pl.DataFrame


@dataclass(frozen=True)
class Rows:
    """A file's rows. `locate` gives line_number and raw_text, in order, for row numbers."""

    count: int
    slices: Iterator[Slice]
    locate: Callable[[pl.Series], pl.DataFrame]
    warnings: list[str]
    is_text: bool


def check_size(size: int, largest: int | None, what: str) -> None:
    """Raise Rejected for what is larger than allowed; `what` begins the sentence."""
    if largest is not None and size > largest:
        raise Rejected(
            Reason.FILE_TOO_LARGE, f"{what} {size:,} bytes; {largest:,} are allowed at most"
        )


def largest_unpacked(packed: int, largest: int | None) -> int | None:
    """What a file of so many bytes may unpack to: `largest`, and no more than a real one does."""
    if largest is None:
        return None
    return min(largest, max(_RATIO_MATTERS_FROM, LARGEST_RATIO * packed))


def decompress(path: Path, largest: int | None) -> bytes:
    """The text of a gzip file, which stops where it grows beyond what a real one holds.

    Raises Rejected when it is damaged or too large.
    """
    packed = path.stat().st_size
    most = largest_unpacked(packed, largest)
    # What is longer than its text may be is not read into memory at once.
    if largest is None or packed <= largest:
        text = _one_member(path.read_bytes(), most)
        if text is not None:
            return text
    # The standard library, three times as slow, judges and says what is wrong.
    blocks: list[bytes] = []
    unpacked = 0
    try:
        with gzip.open(path) as source:
            while block := source.read1(_BLOCK_BYTES):
                blocks.append(block)
                unpacked += len(block)
                check_size(unpacked, largest, "gzip: the text has more than")
                if most is not None and unpacked > most:
                    raise Rejected(
                        Reason.FILE_TOO_LARGE,
                        f"gzip: {packed:,} bytes unpack to more than {unpacked:,}, over "
                        f"{LARGEST_RATIO} times as many",
                    )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Rejected(
            Reason.CORRUPT_FILE,
            f"gzip: {error} (after {unpacked:,} bytes of text, in a file of {packed:,} bytes)",
        ) from error
    return b"".join(blocks)


def _one_member(packed: bytes, most: int | None) -> bytes | None:
    """The text of gzip's usual file; None of several members, a damaged one, or too long a text."""
    member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    try:
        text: bytes = member.decompress(packed, -1 if most is None else most)
    except igzip_lib.IsalError:  # type: ignore[misc]  # its stub
        return None
    return text if member.eof and not member.unused_data else None


def read_csv(
    content: bytes, contract: Contract, is_vouched_for: bool, most: int | None = None
) -> Rows:
    """The rows of a CSV text. A quote that is never closed breaks the row, not the file.

    A last line without its end is taken when somebody vouches for the file. Raises Rejected when
    the text or its header is not the contract's, or its fields take more than `most` and out of
    proportion to the text.
    """
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
    lines, commas = content.count(b"\n"), content.count(b",")
    # A blank line is a byte in the file and a row of fields in memory; so is a comma a field.
    needed = _FIELD_BYTES * max(lines * width, lines + commas)
    if needed > _FIELDS_TO_TEXT * len(content):
        check_size(needed, most, f"the text has {lines:,} lines, whose fields take more than")
    if not has_quotes and not has_returns:
        fields = _read_regular(content, positions, width, lines, commas)
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

    def slices() -> Iterator[Slice]:
        for start in range(0, records.height, _SLICE_ROWS):
            some = records.slice(start, _SLICE_ROWS)
            yield _split(some, contract, positions, width, has_quotes)

    def locate(row_numbers: pl.Series) -> pl.DataFrame:
        return records[row_numbers - 1].select("line_number", "raw_text")

    return Rows(records.height, slices(), locate, warnings, is_text=True)


def _lines(content: bytes) -> pl.Series:
    return pl.read_lines(io.BytesIO(content)).to_series().rename("raw_text")


def _read_regular(
    content: bytes, positions: dict[str, int], width: int, lines: int, commas: int
) -> pl.DataFrame | None:
    """The fields of a text without quotes and carriage returns whose every row has `width` of
    them, blanks as null; None of any other text. Three times as fast as line by line."""
    count = lines - content.endswith(b"\n")
    if width < 2 or count < 1 or commas != (count + 1) * (width - 1):
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


def _regular_rows(fields: pl.DataFrame, content: bytes, warnings: list[str]) -> Rows:
    """A line is a row here, and the header is line 1."""
    fields = fields.with_row_index("row_number", offset=1)
    fields = fields.with_columns(pl.col("row_number").cast(pl.Int64))

    def locate(row_numbers: pl.Series) -> pl.DataFrame:
        return pl.DataFrame(
            {"line_number": row_numbers + 1, "raw_text": _lines(content)[row_numbers]}
        )

    return Rows(fields.height, _sliced(fields), locate, warnings, is_text=True)


def _sliced(fields: pl.DataFrame) -> Iterator[Slice]:
    for start in range(0, fields.height, _SLICE_ROWS):
        yield Slice(fields.slice(start, _SLICE_ROWS), _NONE_BROKEN)


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
) -> Slice:
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
    return Slice(parts[0], pl.concat(broken))


def _broken(records: pl.DataFrame, reason: Reason) -> pl.DataFrame:
    return records.select("row_number", pl.lit(reason.value).alias("reason"))


def read_parquet(
    path: Path, contract: Contract, largest: int | None, unreadable: str | None = None
) -> Rows:
    """The rows of a Parquet file, `unreadable` for what a child met when it read it.

    Raises Rejected for columns that are not the contract's or take too much, and a Polars error or
    panic when the file is damaged.
    """
    warnings: list[str] = []
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    schema = scan.collect_schema()
    _check_names(list(schema), contract, warnings)
    for column in contract.columns:
        _check_type(column, schema[column.name])
    if unreadable is not None:
        raise Rejected(Reason.CORRUPT_FILE, f"Parquet: {unreadable}")
    # Millions of equal rows fit into some kilobytes, so the footer is asked before they are read.
    rows_promised = scan.select(pl.len()).collect().item()
    needed = smallest_size(rows_promised, schema)
    _check_unpacked(needed, rows_promised, path, largest)
    table = pl.read_parquet(
        path, columns=list(contract.column_names), glob=False, hive_partitioning=False
    )
    # Equal texts are one text up to here; whatever is done with them writes each of them out.
    needed += sum(_text_bytes(series) for series in table)
    _check_unpacked(needed, rows_promised, path, largest)
    unknown = [column for column in contract.columns if isinstance(schema[column.name], pl.Null)]
    table = table.with_columns(
        pl.col(column.name).cast(POLARS_TYPE[column.type]) for column in unknown
    )
    texts = [column.name for column in contract.columns if column.type in TEXTS]
    table = table.with_columns(pl.col(texts).cast(pl.String)).with_row_index("row_number", offset=1)
    table = table.with_columns(pl.col("row_number").cast(pl.Int64))

    def locate(row_numbers: pl.Series) -> pl.DataFrame:
        values = [_native_text(column).fill_null("") for column in contract.columns]
        return table[row_numbers - 1].select(
            pl.col("row_number").alias("line_number"),
            pl.concat_str(values, separator=",").alias("raw_text"),
        )

    return Rows(table.height, _sliced(table), locate, warnings, is_text=False)


def _text_bytes(column: pl.Series) -> int:
    if column.dtype == pl.String:
        return int(column.str.len_bytes().cast(pl.Int64).sum())
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        return int(column.cat.len_bytes().cast(pl.Int64).sum())
    return 0


def _check_unpacked(size: int, rows: int, path: Path, largest: int | None) -> None:
    check_size(size, largest, f"Parquet: {rows:,} rows take more than")
    packed = path.stat().st_size
    most = largest_unpacked(packed, largest)
    if most is not None and size > most:
        raise Rejected(
            Reason.FILE_TOO_LARGE,
            f"Parquet: {packed:,} bytes hold {rows:,} rows of {size:,} bytes, over "
            f"{LARGEST_RATIO} times as many",
        )


def read_in_a_child(path: Path, largest: int | None) -> str | None:
    """What reading the file raises. Raise Rejected when it ends the process, as that of some
    damaged Parquet does, and of what takes more than `largest_unpacked`."""
    most = largest_unpacked(path.stat().st_size, largest)
    tried = try_to_read(path, most)
    if tried.ended is not None:
        too_large = "" if most is None else f", or unpacks to far more than {most:,} bytes,"
        raise Rejected(
            Reason.CORRUPT_FILE,
            f"Parquet: it is damaged{too_large} so that the reader breaks off ({tried.ended})",
        )
    return tried.raised


def is_bounded(path: Path, largest: int | None) -> bool:
    """Whether reading a Parquet file takes no more than what its footer says of its pages.

    Raises Rejected when that is too much. What is said is believed: ask of a file that is vouched
    for, or after a child has read it.
    """
    try:
        rows, pages, unbounded = (
            _footers()
            .execute(
                """
            select
                sum(num_values) filter (where column_id = 0), sum(total_uncompressed_size),
                bool_or(contains(encodings, ?))
            from parquet_metadata(?)
            """,
                [_UNBOUNDED_ENCODING, glob.escape(str(path))],
            )
            .fetchall()[0]
        )
    except duckdb.Error:
        return False
    _check_unpacked(int(pages or 0), int(rows or 0), path, largest)
    return not unbounded


@cache
def _footers() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def check_magic(path: Path) -> None:
    """Raise Rejected when the file does not begin and end as Parquet does, or is encrypted."""
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
        in_calendar(value, column).cast(pl.String), value.to_physical().cast(pl.String)
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


def in_calendar(value: pl.Expr, column: Column) -> pl.Expr:
    """Years 1 to 9999: what YYYY-MM-DD can say and every reader downstream can hold. Judged by the
    bare number, because Polars panics on days it cannot name."""
    days = value.to_physical()
    scale = 1
    if column.type is ColumnType.TIMESTAMP:
        days, scale = value.dt.timestamp("ms"), _DAY_MILLISECONDS
    is_named = days.is_between(-_FIRST_DAY * scale, _END_DAY * scale, closed="left")
    return pl.when(is_named).then(value)
