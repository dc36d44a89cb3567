"""How long a small command takes, beside the bare libraries it is made of, in one run.

    python tests/benchmarks/start_up.py --repeats 3 --days 60

Bare is what nobody can do without: a process each that imports Dagster, dbt (with its adapter and
dagster-dbt) and Great Expectations, and plain `dbt build` of the same project on a copy of the same
warehouse, with the same tests. dbt's own figures are with its parse cached in its target folder, as
ours is, and once without. The best of the repeats counts; they take turns.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

import tiny
from report import Table, tell

from dagster_project.lib.dbt import NOT_IN_PRODUCTION
from ingest.simulate import simulate

REPOSITORY = Path(__file__).parents[2]
PERIOD = "2026-01"
_LIBRARIES = {
    "import Dagster": "import dagster",
    "import dbt": "import dagster_dbt, dbt.cli.main, dbt.adapters.duckdb",
    # It looks for PySpark, whose module for tests ends the process when Arrow is missing.
    "import Great Expectations": "import sys; sys.modules['pyspark'] = None; "
    "import great_expectations, great_expectations.expectations",
}
_ALL_LIBRARIES = "; ".join(_LIBRARIES.values())
_SAME_TESTS = ("--exclude-resource-type", "unit_test", "--exclude", *NOT_IN_PRODUCTION.split())
_AFTER_ISSUING = ("--select", "source:ledger+")
_RUNS = """
import dagster as dg
with dg.DagsterInstance.get() as instance:
    runs = instance.get_runs()
    print(len(runs), len(instance.get_materialized_partitions(dg.AssetKey(["raw", "usage"]))))
