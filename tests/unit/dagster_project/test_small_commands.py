"""What a small command does not wait for: modules it does not use, syncs nobody needs.

By what is imported and set, not by the clock: that is `tests/benchmarks/start_up.py`.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from billing_marts import Warehouse, fill_january

from dagster_project.defs import writer
from dagster_project.lib.history import RunHistory
from invoicing import documents, gate
from invoicing.ledger import Ledger

# Runs and renders; each takes longer to import than `status` may take.
_HEAVY = (
    "dagster",
    "dbt",
    "great_expectations",
    "jinja2",
    "lxml",
    "pandas",
    "polars",
    "typst",
    "xlsxwriter",
)


def _imported(*arguments: str) -> tuple[str, list[str]]:
    """What a command says, and which of the heavy modules it imported."""
    code = (
        "import sys\nfrom dagster_project.cli import main\n"
        f"try:\n    main({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set(sys.modules) & set({_HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, _, modules = done.stdout.rstrip("\n").rpartition("\n")
    return said, json.loads(modules.replace("'", '"'))


def test_status_of_an_issued_month_imports_nothing_that_runs_or_renders(tmp_path: Path) -> None:
    home, landing, ledger = tmp_path / "home", tmp_path / "landing", tmp_path / "home" / "ledger"
    warehouse = Warehouse()
    fill_january(warehouse)
    gate.decide(warehouse.conn, Ledger(ledger), "2026-01", [])
    documents.issue(warehouse.conn, Ledger(ledger), "2026-01")
    (landing / "usage" / "2026-01-31").mkdir(parents=True)
    # A policy is asked too, once there is reference data.
    (home / "reference").mkdir()
    said, heavy = _imported("--home", str(home), "--landing", str(landing), "status")
    assert "ALPENLAND-000001" in said
    assert "does not hold what the ledger says" in said  # nothing was rendered
    assert "new or changed" in said
    assert heavy == []


def test_what_great_expectations_draws_with_is_run_when_it_is_wanted() -> None:
    code = (
        "import sys\n"
        "from dagster_project.lib import unused\n"
        "unused.leave_out()\n"
        "import great_expectations, great_expectations.expectations\n"
        "print('scipy.stats._stats_py' in sys.modules, 'altair.vegalite' in sys.modules)\n"
        "import scipy.stats, altair\n"
        "print(round(scipy.stats.norm.cdf(0.0), 3), altair.Chart.__name__)\n"
        "unused.leave_out()\n"
        "print(scipy.stats.norm.cdf(0.0) == 0.5)\n"
        "unused.leave_out(('no_such_package.at_all', 'no_such_module'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False", "0.5 Chart", "True"]


def test_the_history_is_not_synced_at_every_event(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path))
    with history.run_connection("run"):  # which makes the file
        pass
    for connection in (history.index_connection(), history.run_connection("run")):
        with connection as conn:
            # 1: synced when SQLite moves its log into the file; the log survives a killed process.
            assert conn.exec_driver_sql("pragma synchronous").scalar() == 1
            assert conn.exec_driver_sql("pragma journal_mode").scalar() == "wal"
    assert history.has_table("event_logs")
    assert not history.has_table("nothing_like_it")
    assert not history.has_table("nothing_like_it")


def test_progress_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("dagster_project.defs.writer.time.monotonic", lambda: now[0])
    told: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    log = logging.getLogger("now and then")
    log.setLevel(logging.INFO)
    log.addHandler(Handler())
    tell = writer.now_and_then(log)  # type: ignore[arg-type]
    files = writer.progress(log)  # type: ignore[arg-type]
    for second in range(5):
        now[0] += 1
        tell(f"model {second}")
        files(second, 5, "a file")
    # Two seconds apart at least, each callback for itself.
    assert told == [
        text for second in (1, 3) for text in (f"model {second}", f"{second} of 5: a file")
    ]
