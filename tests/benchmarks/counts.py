"""The active units of a window: the product's activity store beside ways that keep no store.

    python tests/benchmarks/counts.py --devices 3000000 --rivals duckdb polars clickhouse postgresql

All are asked, of the same thirty daily files, how many users (or devices without one) every
customer and product had in the window, and must answer the same. Thirty days of 3,000,000 devices
are 1.7 GB of Parquet; ClickHouse needs the package chdb, PostgreSQL its server from Debian.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
from report import Table, muster, tell

from ingest.simulate.run import simulate

START = date(2026, 1, 1)
ENDS = date(2026, 1, 31)
BEGINS = ENDS - timedelta(days=29)
_SEEDS = Path(__file__).parents[2] / "seeds"
_POSTGRESQL = Path("/usr/lib/postgresql")
Counts = list[tuple[str, str, int]]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--devices", type=int, default=300_000)
    asked.add_argument("--times", type=int, default=3, help="the best of so many runs counts")
    asked.add_argument("--rivals", nargs="*", choices=list(_RIVALS), default=["duckdb", "polars"])
    asked.add_argument("--folder", type=Path, help="keep landing and home here, and use them again")
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="counts-") as temporary:
        folder = wanted.folder or Path(temporary)
        tell(*measure(folder, wanted.devices, wanted.times, wanted.rivals))


def postgresql() -> Path | None:
    """Where Debian keeps the programs of its newest PostgreSQL, if it is installed."""
    return max(_POSTGRESQL.glob("*/bin"), default=None)


def load(home: Path, landing: Path, devices: int) -> None:
    """Thirty-one simulated days in a home, unless it is there already."""
    if not (home / "warehouse.duckdb").exists():
        simulate(
            landing, START, ENDS, partners=60, customers=3000, devices=devices, seed=7,
            format="parquet", seeds=_SEEDS,
        )  # fmt: skip
        muster(home, landing, "load")


def measure(folder: Path, devices: int, times: int, rivals: list[str]) -> list[Table]:
    """The counts of one window in every way, then of earlier windows, then a day's upkeep."""
    home, landing = folder / "home", folder / "landing"
    load(home, landing, devices)
    conn = duckdb.connect(str(home / "warehouse.duckdb"), read_only=True)
    conn.execute("set timezone = 'UTC'")
    seconds, counts = best(times, lambda: _store(conn, ENDS))
    rows = [_row("Musterhouse: days seen as bits", seconds, seconds)]
    for name in rivals:
        words, ways = _RIVALS[name]
        with ways(conn, landing, folder) as count:
            took, theirs = best(times, count)
        assert theirs == counts, f"{name} counts otherwise"
        rows.append(_row(words, took, seconds))
    seconds_of_rules, _ = best(times, lambda: _rules(conn, ENDS))
    rows.append(
        _row("Musterhouse: by the rules of the invoice (R6, R8)", seconds_of_rules, seconds)
    )
    facts = conn.execute(
        "select (select count(*) from raw.usage), (select count(*) from activity.device_activity)"
    ).fetchall()[0]
    total = sum(count for _, _, count in counts)
    rows.append((f"{facts[0]:,} raw rows, {facts[1]:,} in the store, {total:,} units", "", ""))
    dates = [ENDS - timedelta(days=back) for back in (0, 7, 14, 25)]
    past = []
    for day in dates:
        took, counted = best(times, lambda day=day: _store(conn, day))
        took_raw, raw = best(1, lambda day=day: of_raw_rows(conn, day))
        assert counted == raw
        past.append((str(day), f"{took:.2f} s", f"{took_raw:.2f} s", f"{took_raw / took:.0f}"))
    conn.close()
    return [
        Table("counts", ("Way", "Seconds", "Times ours"), rows),
        Table("past", ("Window ends on", "Store", "Raw rows", "Ratio"), past),
    ]


def _row(words: str, seconds: float, ours: float) -> tuple[str, str, str]:
    return words, f"{seconds:.2f}", f"{seconds / ours:.1f}"


def best(times: int, count: Callable[[], Counts]) -> tuple[float, Counts]:
    """Seconds of the fastest of so many runs, and the answer in order."""
    least = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        answer = count()
        least = min(least, time.perf_counter() - began)
    return least, sorted(answer)


def _store(conn: duckdb.DuckDBPyConnection, ends: date) -> Counts:
    """From the bits: the months that the window touches, whatever the number of snapshots."""
    begins = ends - timedelta(days=29)
    return conn.execute(
        """
        with masked as (
            select
                customer_id, product_code, coalesce(user_id, device_id) as unit_id,
                active_days & cast(
                    (1 << greatest(0, least(31, $ends - activity_month + 1)))
                    - (1 << greatest(0, least(31, $begins - activity_month))) as integer
                ) as active_days
            from activity.device_activity
            where activity_month between date_trunc('month', $begins) and $ends
        )
        select customer_id, product_code, count(distinct unit_id)
        from masked where active_days <> 0 group by all
        """,
        {"begins": begins, "ends": ends},
    ).fetchall()


