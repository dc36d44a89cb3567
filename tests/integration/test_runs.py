"""Runs by the command line: one run for many days, one writer, words instead of tracebacks."""

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from dagster_project.lib import lock
from dagster_project.lib.settings import REPOSITORY
from ingest.simulate import simulate

_FIRST, _LAST = date(2026, 1, 30), date(2026, 2, 1)
# Asked in a process of its own, as a run history is opened by whoever has its DAGSTER_HOME.
_RUNS = """
import dagster as dg
with dg.DagsterInstance.get() as instance:
    for run in instance.get_runs():
        print(run.job_name, run.status.value)
    print(len(instance.get_materialized_partitions(dg.AssetKey(["raw", "usage"]))))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landing folder with three days across a month's end, and seeds of its own."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(REPOSITORY / "seeds", folder / "seeds")
    simulate(
        folder / "landing",
        _FIRST,
        _LAST,
        partners=6,
        customers=12,
        devices=60,
        seed=7,
        format="csv",
        seeds=folder / "seeds",
    )
    return folder


def _muster(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    options = [f"--{name}={folder / name}" for name in ("home", "landing", "seeds")]
    code = "from dagster_project.cli import main; main(prog_name='muster')"
    return subprocess.run(
        [sys.executable, "-c", code, *options, *arguments], capture_output=True, text=True
    )


def test_many_days_are_one_run_and_nothing_new_is_none(folder: Path) -> None:
    loaded = _muster(folder, "load")
    assert loaded.returncode == 0, loaded.stderr
    again = _muster(folder, "load")
    assert (again.returncode, again.stdout) == (
        0,
        "Nothing new: the publication is up to date.\n",
    )
    history = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _RUNS],
        env={**os.environ, "DAGSTER_HOME": str(folder / "home" / "dagster")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert history.stdout.splitlines() == ["daily_refresh SUCCESS", "3"]


def test_a_second_writer_is_refused(folder: Path) -> None:
    with lock.writer(folder / "home" / "lock", "muster close 2026-01"):
        refused = _muster(folder, "load")
    assert refused.returncode == 1
    assert f"Process {os.getpid()} (muster close 2026-01) is writing to" in refused.stderr


def test_a_refused_seed_is_named_and_the_publication_stays(folder: Path) -> None:
    seed = folder / "seeds" / "distributors.csv"
    good = seed.read_text(encoding="utf-8")
    before = (folder / "home" / "published" / "marts" / "manifest.json").read_bytes()
    seed.write_text(good.replace(",25,", ",32,"), encoding="utf-8")
    refused = _muster(folder, "load")
    seed.write_text(good, encoding="utf-8")
    assert refused.returncode == 1
    assert "distributors.csv, line" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (folder / "home" / "published" / "marts" / "manifest.json").read_bytes() == before


def test_a_period_without_data_cannot_be_closed(folder: Path) -> None:
    closed = _muster(folder, "close", "2026-09")
    assert closed.returncode == 1
    assert "Usage is loaded from 2026-01-30 to 2026-02-01" in closed.stderr
