"""A home and a landing folder to deliver files into, for the intake's tests.

Only what several test files need belongs here; expectations stay in the tests.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Collection
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from ingest.contracts import FEEDS
from ingest.intake import Receipt, receive, synchronise
from ingest.journal import Entry, Journal
from ingest.landing import Format
from ingest.load import open_warehouse
from ingest.parse import accepted_schema

DAY = date(2026, 1, 15)
USAGE_HEADER = "snapshot_date,customer_id,product_code,device_id,user_id,last_active_at"
# Everything in the raw schema that follows from the versions in force, and from nothing else.
STATE_TABLES = (*FEEDS, "files", "quarantined_rows", "rejected_files", "version_set")


def usage(*rows: str, day: date = DAY) -> bytes:
    """A usage file. A row is "customer product device user time", times on `day` without Z."""
    lines = [USAGE_HEADER]
    for row in rows:
        customer, product, device, user, time = row.split(" ")
        lines.append(f"{day},{customer},{product},{device},{user},{day}T{time}Z")
    return "".join(line + "\n" for line in lines).encode()


def in_format(csv: bytes, format: Format, feed: str, path: Path) -> None:
    """Write CSV text in another format; the text must have no quotes and no bad values."""
    if format is Format.CSV:
        path.write_bytes(csv)
    elif format is Format.CSV_GZ:
        path.write_bytes(gzip.compress(csv, mtime=0))
    else:
        contract = FEEDS[feed]
        rows = [
            [field or None for field in line.split(",")] for line in csv.decode().splitlines()[1:]
        ]
        text = pl.DataFrame(rows, dict.fromkeys(contract.column_names, pl.String), orient="row")
        typed = [
            _typed(pl.col(name), type)
            for name, type in accepted_schema(contract).items()
            if name != "row_number"
        ]
        text.with_columns(typed).write_parquet(path)


def _typed(text: pl.Expr, type: pl.DataType) -> pl.Expr:
    if type == pl.Datetime("us"):
        return text.str.strip_suffix("Z").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f")
    if type == pl.Date():
        return text.str.to_date("%Y-%m-%d")
    if isinstance(type, pl.Decimal):
        return text.str.to_decimal(scale=6).cast(type)
    return text.cast(type)


class Site:
    """`landing`, `home` and an open warehouse below one folder."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.landing = root / "landing"
        self.landing.mkdir(parents=True)
        self.conn = open_warehouse(self.home / "warehouse.duckdb")

    def deliver(self, name: str, content: bytes | dict[str, Any]) -> Path:
        """Write `<feed>/<date>/<file>`; a dict is written as JSON."""
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    def receive(
        self, *, dates: Collection[date] | None = None, clock_skew_minutes: int = 10
    ) -> dict[str, Receipt]:
        """Receipts by file name (a synchronisation's and the intake's)."""
        receipts = receive(
            self.conn,
            self.home,
            self.landing,
            dates=dates,
            clock_skew_minutes=clock_skew_minutes,
        )
        return {receipt.file_name: receipt for receipt in receipts}

    def synchronise(self) -> list[Receipt]:
        return synchronise(self.conn, self.home)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.conn.execute(sql).fetchall()

    def journal(self) -> list[Entry]:
        return Journal(self.home / "journal").entries()

    def kinds(self) -> list[str]:
        return [str(entry.kind) for entry in self.journal()]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """The raw tables without load_id, in one order."""
        return raw_tables(self.conn)

    def reopen(self, *, lose_warehouse: bool = False) -> None:
        """Close the warehouse and open it again, perhaps after its file was lost."""
        self.conn.close()
        path = self.home / "warehouse.duckdb"
        if lose_warehouse:
            path.unlink()
        self.conn = open_warehouse(path)


def raw_tables(conn: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of the raw tables that are state, without load_id, in one order."""

    def rows(table: str) -> list[tuple[Any, ...]]:
        keep = "*" if table in ("rejected_files", "version_set") else "* EXCLUDE (load_id)"
        return conn.execute(f"SELECT {keep} FROM raw.{table} ORDER BY ALL").fetchall()

    return {table: rows(table) for table in STATE_TABLES}


def clean_room(root: Path, steps: Callable[[Site], object]) -> dict[str, list[tuple[Any, ...]]]:
    """The raw tables after these steps on a site of their own."""
    site = Site(root)
    try:
        steps(site)
        return site.tables()
    finally:
        site.conn.close()
