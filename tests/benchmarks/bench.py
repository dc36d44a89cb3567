"""Every benchmark at a size that takes some minutes; the large ones are asked for by themselves.

    python tests/benchmarks/bench.py --devices 200000

Prints the tables and puts them into docs/performance.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import counts
from report import machine, tell


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--devices", type=int, default=200_000)
    devices: int = asked.parse_args().devices
    rivals = ["duckdb", "polars"]
    if importlib.util.find_spec("chdb"):
        rivals.append("clickhouse")
    if counts.postgresql() is not None:
        rivals.append("postgresql")
    tell(machine())
    # One day, where others have thirty: of less, what any file costs would be measured.
    _run("load.py", "--devices", 10 * devices)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        month = ["--devices", str(devices), "--folder", folder]
        _run("counts.py", *month, "--rivals", *rivals)
        _run("draft.py", *month)
    _run("days.py", "--devices", devices)
    _run("roster.py", "--rows", devices, 10 * devices)
    _run("start_up.py")


def _run(part: str, *words: str | int) -> None:
    """A process of its own: what one that is forked begins with counts as its peak of memory."""
    command = [sys.executable, str(Path(__file__).with_name(part)), *map(str, words)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
