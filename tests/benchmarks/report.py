"""What a benchmark measured: a table, printed and put into docs/performance.md.

How a table looks and where it stands; what is measured is each benchmark's own business.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/performance.md"


@dataclass(frozen=True)
class Table:
    """Rows of texts under `columns`. `name` is where the table stands in docs/performance.md."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        rule = ["---"] + ["--:"] * (len(self.columns) - 1)
        lines = [self.columns, rule, *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass
class Spent:
    """Seconds of wall clock and of CPU (this process and its children), and peak memory of the
    largest of them, in bytes."""

    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0


@contextmanager
def spending() -> Iterator[Spent]:
    """Filled in when the block ends."""
    spent = Spent()
    wall, cpu = time.perf_counter(), _cpu()
    try:
        yield spent
    finally:
        spent.wall, spent.cpu = time.perf_counter() - wall, _cpu() - cpu
        spent.peak = 1024 * max(usage.ru_maxrss for usage in _usages())


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> Spent:
    """A command as its own process; its output goes to `<folder>/log`. Raises when it fails."""
    log = folder / "log"
    with log.open("ab") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    if status != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{log.read_text()[-2000:]}")
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def muster(home: Path, landing: Path, *words: str, **environment: str) -> Spent:
    """A `muster` command on a home, which is also where its log goes."""
    home.mkdir(parents=True, exist_ok=True)
    program = Path(sys.executable).with_name("muster")
    options = ["--home", str(home), "--landing", str(landing)]
    return run([program, *options, *words], home, DO_NOT_TRACK="1", **environment)


def tell(*tables: Table) -> None:
    """Print the tables, and put them into docs/performance.md where it names them."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    for table in tables:
        print(f"\n{table.name}\n\n{table.markdown()}")
        begins, ends = f"<!-- {table.name} -->", "<!-- end -->"
        place = re.compile(rf"{re.escape(begins)}\n.*?{re.escape(ends)}", re.DOTALL)
        text = f"{begins}\n{table.markdown()}\n{ends}"
        page = place.sub(lambda _, text=text: text, page)  # type: ignore[misc]
    if page:
        PAGE.write_text(page, encoding="utf-8")


def machine() -> Table:
    """What the figures were measured on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    packages = ("duckdb", "polars", "dbt-core", "dbt-duckdb", "dagster", "great-expectations")
    rows = [
        ("Processor", cpu[1] if cpu else platform.machine()),
        ("Cores", str(os.cpu_count())),
        ("Memory", f"{memory / 2**30:.0f} GiB"),
        ("System", f"{platform.system()}, Python {platform.python_version()}"),
        ("Packages", ", ".join(f"{package} {version(package)}" for package in packages)),
    ]
    return Table("machine", ("Machine", ""), rows)


def _usages() -> list[resource.struct_rusage]:
    return [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


def _cpu() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in _usages())
