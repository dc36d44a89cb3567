"""The drafts of all distributors, every model they are made of, beside the count of the raw rows.

    python tests/benchmarks/draft.py --devices 3000000

A draft is built from the activity store as a load builds it: lines, rosters with the evidence of
every unit, findings, comparisons. Start-up is left out: dbt has run once before in this process.
One model at a time, so that what they took adds up. The folder of counts.py can be used again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import counts
import duckdb
from click.testing import CliRunner
from report import Table, muster, tell

from dagster_project import cli
from dagster_project.lib import dbt
from dagster_project.lib.settings import Settings

_PERIOD = "2026-01"
_STORES = ("int_usage_activity", "int_heartbeat_activity")
_LINES = "+draft_invoice_lines"
_DRAFT = "+path:models/marts/billing"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--devices", type=int, default=300_000)
    asked.add_argument("--memory", default="16GiB", help="MUSTER_MEMORY_LIMIT")
    asked.add_argument("--folder", type=Path, help="keep landing and home here, and use them again")
    wanted = asked.parse_args()
    os.environ.update(MUSTER_MEMORY_LIMIT=wanted.memory, DO_NOT_TRACK="1")
    with tempfile.TemporaryDirectory(prefix="draft-") as temporary:
        tell(*measure(wanted.folder or Path(temporary), wanted.devices))


def measure(folder: Path, devices: int) -> list[Table]:
    """What each way to a draft takes, and the models that take longest."""
    home, landing = folder / "home", folder / "landing"
    counts.load(home, landing, devices)
    settings = Settings.from_environment(home=home, landing=landing)
    conn = duckdb.connect(str(settings.warehouse), read_only=True)
    raw, counted = counts.best(3, lambda: counts.of_raw_rows(conn, counts.ENDS))
    conn.close()
    _build(settings, "int_months")  # starts dbt
    lines, _ = _build(settings, _LINES)
    whole, models = _build(settings, _DRAFT)
    # Nothing has landed since, so it looks for new files and shows what stands.
    muster(home, landing, "load")
    shown = min(_shown(home, landing) for _ in range(4))  # the first one imports
    started = muster(home, landing, "draft", _PERIOD).wall
    units = sum(count for _, _, count in counted)
    rows = [
        (f"count(distinct) of the raw rows of one window: {units:,} units", raw),
        ("Lines of all drafts, from the store", lines),
        ("Whole drafts, from the store", whole),
        (f"`muster draft {_PERIOD} --json` after a load, once started", shown),
        (f"`muster draft {_PERIOD}` as a command", started),
    ]
    longest = sorted(models.items(), key=lambda model: -model[1])
    shares = [*longest[:12], (f"{len(models) - 12} others", sum(took for _, took in longest[12:]))]
    return [
        Table(
            "draft",
            ("Way", "Seconds", "of count(distinct)"),
            [(words, f"{seconds:.2f}", f"{seconds / raw:.2f}") for words, seconds in rows],
        ),
        Table(
            "draft-models",
            ("Model", "Seconds", "of count(distinct)"),
            [(name, f"{seconds:.1f}", f"{seconds / raw:.1f}") for name, seconds in shares],
        ),
    ]


def _shown(home: Path, landing: Path) -> float:
    words = ["--home", str(home), "--landing", str(landing), "draft", _PERIOD, "--json"]
    began = time.perf_counter()
    answer = CliRunner().invoke(cli.main, words, catch_exceptions=False)
    took = time.perf_counter() - began
    drafts = json.loads(answer.stdout)
    assert [bool(draft["lines"]) for draft in drafts] == 3 * [True], answer.stderr
    return took


def _build(settings: Settings, select: str) -> tuple[float, dict[str, float]]:
    """Seconds of the models and of what each took; the stores are as the load left them."""
    began = time.perf_counter()
    results = dbt.invoke(settings, ["run", "--select", select, "--exclude", *_STORES])
    took = time.perf_counter() - began
    failed = [result for result in results if result.outcome != "built"]
    assert not failed, failed
    return took, {result.unique_id.split(".")[-1]: result.seconds for result in results}


if __name__ == "__main__":
    main()
