"""What of the landing folder is new since it was last received."""

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dagster_project.lib import receiving
from dagster_project.lib.settings import REPOSITORY, Settings
from ingest.journal import Entry, Journal, Kind
from ingest.reference import receive_reference


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", landing=tmp_path / "landing", seeds=tmp_path / "seeds")


def _land(settings: Settings, feed: str, day: str, text: str = "x") -> Path:
    path = settings.landing / feed / day / "eu-central.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _days(settings: Settings) -> list[str]:
    return [f"{feed}/{day}" for feed, day in sorted(receiving.pending(settings, ["usage"]))]


def test_received_folders_are_not_pending(settings: Settings) -> None:
    assert _days(settings) == []
    _land(settings, "usage", "2026-01-02")
    _land(settings, "usage", "2026-01-03")
    _land(settings, "heartbeat", "2026-01-03")
    assert _days(settings) == ["usage/2026-01-02", "usage/2026-01-03"]
    receiving.mark_received(settings, receiving.pending(settings, ["usage"]))
    assert _days(settings) == []


def test_a_journal_from_a_backup_has_everything_taken_in_again(settings: Settings) -> None:
    """Whatever landed after the backup is in no journal, and its folder did not change since."""
    journal = Journal(settings.journal)
    for number, day in enumerate(("2026-01-02", "2026-01-03"), start=1):
        _land(settings, "usage", day)
        journal.append(Entry(kind=Kind.REFERENCE, file_name="a.csv", sha256=str(number)))
        receiving.mark_received(settings, receiving.pending(settings, ["usage"]))
        if number == 1:
            backup = settings.journal.read_bytes()
    assert (_days(settings), receiving.to_take_again(settings)) == ([], [])
    settings.journal.write_bytes(backup)
    both = ["usage/2026-01-02", "usage/2026-01-03"]
    assert (_days(settings), receiving.to_take_again(settings)) == (both, both)
    # Half of it is not all of it, also when the journal has grown past the line it lost.
    for number in (3, 4):
        journal.append(Entry(kind=Kind.REFERENCE, file_name="a.csv", sha256=str(number)))
    pending = receiving.pending(settings, ["usage"])
    first = {key: value for key, value in pending.items() if key[1] == date(2026, 1, 2)}
    receiving.mark_received(settings, first)
    assert (_days(settings), receiving.to_take_again(settings)) == (both[1:], both[1:])
    receiving.mark_received(settings, pending)
    assert (_days(settings), receiving.to_take_again(settings)) == ([], [])


def test_a_record_from_before_it_named_the_journal_still_holds(settings: Settings) -> None:
    _land(settings, "usage", "2026-01-02")
    record = {f"{f}/{d}": seen for (f, d), seen in receiving.pending(settings, ["usage"]).items()}
    settings.dagster_home.mkdir(parents=True)
    (settings.dagster_home / "received.json").write_text(json.dumps(record))
    assert _days(settings) == []


def test_any_change_makes_a_folder_pending(settings: Settings) -> None:
    path = _land(settings, "usage", "2026-01-02", "old")
    receiving.mark_received(settings, receiving.pending(settings, ["usage"]))
    stat = path.stat()
    # Same size, and the modification time set back: the change time still tells.
    path.write_text("new")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert _days(settings) == ["usage/2026-01-02"]
    receiving.mark_received(settings, receiving.pending(settings, ["usage"]))
    (path.parent / "eu-central.csv.retracted.json").write_text("{}")
    assert _days(settings) == ["usage/2026-01-02"]


def test_a_lost_record_means_everything_again(settings: Settings) -> None:
    _land(settings, "usage", "2026-01-02")
    receiving.mark_received(settings, receiving.pending(settings, ["usage"]))
    (settings.dagster_home / "received.json").write_text("{ torn")
    assert _days(settings) == ["usage/2026-01-02"]


def test_days_without_a_partition_are_named_not_pending(settings: Settings) -> None:
    # Two days ahead, as midnight may pass during the test.
    ahead = datetime.now(UTC).date() + timedelta(days=2)
    _land(settings, "usage", "2025-12-31")
    _land(settings, "usage", "not-a-date")
    _land(settings, "usage", ahead.isoformat())
    assert _days(settings) == []
    assert receiving.without_partition(settings, ["usage"]) == [
        "usage/2025-12-31",
        f"usage/{ahead}",
    ]
    assert settings.first_day == date(2026, 1, 1)


def test_odd_names_and_folders_that_cannot_be_opened_end_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _land(settings, "usage", "2026-01-02")
    # A file name need not be UTF-8.
    Path(os.fsdecode(os.fsencode(path.parent) + b"/eu-\xff.csv")).write_bytes(b"x")
    # Python takes this for 15 January, whose folder is not there.
    _land(settings, "usage", "2026-W03-4")
    _land(settings, "usage", "2026-01-03")
    assert _days(settings) == ["usage/2026-01-02", "usage/2026-01-03"]
    scandir = os.scandir

    def deny(folder: Path) -> object:
        if Path(folder).name == "2026-01-03":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", deny)
        receiving.mark_received(settings, receiving.pending(settings, ["usage"]))
        assert _days(settings) == []
    # Once it can be opened it is new.
    assert _days(settings) == ["usage/2026-01-03"]


def test_a_seed_that_is_gone_is_a_change_for_the_load_to_refuse(settings: Settings) -> None:
    """Whoever mistypes the folder of the seeds is not told that nothing is new."""
    shutil.copytree(REPOSITORY / "seeds", settings.seeds)
    receive_reference(settings.home, settings.seeds)
    assert not receiving.seeds_changed(settings)
    assert receiving.seeds_changed(replace(settings, seeds=settings.home / "nowhere"))
    (settings.seeds / "policies.csv").unlink()
    assert receiving.seeds_changed(settings)
