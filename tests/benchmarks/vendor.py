"""A whole vendor's month on one machine: every day taken in, the month loaded, closed, published.

    python tests/benchmarks/vendor.py --folder /large/disk --devices 24000000 --memory 7GiB

Each day is simulated, taken in as `muster load` takes it in, and removed from the landing folder,
as the archive has it. Then `muster load` builds and publishes, and `muster close` issues; the
safety bound of an invoice is raised to what such a vendor would set. What was measured is noted in
`<folder>/measured.json`, so that a run that was broken off goes on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from report import Spent, Table, muster, spending, tell

from ingest.intake import receive
from ingest.load import open_warehouse
from ingest.reference import receive_reference
from ingest.simulate.run import set_stage, write_day
from ingest.simulate.writer import Landing

START = date(2026, 1, 1)
DAYS = 31
_SEEDS = Path(__file__).parents[2] / "seeds"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--folder", type=Path, required=True, help="on a disk with room")
    asked.add_argument("--devices", type=int, default=24_000_000)
    asked.add_argument("--memory", default="7GiB", help="MUSTER_MEMORY_LIMIT")
    wanted = asked.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    tell(measure(wanted.folder, wanted.devices, wanted.memory))


def measure(folder: Path, devices: int, memory: str) -> Table:
    """Seconds, peak memory and bytes of each step, on what was not measured before."""
    home, landing = folder / "home", folder / "landing"
    record = folder / "measured.json"
    measured: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {"days": []}
    if len(measured["days"]) < DAYS:
        # In a process of its own, so that its peak of memory is its own.
        worker = multiprocessing.get_context("spawn").Process(
            target=_take_in, args=(folder, devices, memory)
        )
        worker.start()
        worker.join()
        if worker.exitcode != 0:
            raise SystemExit("taking in failed, see above")
        measured = json.loads(record.read_text())
    landing.mkdir(exist_ok=True)
    seeds = str(_seeds(folder))
    for step in ("load", "close 2026-01"):
        if step not in measured:
            measured[step] = _watched(
                home, lambda step=step: muster(
                    home, landing, "--seeds", seeds, *step.split(), MUSTER_MEMORY_LIMIT=memory
                )
            )  # fmt: skip
            record.write_text(json.dumps(measured, indent=1))
    return _table(measured, home)


def _take_in(folder: Path, devices: int, memory: str) -> None:
    home, landing = folder / "home", folder / "landing"
    record = folder / "measured.json"
    measured = json.loads(record.read_text()) if record.exists() else {"days": []}
    home.mkdir(exist_ok=True)
    receive_reference(home, _seeds(folder))
    stage = set_stage(
        START, partners=200, customers=10_000, devices=devices, seed=7, seeds=_SEEDS, plant=None
    )
    for number in range(len(measured["days"]), DAYS):
        day = START + timedelta(days=number)
        shutil.rmtree(landing, ignore_errors=True)
        write_day(stage, Landing(landing, "parquet"), day)
        landed = sum(path.stat().st_size for path in landing.rglob("*.parquet"))
        with spending() as spent:
            conn = open_warehouse(home / "warehouse.duckdb")
            conn.execute("set memory_limit = $1", [memory])
            receipts = receive(conn, home, landing, dates={day})
            conn.execute("checkpoint")
            conn.close()
        measured["days"].append(
            {
                "rows": sum(receipt.rows_accepted for receipt in receipts),
                "landed": landed,
                "warehouse": (home / "warehouse.duckdb").stat().st_size,
                **vars(spent),
            }
        )
        record.write_text(json.dumps(measured, indent=1))
        print(day, measured["days"][-1], flush=True)
        shutil.rmtree(landing)


def _seeds(folder: Path) -> Path:
    """The project's, but for the largest amount of an invoice."""
    seeds = folder / "seeds"
    if not seeds.exists():
        shutil.copytree(_SEEDS, seeds)
        bounds = seeds / "safety_bounds.csv"
        text = bounds.read_text(encoding="utf-8")
        raised = text.replace("largest_amount,100000000,", "largest_amount,10000000000,")
        assert raised != text
        bounds.write_text(raised, encoding="utf-8")
    return seeds


def _watched(home: Path, work: Callable[[], Spent]) -> dict[str, float]:
    """What the work took, and the most that was spilled to disk meanwhile."""
    spilled, is_done = 0, threading.Event()

    def look() -> None:
        nonlocal spilled
        while not is_done.wait(5):
            files = (home / "warehouse.duckdb.tmp").glob("*")
            spilled = max(spilled, sum(_size(path) for path in files))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        spent = work()
    finally:
        is_done.set()
        looking.join()
    return {**vars(spent), "spilled": spilled}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _table(measured: dict[str, Any], home: Path) -> Table:
    days = measured["days"]
    rows = sum(day["rows"] for day in days)
    taking = (
        f"Take in {len(days)} days, {rows / len(days) / 1e6:.1f} million rows each",
        _duration(sum(day["wall"] for day in days)),
        f"{max(day['peak'] for day in days) / 2**30:.1f} GiB",
        "",
    )
    steps = [
        (
            f"`muster {step}`",
            _duration(measured[step]["wall"]),
            f"{measured[step]['peak'] / 2**30:.1f} GiB",
            f"{measured[step]['spilled'] / 1e9:.1f} GB",
        )
        for step in ("load", "close 2026-01")
    ]
    held = (
        ("Landing files, as sent", sum(day["landed"] for day in days)),
        ("Raw rows in the warehouse", days[-1]["warehouse"]),
        ("The whole home in the end", _bytes(home)),
    )
    sizes = [
        (words, "", "", f"{size / 1e9:.1f} GB, {size / rows:.1f} bytes a device-day")
        for words, size in held
    ]
    columns = ("Step", "Wall clock", "Peak memory", "Spilled, or kept on disk")
    return Table("vendor", columns, [taking, *steps, *sizes])


def _bytes(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    # A file with several names is one.
    return sum({path.stat().st_ino: path.stat().st_blocks * 512 for path in files}.values())


def _duration(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


if __name__ == "__main__":
    main()
