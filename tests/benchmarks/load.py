"""How fast a day's usage is taken in, beside DuckDB reading the same files into a table.

    python tests/benchmarks/load.py --devices 2000000

The product archives, checks, quarantines, finds repeats and clusters; DuckDB does none of it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from report import Table, spending, tell

import ingest.parse
from ingest.contracts import FEEDS
from ingest.intake import receive
from ingest.load import SQL_TYPE, open_warehouse
from ingest.simulate.run import simulate
from ingest.simulate.writer import Format

DAY = date(2026, 1, 15)
_SEEDS = Path(__file__).parents[2] / "seeds"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--devices", type=int, default=2_000_000)
    asked.add_argument("--times", type=int, default=5, help="the best of so many runs counts")
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        tell(measure(Path(folder), wanted.devices, wanted.times))


def measure(folder: Path, devices: int, times: int) -> Table:
    """Rows per second of both, in alternation, for Parquet and gzipped CSV."""
    rows = []
    formats: tuple[Format, ...] = ("parquet", "csv.gz")
    for format in formats:
        landing = folder / format
        simulate(
            landing, DAY, DAY, partners=60, customers=3000, devices=devices, seed=7, format=format,
            seeds=_SEEDS,
        )  # fmt: skip
        ours, theirs, repeats = [], [], []
        for number in range(times):
            seconds, finding, counted = _product(folder / f"home-{format}-{number}", landing)
            ours.append(seconds)
            repeats.append(finding)
            seconds, expected = _duckdb(folder / f"{format}-{number}.duckdb", landing, format)
            theirs.append(seconds)
            assert counted == expected, (counted, expected)
        count = int(counted[0])
        rows.append(
            (
                format,
                f"{count:,}",
                f"{count / min(ours):,.0f}",
                f"{count / min(theirs):,.0f}",
                f"{min(theirs) / min(ours):.2f}",
                f"{min(repeats) / min(ours):.0%}",
            )
        )
    columns = (
        *("Format", "Rows", "Musterhouse, rows/s", "DuckDB, rows/s", "Ratio"),
        "of that, finding repeats",
    )
    return Table("load", columns, rows)


def _product(home: Path, landing: Path) -> tuple[float, float, tuple[Any, ...]]:
    """Seconds, seconds spent on repeats, and what is in the table."""
    home.mkdir()
    conn = open_warehouse(home / "warehouse.duckdb")
    found = 0.0
    original: Callable[..., Any] = ingest.parse._resolve_repeats

    def timed(*arguments: Any) -> Any:
        nonlocal found
        with spending() as inside:
            answer = original(*arguments)
        found += inside.wall
        return answer

    ingest.parse._resolve_repeats = timed
    try:
        with spending() as spent:
            receive(conn, home, landing, feeds=["usage"])
            conn.execute("checkpoint")
    finally:
        ingest.parse._resolve_repeats = original
    counted = _content(conn, "raw.usage")
    conn.close()
    return spent.wall, found, counted


def _duckdb(path: Path, landing: Path, format: str) -> tuple[float, tuple[Any, ...]]:
    files = f"{landing}/usage/*/*.{format}"
    if format == "parquet":
        source = f"'{files}'"
    else:
        columns = {column.name: SQL_TYPE[column.type] for column in FEEDS["usage"].columns}
        source = f"read_csv('{files}', header = true, columns = {columns})"
    conn = duckdb.connect(str(path))
    conn.execute("set timezone = 'UTC'")
    with spending() as spent:
        conn.execute(f"create table loaded as select * from {source}")
        conn.execute("checkpoint")
    counted = _content(conn, "loaded")
    conn.close()
    return spent.wall, counted


def _content(conn: duckdb.DuckDBPyConnection, table: str) -> tuple[Any, ...]:
    """The same for the same rows in any order."""
    return conn.execute(
        "select count(*), sum(cast(hash(customer_id, product_code, device_id, user_id, "
        f"cast(last_active_at as timestamp)) as hugeint)) from {table}"
    ).fetchall()[0]


if __name__ == "__main__":
    main()
