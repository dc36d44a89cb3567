"""Landing files on disk: one typed frame, or a stream of them, in one of three formats.

What is in a frame belongs to its feed's module. A file appears by a rename, its manifest before
it, so that nobody ever sees half a file or takes a verified file for an unverified one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Literal

import polars as pl
from polars.io.plugins import register_io_source

from ingest.contracts import FEEDS, ColumnType

Format = Literal["csv", "csv.gz", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "csv.gz", "parquet")

# Level 3 is 2.5 times as fast as 6 for 16 % more bytes. Bytes repeat for one zlib build; another
# build may compress differently, which changes the file's hash and never its content.
_GZIP_LEVEL = 3
_ROW_GROUP = 262_144
_TIME = "%Y-%m-%dT%H:%M:%SZ"

_TYPES: dict[ColumnType, pl.DataType] = {
    ColumnType.TEXT: pl.String(),
    ColumnType.IDENTIFIER: pl.String(),
    ColumnType.DATE: pl.Date(),
    ColumnType.TIMESTAMP: pl.Datetime("us", "UTC"),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.DECIMAL: pl.Decimal(18, 6),
}


def schema(feed: str) -> dict[str, pl.DataType]:
    """Column names and Polars types of a feed, in contract order."""
    return {column.name: _TYPES[column.type] for column in FEEDS[feed].columns}


def _numeric(feed: str) -> list[str]:
    wanted = (ColumnType.INTEGER, ColumnType.DECIMAL)
    return [column.name for column in FEEDS[feed].columns if column.type in wanted]


class _Totals:
    """Rows and sums of numeric columns, counted while the frames pass by."""

    def __init__(self, feed: str) -> None:
        self.rows = 0
        self.sums = {name: Decimal(0) for name in _numeric(feed)}

    def watch(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for frame in frames:
            self.rows += frame.height
            for name in self.sums:
                self.sums[name] += Decimal(str(frame[name].sum() or 0))
            yield frame


@contextmanager
def _csv_stream(path: Path, file_format: Format) -> Iterator[BufferedIOBase]:
    with path.open("wb") as raw:
        if file_format == "csv":
            yield raw
            return
        # No name and no time in the gzip header: the same rows give the same bytes.
        with gzip.GzipFile(
            filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=raw, mtime=0
        ) as packed:
            yield packed


def _write_csv(
    path: Path,
    file_format: Format,
    feed: str,
    frames: Iterable[pl.DataFrame],
    raw_lines: Sequence[str],
) -> None:
    with _csv_stream(path, file_format) as stream:
        stream.write((",".join(FEEDS[feed].column_names) + "\n").encode())
        for frame in frames:
            text = BytesIO()
            frame.write_csv(text, include_header=False, datetime_format=_TIME)
            stream.write(text.getbuffer())
        for line in raw_lines:
            stream.write((line + "\n").encode())


def _write_parquet(path: Path, feed: str, frames: Iterable[pl.DataFrame]) -> None:
    def batches(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        del with_columns, predicate, n_rows, batch_size  # the sink asks for everything
        yield from frames

    register_io_source(batches, schema=schema(feed)).sink_parquet(
        path, compression="zstd", compression_level=3, row_group_size=_ROW_GROUP
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Landing:
    """A landing folder being written in one format."""

    def __init__(self, root: Path, file_format: Format) -> None:
        self.root = root
        self.format = file_format

    def write(
        self,
        feed: str,
        day: date,
        source: str,
        frames: Iterable[pl.DataFrame],
        *,
        raw_lines: Sequence[str] = (),
        manifest: bool = True,
        truncated: bool = False,
    ) -> int:
        """Write one landing file and return its rows.

        `frames` are in contract order and type. `raw_lines` follow them verbatim (CSV only): rows
        no typed frame can hold. `truncated` cuts the file short after its manifest was made.
        """
        folder = self.root / feed / day.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{source}.{self.format}"
        part = folder / f".{path.name}.part"
        totals = _Totals(feed)
        if self.format == "parquet":
            _write_parquet(part, feed, totals.watch(frames))
            raw_lines = ()
        else:
            _write_csv(part, self.format, feed, totals.watch(frames), raw_lines)
        rows = totals.rows + len(raw_lines)
        beside = folder / f"{path.name}.manifest.json"
        if manifest:
            # Totals of a file with malformed numbers would be a matter of opinion: left out.
            sums = {} if raw_lines else {name: str(total) for name, total in totals.sums.items()}
            content = {"rows": rows, "sha256": _sha256(part), "totals": sums}
            beside_part = folder / f".{beside.name}.part"
            beside_part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            beside_part.replace(beside)
        if truncated:
            with part.open("r+b") as stream:
                stream.truncate(part.stat().st_size * 3 // 5)
        part.replace(path)
        return rows

    def retract(self, feed: str, day: date, source: str, sha256: str | None = None) -> None:
        """Write a retraction of a file, which names its bytes unless told to name others."""
        path = self.root / feed / day.isoformat() / f"{source}.{self.format}"
        content = {
            "sha256": sha256 or _sha256(path),
            "who": "A. Sender",
            "why": "exported from the test system",
        }
        beside = path.with_name(f"{path.name}.retracted.json")
        part = beside.with_name(f".{beside.name}.part")
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        part.replace(beside)
