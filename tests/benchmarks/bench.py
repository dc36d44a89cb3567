"""Every benchmark at a size that takes some minutes; the large ones are asked for by themselves.

    python tests/benchmarks/bench.py --devices 200000

Prints the tables and puts them into docs/performance.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from pathlib import Path

import counts
import days
import load
import roster
import start_up
from report import machine, tell


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--devices", type=int, default=200_000)
    wanted = asked.parse_args()
    rivals = ["duckdb", "polars"]
    if importlib.util.find_spec("chdb"):
        rivals.append("clickhouse")
    if counts.postgresql() is not None:
        rivals.append("postgresql")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        for part in ("load", "counts", "days", "roster", "start-up"):
            (folder / part).mkdir()
        tell(machine())
        # One day, where others have thirty: of less, what any file costs would be measured.
        tell(load.measure(folder / "load", 10 * wanted.devices, times=3))
        tell(*counts.measure(folder / "counts", wanted.devices, 3, rivals))
        tell(*days.measure(folder / "days", wanted.devices))
        tell(roster.measure(folder / "roster", [wanted.devices, 10 * wanted.devices]))
        tell(*start_up.measure(folder / "start-up"))


if __name__ == "__main__":
    main()
