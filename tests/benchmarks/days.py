"""What a day costs as history grows, what a replaced file costs, and a store copied every day.

    python tests/benchmarks/days.py --devices 2000000

Every load is a whole `muster load`: archive, checks, models, tests and publication. The store that
is copied every day keeps thirty days as bits of each device too, but makes its table anew from
yesterday's and today's, so a late file would mean copying every day since again.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
from report import Spent, Table, muster, tell

from ingest.simulate.run import simulate

START = date(2026, 1, 1)
_SEEDS = Path(__file__).parents[2] / "seeds"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--devices", type=int, default=300_000)
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="days-") as folder:
        tell(*measure(Path(folder), wanted.devices))


def measure(folder: Path, devices: int) -> list[Table]:
    """Loads of day 2 and day 30, of a file of day 6 sent again, and the bits alone."""
    sent, home, landing = folder / "sent", folder / "home", folder / "landing"
    simulate(
        sent, START, START + timedelta(days=29), partners=60, customers=3000, devices=devices,
        seed=7, format="parquet", seeds=_SEEDS,
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    loads: list[tuple[str, Spent, float]] = []
    for words, days in (("", [1]), ("Day 2", [2]), ("", range(3, 30)), ("Day 30", [30])):
        for day in days:
            _deliver(sent, landing, START + timedelta(days=day - 1))
        loads.append((words, muster(home, landing, "load"), _of_store(home)))
    _resend(landing, START + timedelta(days=5))
    loads.append(("A file of day 6 sent again", muster(home, landing, "load"), _of_store(home)))
    base = loads[1]
    for words, spent, store in loads:
        if words:
            rows.append(
                (
                    words,
                    *(f"{spent.wall:.1f} s", f"{spent.wall / base[1].wall:.2f}"),
                    *(f"{spent.cpu:.1f} s", f"{spent.cpu / base[1].cpu:.2f}"),
                    f"{store:.2f} s",
                )
            )
    columns = ("Load", "Wall clock", "of day 2's", "CPU", "of day 2's", "of it the store")
    copied = _copied_every_day(sent, folder / "copied.duckdb")
    kept = loads[3][2]
    bits = [
        ("Musterhouse: the months a day changes are rewritten", f"{kept:.2f} s", "1.0"),
        ("A table copied every day", f"{copied:.2f} s", f"{copied / kept:.1f}"),
    ]
    return [Table("days", columns, rows), Table("copied", ("Bits of day 30", "", "Times"), bits)]


def _deliver(sent: Path, landing: Path, day: date) -> None:
    for feed in sent.iterdir():
        (landing / feed.name).mkdir(parents=True, exist_ok=True)
        shutil.move(feed / str(day), landing / feed.name / str(day))


def _resend(landing: Path, day: date) -> None:
    """One source's file of that day once more, without its last row."""
    path = min((landing / "usage" / str(day)).glob("*.parquet"))
    rows = pl.read_parquet(path)
    rows.head(rows.height - 1).write_parquet(path)
    path.with_name(f"{path.name}.manifest.json").unlink()


def _of_store(home: Path) -> float:
    """Seconds that dbt's last build took to fold the day into the store of usage."""
    log = (home / "dbt/logs/dbt.log").read_text(encoding="utf-8", errors="replace")
    found = re.findall(r"OK created sql incremental model .*int_usage_activity .*in ([\d.]+)s", log)
    return float(found[-1])


def _copied_every_day(sent: Path, path: Path) -> float:
    """The day's files are gone from `sent` by now, so they are read where they were put."""
    landing = sent.with_name("landing")
    conn = duckdb.connect(str(path))
    conn.execute("set timezone = 'UTC'")
    took = 0.0
    for number in range(30):
        day = START + timedelta(days=number)
        conn.execute(f"create or replace view today as from '{landing}/usage/{day}/*.parquet'")
        yesterday = "from seen" if number else "from seen_today limit 0"
        began = time.perf_counter()
        conn.execute(
            f"""
            create or replace table seen_today as
            select
                customer_id, product_code, device_id, user_id,
                bit_or(1 << (date '{day}' - cast(last_active_at as date))) as active_days
            from today
            where cast(last_active_at as date) between date '{day}' - 29 and date '{day}'
            group by all;
            create or replace table seen_next as
            select
                coalesce(today.customer_id, before.customer_id) as customer_id,
                coalesce(today.product_code, before.product_code) as product_code,
                coalesce(today.device_id, before.device_id) as device_id,
                coalesce(today.user_id, before.user_id) as user_id,
                (coalesce(before.active_days, 0) << 1) & ((1 << 30) - 1)
                | coalesce(today.active_days, 0) as active_days
            from seen_today as today
            full join ({yesterday}) as before
                on today.customer_id = before.customer_id
                and today.product_code = before.product_code
                and today.device_id = before.device_id
                and today.user_id is not distinct from before.user_id;
            drop table if exists seen;
            alter table seen_next rename to seen;
            checkpoint
            """
        )
        took = time.perf_counter() - began
    conn.close()
    return took


if __name__ == "__main__":
    main()