"""


@dataclass
class Watch:
    """Wall and CPU seconds of child processes, by what was measured."""

    wall: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def run(
        self, what: str, command: Sequence[str], environment: Mapping[str, str], expect: int = 0
    ) -> str:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, check=False
        )
        self.wall[what].append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu[what].append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        if done.returncode != expect:
            raise SystemExit(f"{what} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def best(self, *what: str) -> tuple[float, float]:
        """The sum of the best of each: wall and CPU."""
        return sum(min(self.wall[one]) for one in what), sum(min(self.cpu[one]) for one in what)


def main() -> None:
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument(
        "--repeats", type=int, default=3, help="of everything that is compared; 0 leaves it out"
    )
    asked.add_argument("--looks", type=int, default=10, help="of --help and status")
    asked.add_argument("--days", type=int, default=60, help="of the backfill; 0 leaves it out")
    asked.add_argument("--devices", type=int, default=600, help="of the backfill")
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="start-up-") as folder:
        if wanted.repeats:
            tell(*measure(Path(folder) / "small", wanted.repeats, wanted.looks))
        if wanted.days:
            many = Path(folder) / "many"
            tell(*measure_backfill(many, wanted.days, wanted.devices, wanted.looks))


def measure(folder: Path, repeats: int = 3, looks: int = 10) -> list[Table]:
    """The small close beside its parts, and the commands that only look."""
    watch, environment = Watch(), _environment(folder)
    usage = tiny.usage("C1", ["a", "b", "c"], "2026-01-20")
    tiny.month_end(folder / "landing", "2026-01-31", usage)
    tiny.seeds(folder / "seeds")
    home, loaded, fresh = (folder / name for name in ("home", "loaded", "fresh"))
    watch.run("load, first home of a machine", _muster(folder, home, "load"), environment)
    shutil.copytree(home, loaded, symlinks=True)
    watch.run("close", _muster(folder, home, "close", PERIOD), environment)
    project = folder / "project"
    for number in range(repeats):
        for what, code in _LIBRARIES.items():
            watch.run(what, [sys.executable, "-c", code], environment)
        watch.run("all imports, one process", [sys.executable, "-c", _ALL_LIBRARIES], environment)
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(home, project, symlinks=True)
        for parse in ("nothing parsed", "parsed"):
            watch.run(f"dbt build, {parse}", _dbt(project), _of_dbt(environment, project))
        after = _dbt(project, *_AFTER_ISSUING)
        watch.run("dbt build, after issuing", after, _of_dbt(environment, project))
        for what, start in (("close", loaded), ("load and close", None)):
            shutil.rmtree(fresh, ignore_errors=True)
            if start is not None:
                shutil.copytree(start, fresh, symlinks=True)
            watch.run(what, _muster(folder, fresh, "close", PERIOD), environment)
        print(f"{number + 1} of {repeats}", file=sys.stderr)
    for _ in range(looks):
        watch.run("muster --help", _muster(folder, home, "--help"), environment)
        watch.run("muster status", _muster(folder, home, "status"), environment)
    return _compared(watch)


def _compared(watch: Watch) -> list[Table]:
    names = [*_LIBRARIES, "all imports, one process"]
    names += [f"dbt build, {one}" for one in ("nothing parsed", "parsed", "after issuing")]
    names += ["load, first home of a machine", "close", "load and close"]
    parts = [(name, *(f"{took:.2f} s" for took in watch.best(name))) for name in names]
    ratios = []
    for command, builds in (
        ("close", "after issuing"),
        ("close", "parsed"),
        ("load and close", "parsed"),
        ("load and close", "nothing parsed"),
    ):
        bare = watch.best(*_LIBRARIES, f"dbt build, {builds}")
        ours = watch.best(command)
        times = (f"{a / b:.2f}" for a, b in zip(ours, bare, strict=True))
        ratios.append((f"{command}, of imports and dbt build, {builds}", *times))
    return [
        Table("start-up-parts", ("Process", "Wall clock", "CPU"), parts),
        Table("start-up", ("Command", "Wall clock", "CPU"), ratios),
        _looks(watch, "looks"),
    ]


def _looks(watch: Watch, table: str) -> Table:
    rows = []
    for name in (one for one in watch.wall if one.startswith("muster")):
        wall = watch.wall[name]
        took = (min(wall), statistics.median(wall), min(watch.cpu[name]))
        rows.append((name, *(f"{seconds:.2f} s" for seconds in took)))
    return Table(table, ("Command", "Best", "Median", "CPU"), rows)


def measure_backfill(folder: Path, days: int, devices: int, looks: int = 10) -> list[Table]:
    """A first load of many landed days, beside one of the first day alone."""
    watch, environment = Watch(), _environment(folder)
    first = date(2026, 1, 1)
    last = first + timedelta(days=days - 1)
    shutil.copytree(REPOSITORY / "seeds", folder / "seeds")
    for name, end in (("one", first), ("all", last)):
        simulate(
            folder / name / "landing",
            first,
            end,
            partners=6,
            customers=60,
            devices=devices,
            seed=7,
            format="csv.gz",
            seeds=folder / "seeds",
        )
        (folder / name / "seeds").symlink_to(folder / "seeds")
    for name in ("one", "one again", "all"):  # the first one parses the project
        home = folder / name / "home"
        place = folder / name.split()[0]
        watch.run(name, _muster(place, home, "load"), environment)
    settings = {**environment, "DAGSTER_HOME": str(folder / "all" / "home" / "dagster")}
    runs, loaded = watch.run(
        "runs", [sys.executable, "-W", "ignore", "-c", _RUNS], settings
    ).split()
    ended = sorted({f"{last.replace(day=1) - timedelta(days=1):%Y-%m}", f"{first:%Y-%m}"})
    for period in ended:
        command = _muster(folder / "all", folder / "all" / "home", "close", period)
        watch.run(f"close {period}", command, environment)
    for _ in range(looks):
        status = _muster(folder / "all", folder / "all" / "home", "status")
        watch.run(f"muster status, {days} days, {len(ended)} months closed", status, environment)
    rows = [
        (what, count, *(f"{took:.1f} s" for took in watch.best(name)))
        for what, count, name in (("1", "1", "one again"), (loaded, runs, "all"))
    ]
    columns = ("Landed days", "Dagster runs", "Wall clock", "CPU")
    return [Table("backfill", columns, rows), _looks(watch, "looks-backfill")]


def _environment(folder: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    return {
        **own,
        "MUSTER_CACHE": str(folder / "cache"),
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(REPOSITORY),
    }


def _muster(folder: Path, home: Path, *arguments: str) -> list[str]:
    code = "from dagster_project.cli import main; main(prog_name='muster')"
    places = ["--home", str(home), "--landing", str(folder / "landing")]
    return [sys.executable, "-c", code, *places, "--seeds", str(folder / "seeds"), *arguments]


def _dbt(home: Path, *selection: str) -> list[str]:
    project = str(REPOSITORY / "dbt")
    command = [str(Path(sys.executable).parent / "dbt"), "--quiet", "build", *_SAME_TESTS]
    command += [*selection, "--project-dir", project, "--profiles-dir", project]
    # Of its own: the home's target folder holds what we parsed.
    command += ["--target-path", str(home / "bare"), "--log-path", str(home / "bare")]
    return [*command, "--no-send-anonymous-usage-stats", "--no-version-check"]


def _of_dbt(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    return {**environment, "MUSTER_WAREHOUSE": str(home / "warehouse.duckdb")}


if __name__ == "__main__":
    main()
