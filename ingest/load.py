"""The raw tables: their schema, and bringing the rows of accepted files in and out of them.

Only what happens inside the database belongs here; which file counts is `ingest.intake`'s.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from ingest.contracts import FEEDS, ColumnType
from ingest.journal import Entry, Slot, State
from ingest.parse import Parsed

SQL_TYPE = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.IDENTIFIER: "VARCHAR",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",  # UTC
    ColumnType.INTEGER: "BIGINT",
    ColumnType.DECIMAL: "DECIMAL(18, 6)",
}

_LOG = logging.getLogger(__name__)

_IS_WAREHOUSE = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'raw' AND table_name = 'files'"

_TABLES = """
CREATE SCHEMA raw;
CREATE TABLE raw.made_by (sha256 VARCHAR NOT NULL);
CREATE SEQUENCE raw.load_ids;
CREATE TABLE raw.files (
    load_id BIGINT NOT NULL, feed VARCHAR NOT NULL, snapshot_date DATE NOT NULL,
    source VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, clock_skew_minutes BIGINT NOT NULL,
    rows_in_file BIGINT NOT NULL, rows_accepted BIGINT NOT NULL,
    rows_quarantined BIGINT NOT NULL, rows_duplicate BIGINT NOT NULL, is_verified BOOLEAN NOT NULL
);
CREATE TABLE raw.quarantined_rows (
    feed VARCHAR NOT NULL, snapshot_date DATE NOT NULL, source VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL, load_id BIGINT NOT NULL, row_number BIGINT NOT NULL,
    line_number BIGINT NOT NULL, column_name VARCHAR, reason VARCHAR NOT NULL,
    raw_text VARCHAR NOT NULL
);
CREATE TABLE raw.rejected_files (
    feed VARCHAR NOT NULL, snapshot_date DATE NOT NULL, source VARCHAR NOT NULL,
    file_name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL
);
CREATE TABLE raw.withdrawn_activity (
    feed VARCHAR NOT NULL, activity_month DATE NOT NULL, load_id BIGINT NOT NULL
);
CREATE TABLE raw.version_set (sha256 VARCHAR NOT NULL, kept_from DATE);
-- What was last seen of each landing file, so that an untouched one is not read again.
CREATE TABLE raw.landing_seen (
    path VARCHAR NOT NULL, size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL,
    ctime_ns BIGINT NOT NULL, inode UBIGINT NOT NULL, sha256 VARCHAR NOT NULL
);
"""


class WarehouseError(Exception):
    """The warehouse file cannot be opened."""


@dataclass(frozen=True)
class Load:
    """An accepted file on its way into the raw tables."""

    entry: Entry
    slot: Slot
    parsed: Parsed


@dataclass(frozen=True)
class Loaded:
    """What the raw tables hold for a slot."""

    load_id: int
    sha256: str
    clock_skew_minutes: int
    is_verified: bool


def open_warehouse(path: Path, *, is_known: bool = True) -> duckdb.DuckDBPyConnection:
    """Open the warehouse for writing, with the raw schema, times in UTC; create it if need be.

    A kill while DuckDB creates a file can leave one that does not open, so a new one is made
    under a temporary name and renamed. One that a version with other raw tables made, or that is
    not known to be as it was left (`is_known`), is replaced by an empty one: it holds no truth, and
    its rows come back from the archive. Raises WarehouseError.
    """
    if not path.exists():
        _create(path)
    elif not is_known and not _opens(path):
        _replace(path)
    try:
        conn = duckdb.connect(str(path))
        is_other_version = _schema_of(conn) != _schema_sha256()
        if is_other_version or not is_known:
            is_ours = conn.execute(_IS_WAREHOUSE).fetchall() != []
            conn.close()
            if not is_ours:
                raise WarehouseError(
                    f"{path} is a database, but no warehouse of Musterhouse: it has no table "
                    "raw.files. Move it away, or give another --home."
                )
            _replace(path)
            if is_other_version:
                _LOG.warning(
                    "%s was made by another version of Musterhouse: its rows are loaded again from "
                    "the archive.",
                    path,
                )
            conn = duckdb.connect(str(path))
        conn.execute("SET TimeZone = 'UTC'")
        # Whoever spilled there was killed: this connection, the only one, has not begun to.
        shutil.rmtree(path.with_name(f"{path.name}.tmp"), ignore_errors=True)
    except duckdb.Error as error:
        said = str(error).rstrip("!.")
        if "Could not set lock" in said:
            raise WarehouseError(
                f"{path} is in use by another process: {said}. End it, or wait, then run this "
                "again; published/current.duckdb is there to be read"
            ) from error
        if "Permission denied" in said:
            raise WarehouseError(
                f"{path} may not be opened: {said}. Run this as a user who may write to the home"
            ) from error
        raise WarehouseError(
            f"{path} cannot be opened: {said}. Nothing is lost with it: `muster rebuild` makes it "
            "again from archive and journal"
        ) from error
    return conn


def _opens(path: Path) -> bool:
    """Whether it is a database that another process may have open, rather than a damaged file."""
    try:
        duckdb.connect(str(path)).close()
    except duckdb.Error as error:
        return "Could not set lock" in str(error) or "Permission denied" in str(error)
    return True


def _replace(path: Path) -> None:
    """An empty warehouse in the place of one that holds no truth."""
    _log(path).unlink(missing_ok=True)
    path.unlink()
    _create(path)


def _schema_sql() -> str:
    statements = [_TABLES]
    for contract in FEEDS.values():
        columns = [
            f"{column.name} {SQL_TYPE[column.type]}{' NOT NULL' if column.required else ''}"
            for column in contract.columns
        ]
        columns += ["source VARCHAR NOT NULL", "load_id BIGINT NOT NULL"]
        columns += ["row_number BIGINT NOT NULL"]
        statements.append(f"CREATE TABLE raw.{contract.feed} ({', '.join(columns)});")
    return "\n".join(statements)


def _schema_sha256() -> str:
    """Which version of the raw tables this is: any other one is not read."""
    return hashlib.sha256(_schema_sql().encode()).hexdigest()


def _schema_of(conn: duckdb.DuckDBPyConnection) -> str | None:
    try:
        return str(conn.execute("SELECT sha256 FROM raw.made_by").fetchall()[0][0])
    except (duckdb.CatalogException, IndexError):
        return None


def loaded(conn: duckdb.DuckDBPyConnection) -> dict[Slot, Loaded]:
    """What the raw tables hold, by slot."""
    rows = conn.execute(
        "SELECT feed, snapshot_date, source, load_id, sha256, clock_skew_minutes, is_verified "
        "FROM raw.files"
    ).fetchall()
    return {Slot(*row[:3]): Loaded(*row[3:]) for row in rows}


def is_current(conn: duckdb.DuckDBPyConnection, state: State, version_set: str) -> bool:
    """Whether the tables that follow from the journal alone say what it says."""
    return (
        conn.execute("SELECT sha256 FROM raw.version_set").fetchall() == [(version_set,)]
        and conn.execute("SELECT * FROM raw.rejected_files ORDER BY ALL").fetchall()
        == _rejected_files(state).sort(pl.all()).rows()
    )


def apply(
    conn: duckdb.DuckDBPyConnection,
    *,
    loads: Sequence[Load],
    withdrawn: Collection[Slot],
    verified: Mapping[Slot, bool],
    state: State,
    version_set: str,
) -> None:
    """In one transaction: withdraw slots, load files in place of their slots' former versions,
    mark slots verified or not, and restate what follows from the journal (`state`).

    Every load and every withdrawal draws a load_id that is larger than all before it.
    """
    with _transaction(conn):
        _withdraw(conn, {*withdrawn, *(load.slot for load in loads)})
        if verified:
            marks = [pl.Series("is_verified", [verified[slot] for slot in sorted(verified)])]
            with _registered(conn, "slots", _slots(verified).with_columns(marks)):
                conn.execute(
                    "UPDATE raw.files SET is_verified = slots.is_verified FROM slots WHERE "
                    "files.feed = slots.feed AND files.snapshot_date = slots.snapshot_date "
                    "AND files.source = slots.source"
                )
        if loads:
            _insert_loads(conn, loads)
        if not is_current(conn, state, version_set):
            conn.execute("DELETE FROM raw.version_set")
            conn.execute(
                "INSERT INTO raw.version_set VALUES (?, ?)", [version_set, state.kept_from]
            )
            conn.execute("DELETE FROM raw.rejected_files")
            _insert(conn, "rejected_files", _rejected_files(state))


def remember_landing(
    conn: duckdb.DuckDBPyConnection, seen: Sequence[tuple[str, int, int, int, int, str]]
) -> None:
    """Replace what was seen of these paths: path, size, mtime_ns, ctime_ns, inode, sha256."""
    if not seen:
        return
    columns = ["path", "size", "mtime_ns", "ctime_ns", "inode", "sha256"]
    rows = pl.DataFrame(seen, schema=columns, orient="row", schema_overrides={"inode": pl.UInt64})
    with _transaction(conn):
        with _registered(conn, "seen", rows):
            conn.execute("DELETE FROM raw.landing_seen WHERE path IN (SELECT path FROM seen)")
        _insert(conn, "landing_seen", rows)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.creating")
    # A log left by a database that was deleted would be replayed into the new one.
    for leftover in (temporary, _log(temporary), _log(path)):
        leftover.unlink(missing_ok=True)
    conn = duckdb.connect(str(temporary))
    conn.execute(_schema_sql())
    conn.execute("INSERT INTO raw.made_by VALUES (?)", [_schema_sha256()])
    conn.execute("CHECKPOINT")
    conn.close()
    for name in (temporary, path.parent):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            if name == temporary:
                temporary.rename(path)
        finally:
            os.close(descriptor)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _withdraw(conn: duckdb.DuckDBPyConnection, slots: Collection[Slot]) -> None:
    if not slots:
        return
    with _registered(conn, "slots", _slots(slots)):
        rows = conn.execute(
            "SELECT feed, load_id FROM raw.files JOIN slots USING (feed, snapshot_date, source) "
            "ORDER BY load_id"
        ).fetchall()
    by_feed: dict[str, list[int]] = {}
    for feed, load_id in rows:
        by_feed.setdefault(feed, []).append(load_id)
    for feed, load_ids in by_feed.items():
        listed = ", ".join(map(str, load_ids))
        time = FEEDS[feed].activity_time
        if time is not None:
            (withdrawal,) = _load_ids(conn, 1)
            conn.execute(
                "INSERT INTO raw.withdrawn_activity "
                f"SELECT DISTINCT '{feed}', date_trunc('month', {time})::DATE, {withdrawal} "
                f"FROM raw.{feed} WHERE load_id IN ({listed}) ORDER BY ALL"
            )
        for table in (feed, "quarantined_rows", "files"):
            conn.execute(f"DELETE FROM raw.{table} WHERE load_id IN ({listed})")


def _insert_loads(conn: duckdb.DuckDBPyConnection, loads: Sequence[Load]) -> None:
    by_feed: dict[str, list[pl.DataFrame]] = {}
    quarantined: list[pl.DataFrame] = []
    files: list[dict[str, Any]] = []
    for load, load_id in zip(loads, _load_ids(conn, len(loads)), strict=True):
        slot, entry, parsed = load.slot, load.entry, load.parsed
        by_feed.setdefault(slot.feed, []).append(
            parsed.accepted.with_columns(
                pl.lit(slot.source).alias("source"), pl.lit(load_id, pl.Int64).alias("load_id")
            )
        )
        file = {**slot._asdict(), "sha256": entry.sha256, "load_id": load_id}
        if parsed.quarantined.height:
            quarantined.append(
                parsed.quarantined.with_columns(pl.lit(file[name]).alias(name) for name in file)
            )
        files.append(
            {
                **file,
                "clock_skew_minutes": entry.clock_skew_minutes,
                "rows_in_file": parsed.rows_in_file,
                "rows_accepted": parsed.accepted.height,
                "rows_quarantined": parsed.quarantined.height,
                "rows_duplicate": parsed.duplicates,
                "is_verified": entry.is_verified,
            }
        )
    for feed, frames in by_feed.items():
        _insert(conn, feed, pl.concat(frames))
    if quarantined:
        _insert(conn, "quarantined_rows", pl.concat(quarantined))
    _insert(conn, "files", pl.DataFrame(files))


def _load_ids(conn: duckdb.DuckDBPyConnection, count: int) -> list[int]:
    drawn = conn.execute(f"SELECT nextval('raw.load_ids') FROM range({count})").fetchall()
    return sorted(load_id for (load_id,) in drawn)


def _rejected_files(state: State) -> pl.DataFrame:
    rows = [
        (*slot, entry.file_name, entry.sha256, entry.reason, entry.detail)
        for slot, entries in sorted(state.refused.items())
        for _, entry in sorted(entries.items())
    ]
    text = pl.String()
    schema = {"feed": text, "snapshot_date": pl.Date(), "source": text, "file_name": text}
    schema |= {"sha256": text, "reason": text, "detail": text}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _slots(slots: Collection[Slot]) -> pl.DataFrame:
    schema = {"feed": pl.String, "snapshot_date": pl.Date, "source": pl.String}
    return pl.DataFrame(sorted(slots), schema=schema, orient="row")


def _insert(conn: duckdb.DuckDBPyConnection, table: str, rows: pl.DataFrame) -> None:
    if rows.is_empty():
        return
    with _registered(conn, "incoming", rows):
        conn.execute(f"INSERT INTO raw.{table} BY NAME SELECT * FROM incoming")


class _ArrowStream:
    """A frame as an Arrow stream and nothing else: DuckDB reads that without PyArrow, while a
    Polars frame as such makes it ask for PyArrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


@contextmanager
def _registered(conn: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame) -> Iterator[None]:
    conn.register(name, _ArrowStream(frame))
    try:
        yield
    finally:
        conn.unregister(name)


@contextmanager
def _transaction(conn: duckdb.DuckDBPyConnection) -> Iterator[None]:
    conn.execute("BEGIN")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # the transaction ended with the error, on a full disk
            conn.execute("ROLLBACK")
        raise
