"""What tells somebody when nobody is looking: missing feeds, failed steps, the hook itself."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project.defs import watch
from dagster_project.lib import alerts, receiving
from dagster_project.lib.settings import Settings, SettingsError
from ingest.journal import Entry, Kind

DAY = date(2026, 1, 31)
# One line a call, so that two calls cannot be taken for one.
_NOTE = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """usage is expected of two sources and of one until last year; heartbeat was refused."""
    home = tmp_path / "home"
    (home / "reference").mkdir(parents=True)
    (home / "reference/expected_sources.csv").write_text(
        "feed,source,valid_from,valid_to\n"
        "usage,eu,2025-01-01,\n"
        "usage,us,2025-01-01,2026-01-31\n"
        "usage,old,2025-01-01,2026-01-30\n"
        "usage,new,2026-02-01,\n"
        "heartbeat,eu,2025-01-01,\n"
    )
    entries = [
        entry(Kind.ACCEPTED, "usage", "eu"),
        entry(Kind.REJECTED, "heartbeat", "eu", detail="the file ends in the middle of a row"),
    ]
    (home / "journal").write_text(
        "".join(f"{one.to_line()}\n" for one in entries), encoding="utf-8"
    )
    command = (sys.executable, "-c", _NOTE, str(tmp_path / "told"))
    return Settings(home=home, landing=tmp_path, seeds=tmp_path, alert=command)


def entry(kind: Kind, feed: str, source: str, **more: Any) -> Entry:
    return Entry(
        kind=kind,
        file_name=f"{feed}/{DAY}/{source}.csv",
        sha256=f"{feed}{source}",
        sequence=1 if kind is Kind.ACCEPTED else 2,
        feed=feed,
        snapshot_date=DAY,
        source=source,
        format="csv",
        clock_skew_minutes=10,
        **more,
    )


def told(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]


def test_expected_snapshots_that_did_not_come_are_named_with_the_reason(
    settings: Settings,
) -> None:
    assert receiving.missing(settings, DAY) == [
        "heartbeat eu: refused, the file ends in the middle of a row",
        "usage us: nothing came",
    ]


def test_a_morning_with_holes_alerts_once_with_all_of_them(
    settings: Settings, tmp_path: Path
) -> None:
    job = watch.build(settings).resolve_job_def(watch.JOB)
    config = {"ops": {"look": {"config": {"day": DAY.isoformat()}}}}
    assert job.execute_in_process(run_config=config).success
    (event,) = told(tmp_path)
    assert event == {
        "event": "missing_feed",
        "home": str(settings.home),
        "day": "2026-01-31",
        "missing": receiving.missing(settings, DAY),
    }


def test_the_schedule_asks_for_the_day_before(settings: Settings) -> None:
    schedule = watch.build(settings).resolve_schedule_def(f"{watch.JOB}_daily")
    moment = "2026-03-01T09:00:00+00:00"
    with dg.build_schedule_context(
        scheduled_execution_time=datetime.fromisoformat(moment)
    ) as context:
        request = schedule.evaluate_tick(context).run_requests
    assert request is not None
    assert request[0].run_config == {"ops": {"look": {"config": {"day": "2026-02-28"}}}}


def test_a_failed_step_is_told_in_the_words_of_the_run(settings: Settings, tmp_path: Path) -> None:
    @dg.op
    def raw__usage() -> None:
        raise dg.Failure(description="No space left on device: /data/archive")

    @dg.job(hooks={watch.failure_hook(settings)})
    def daily() -> None:
        raw__usage()

    assert not daily.execute_in_process(raise_on_error=False).success
    (event,) = told(tmp_path)
    assert (event["event"], event["job"], event["step"], event["reason"]) == (
        "failure",
        "daily",
        "raw/usage",
        "No space left on device: /data/archive",
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("no-such-command-anywhere",), "could not be run"),
        ((sys.executable, "-c", "import sys; sys.exit('pager is down')"), "pager is down"),
    ],
)
def test_a_hook_that_fails_says_so_and_fails_nothing(
    settings: Settings, command: tuple[str, ...], said: str
) -> None:
    harmed = Settings(settings.home, settings.landing, settings.seeds, alert=command)
    fault = alerts.send(harmed, "hold", period="2026-01")
    assert fault is not None
    assert said in fault


def test_without_a_command_nothing_is_run(settings: Settings, tmp_path: Path) -> None:
    quiet = Settings(settings.home, settings.landing, settings.seeds)
    assert alerts.send(quiet, "hold") is None
    assert not (tmp_path / "told").exists()


def test_the_command_is_split_as_a_shell_would_and_never_run_by_one(tmp_path: Path) -> None:
    made = Settings.from_environment(
        {"MUSTER_ALERT": "page --to 'on call' $(id)"}, home=tmp_path / "h", landing=tmp_path
    )
    assert made.alert == ("page", "--to", "on call", "$(id)")
    assert Settings.from_environment(made.environment()).alert == made.alert
    with pytest.raises(SettingsError, match="MUSTER_ALERT"):
        Settings.from_environment({"MUSTER_ALERT": "page 'on call"}, landing=tmp_path)