def _rules(conn: duckdb.DuckDBPyConnection, ends: date) -> Counts:
    return conn.execute(
        "select customer_id, product_code, active_units from activity.active_users($1, 30)", [ends]
    ).fetchall()


_COUNT = """
    select customer_id, product_code, count(distinct coalesce(user_id, device_id))
    from {table} where cast(last_active_at as date) between date '{begins}' and date '{ends}'
    group by customer_id, product_code
"""


def of_raw_rows(conn: duckdb.DuckDBPyConnection, ends: date) -> Counts:
    """What a dbt project without a store does: the raw rows of the window, counted again."""
    begins = ends - timedelta(days=29)
    return conn.execute(_COUNT.format(table="raw.usage", begins=begins, ends=ends)).fetchall()


@contextmanager
def _of_duckdb(
    conn: duckdb.DuckDBPyConnection, landing: Path, folder: Path
) -> Iterator[Callable[[], Counts]]:
    yield lambda: of_raw_rows(conn, ENDS)


@contextmanager
def _of_polars(
    conn: duckdb.DuckDBPyConnection, landing: Path, folder: Path
) -> Iterator[Callable[[], Counts]]:
    rows = pl.scan_parquet(landing / "usage/*/*.parquet")
    day = pl.col("last_active_at").dt.date()
    unit = pl.coalesce("user_id", "device_id").n_unique().cast(pl.Int64)
    query = rows.filter(day.is_between(BEGINS, ENDS)).group_by("customer_id", "product_code")
    yield lambda: query.agg(unit.alias("units")).collect(engine="streaming").rows()


@contextmanager
def _of_clickhouse(
    conn: duckdb.DuckDBPyConnection, landing: Path, folder: Path
) -> Iterator[Callable[[], Counts]]:
    from chdb.session import Session  # an extra of the benchmarks alone

    place = folder / "clickhouse"
    shutil.rmtree(place, ignore_errors=True)
    session = Session(str(place))
    session.query("create database house")
    session.query(
        "create table house.usage engine = MergeTree order by (customer_id, product_code) "
        f"settings allow_nullable_key = 1 as select * from file('{landing}/usage/*/*.parquet')"
    )
    query = _COUNT.format(table="house.usage", begins=BEGINS, ends=ENDS)

    def count() -> Counts:
        lines = str(session.query(query, "TabSeparated")).splitlines()
        answer = (line.split("\t") for line in lines)
        return [(customer, product, int(units)) for customer, product, units in answer]

    yield count
    session.close()
    shutil.rmtree(place)


@contextmanager
def _of_postgresql(
    conn: duckdb.DuckDBPyConnection, landing: Path, folder: Path
) -> Iterator[Callable[[], Counts]]:
    """A server of its own on a socket, with memory enough to count by hashing.

    Started by root it runs as `postgres`, who may not look into root's temporary folders.
    """
    programs = postgresql()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    place = Path(tempfile.mkdtemp(prefix="postgresql-"))
    is_root = os.geteuid() == 0
    if is_root:
        shutil.chown(place, "postgres")
        place.chmod(0o755)

    def call(program: str, *words: str) -> str:
        as_server = ["runuser", "-u", "postgres", "--"] if is_root else []
        command = [*as_server, str(programs / program), *words]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=place)
        return done.stdout.decode()

    data = str(place / "data")
    call("initdb", "--pgdata", data, "--no-sync")
    options = f"-c listen_addresses= -k {place} -c shared_buffers=2GB -c work_mem=1GB"
    options += " -c max_parallel_workers_per_gather=2 -c fsync=off"
    call(
        "pg_ctl", "--pgdata", data, "--options", options, "--log", f"{data}/log", "--wait", "start"
    )

    def ask(query: str) -> str:
        return call("psql", "-h", str(place), "-d", "postgres", "-AtF,", "-c", query)

    try:
        ask(
            "create unlogged table usage (snapshot_date date, customer_id text, product_code text,"
            " device_id text, user_id text, last_active_at timestamp)"
        )
        for day in sorted((landing / "usage").iterdir()):
            lines = place / "day.csv"
            conn.execute(f"copy (from '{day}/*.parquet') to '{lines}' (header false)")
            lines.chmod(0o644)
            ask(f"copy usage from '{lines}' (format csv)")
            lines.unlink()
        ask("analyze usage")
        query = _COUNT.format(table="usage", begins=BEGINS, ends=ENDS)

        def count() -> Counts:
            answer = (line.split(",") for line in ask(query).splitlines())
            return [(customer, product, int(units)) for customer, product, units in answer]

        yield count
    finally:
        call("pg_ctl", "--pgdata", data, "--mode", "immediate", "stop")
        shutil.rmtree(place)


_RIVALS: dict[str, tuple[str, Callable[..., object]]] = {
    "duckdb": ("DuckDB: count(distinct) over thirty days of raw rows", _of_duckdb),
    "polars": ("Polars, streaming: the same over the landing files", _of_polars),
    "clickhouse": ("ClickHouse (chdb): the same over a MergeTree table", _of_clickhouse),
    "postgresql": ("PostgreSQL: the same over a table", _of_postgresql),
}


if __name__ == "__main__":
    main()
