"""The command line: quick where nothing is run, and never a traceback."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result

from dagster_project import cli
from dagster_project.cli.telling import days_in_words

Run: TypeAlias = Callable[..., Result]

JANUARY = ("--out", "/nowhere/out", "--start", "2026-01-01", "--end", "2026-01-01")

_HEAVY = ("dagster", "dbt", "polars", "duckdb", "great_expectations", "pandas", "rich")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        home, landing = str(tmp_path / "home"), str(tmp_path / "landing")
        return CliRunner().invoke(cli.main, ["--home", home, "--landing", landing, *arguments])

    return invoke


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom dagster_project.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set(sys.modules) & set({_HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_status_of_nothing_says_what_to_do(run: Run, tmp_path: Path) -> None:
    result = run("status")
    assert result.exit_code == 0
    assert "muster demo" in result.output
    # Looking creates nothing.
    assert not (tmp_path / "home").exists()
    found = json.loads(run("status", "--json").output)
    assert [feed["files"] for feed in found["feeds"]] == [0] * 8


def test_simulate_replaces_no_landing_files_unasked(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "real.csv").write_text("real")
    days = ("--start", "2026-01-01", "--end", "2026-01-01")
    result = run("simulate", "--out", str(out), *days)
    assert result.exit_code == 1
    assert "holds files already" in result.output
    assert [path.name for path in out.iterdir()] == ["real.csv"]


def test_planting_can_write_the_reference_data_it_needs(run: Run, tmp_path: Path) -> None:
    out, seeds = tmp_path / "out", tmp_path / "seeds"
    options = ["--out", str(out), "--start", "2026-01-01", "--end", "2026-01-01"]
    options += ["--devices", "1500", "--plant-seeds", str(seeds)]
    refused = run("simulate", *options)
    assert refused.exit_code == 2
    assert "--plant-seeds needs --plant" in refused.output
    done = run("simulate", *options, "--plant", "cascadia")
    assert done.exit_code == 0, done.output
    assert f"Load them with --seeds {seeds}" in done.output
    assert "us-south" in (seeds / "expected_sources.csv").read_text()
    assert (out / "heartbeat/2026-01-01/us-south.csv.gz").exists()
    again = run("simulate", *options, "--plant", "cascadia", "--out", str(tmp_path / "other"))
    assert again.exit_code == 1
    assert f"{seeds} holds files already" in again.output


def test_active_dates_are_told_as_runs_of_days() -> None:
    days = [date(2026, 1, day) for day in (2, 5, 6, 7)] + [date(2026, 2, 1)]
    assert days_in_words(days) == "2026-01: 2 5-7; 2026-02: 1"
    assert days_in_words([date(2026, 1, 31), date(2026, 2, 1)]) == "2026-01: 31; 2026-02: 1"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["load"], "There is nothing to load"),
        (["close", "2025-12"], "before the first day"),
        (["sql", "select 1"], "Nothing is published yet"),
        (["explain", "ALPENLAND-000001", "1"], "No document has the number"),
        (["rebuild"], "no journal"),
        (["draft", "2026-01", "--set", "release=approved"], "no warehouse yet"),
        (["reproduce", "ALPENLAND-000001"], "No document has the number"),
        (["release", "2026-01", "alpenland", "--by", "R. Roe"], "it was not closed yet"),
        (["restore", "--from", "/nowhere"], "/nowhere holds no backup. Give the folder"),
        (["--home", __file__, "status"], "which is a file. Give a folder with --home"),
        (["--landing", __file__, "load"], "which is a file. Give a folder with --landing"),
        (
            ["--seeds", "/nowhere", "simulate", *JANUARY],
            "/nowhere/distributors.csv. Check the path",
        ),
    ],
)
def test_a_failure_is_a_sentence(run: Run, arguments: list[str], reason: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert reason in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["close", "January"], "not a period such as 2026-01"),
        (["draft", "2026-01", "--set", "active_window_days"], "write POLICY=VALUE"),
        (["draft", "2026-01", "--set", "trial_days=3", "--set", "trial_days=4"], "twice"),
        (["draft", "2026-01", "--cutoff-day", "25", "--partner", "P1"], "leave --set and"),
        (["draft", "2026-01", "--set", "trial_days=\udcff"], "is not UTF-8"),
        (["sql", "select '\udcff'"], "is not UTF-8"),
        (["nonsense"], "No such command"),
    ],
)
def test_what_was_mistyped_ends_with_2(run: Run, arguments: list[str], reason: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert reason in result.output
    assert "Traceback" not in result.output


def test_a_stop_by_ctrl_c_is_told_whatever_it_interrupted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB, dbt and Dagster each make another error of it."""

    def stopped(*_: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise ValueError("a transaction that is no longer there")

    for fault in (stopped, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)):
        monkeypatch.setattr("dagster_project.cli.working.receiving.pending", fault)
        result = run("load")
        assert result.exit_code == 1
        assert "Interrupted. Nothing that was accepted or issued is lost" in result.output
        assert "unexpected" not in result.output


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("latin-1", b"B\xe4r-\\u0142-\\ud83d\\ude00-\\u001b"),
        ("ascii", "Bär-ł-😀-\\u001b".encode()),  # click's own rule: ASCII is nobody's wish
        ("utf-8", "Bär-ł-😀-\\u001b".encode()),
    ],
)
def test_a_terminal_that_is_not_utf_8_gets_escapes(
    tmp_path: Path, encoding: str, shown: bytes
) -> None:
    landing = tmp_path / "Bär-ł-😀-\x1b"
    code = "from dagster_project.cli import main; main()"
    arguments = ["--home", str(tmp_path / "home"), "--landing", str(landing), "status"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shown + b" and run" in done.stdout


def test_a_closed_output_is_no_fault(tmp_path: Path) -> None:
    code = "from dagster_project.cli import main; main()"
    command = f"{sys.executable} -c '{code}' --home {tmp_path}/home status >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0


def test_a_port_that_is_taken_is_told_before_anything_is_started(run: Run, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = run("ui", "--port", str(other.getsockname()[1]))
    assert result.exit_code == 1
    assert "give another with --port" in result.output
    assert not (tmp_path / "home").exists()
