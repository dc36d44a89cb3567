"""Backups: everything that cannot be made again, once; all of it back, or nothing."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from dagster_project.lib import backup
from dagster_project.lib.backup import BackupError
from dagster_project.lib.settings import Settings
from ingest.journal import Entry, Journal, Kind

RAW = b"rows of a day"


def quietly(step: str, text: str) -> None:
    pass


def settings(home: Path) -> Settings:
    return Settings(home=home, landing=home / "../landing", seeds=home / "../seeds")


def tree(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for name in backup.KEPT
        for path in [home / name, *(home / name).rglob("*")]
        if path.is_file()
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    files = {
        f"archive/{hashlib.sha256(RAW).hexdigest()}": RAW,
        "ledger/alpenland/000001.json": b"{}",
        "ledger/alpenland/000001.roster.parquet": b"PAR1",
        "ledger/releases/2026-01/alpenland.EUR.json": b"{}",
        "reference/policies.csv": b"policy,value\n",
        # What can be made again, or never was complete.
        "warehouse.duckdb": b"big",
        "exports/2026-01/alpenland/invoice.json": b"{}",
        "ledger/alpenland/.000002.json.tmp": b"{",
    }
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    note(home, hashlib.sha256(RAW).hexdigest())
    return home


def note(home: Path, sha256: str) -> None:
    """One more entry of the journal, which puts these bytes in force."""
    Journal(home / "journal").append(
        Entry(
            kind=Kind.ACCEPTED,
            file_name="usage/2026-01-15/eu.csv",
            sha256=sha256,
            feed="usage",
            snapshot_date=date(2026, 1, 15),
            source="eu",
        )
    )


def test_what_cannot_be_made_again_comes_back_to_the_byte(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    made, copied = backup.take(settings(home), target, quietly)
    # 13 + 2 + 4 + 2 + 13 bytes and the journal; `{}` is in two files and copied once.
    size = 34 + (home / "journal").stat().st_size
    assert (len(made.files), made.bytes, copied) == (6, size, size - 2)
    other = settings(tmp_path / "other")
    backup.restore(other, target, backup.find(target), quietly)
    before = tree(home)
    del before["ledger/alpenland/.000002.json.tmp"]
    assert tree(other.home) == before
    assert {path.name for path in other.home.iterdir()} == set(backup.KEPT)


def test_the_next_backup_costs_what_is_new_and_the_earlier_one_stays(
    home: Path, tmp_path: Path
) -> None:
    target = tmp_path / "backups"
    backup.take(settings(home), target, quietly)
    before = (home / "journal").read_bytes()
    note(home, hashlib.sha256(RAW).hexdigest())
    made, copied = backup.take(settings(home), target, quietly)
    assert (made.number, copied) == (2, (home / "journal").stat().st_size)
    first = backup.find(target, 1)
    other = settings(tmp_path / "other")
    backup.restore(other, target, first, quietly)
    assert (other.home / "journal").read_bytes() == before


def test_a_check_asks_the_journal_whether_all_is_there(home: Path, tmp_path: Path) -> None:
    """A backup without an archived file cannot be built from, though each of its own is whole."""
    note(home, hashlib.sha256(b"gone").hexdigest())
    made, _ = backup.take(settings(home), tmp_path / "backups", quietly)
    with pytest.raises(BackupError, match=r"usage/2026-01-15/eu.csv was not in the home"):
        backup.check(tmp_path / "backups", made, quietly)
    # It is still better than nothing: what is there comes back.
    backup.restore(settings(tmp_path / "other"), tmp_path / "backups", made, quietly)


def test_two_homes_have_a_folder_each(home: Path, tmp_path: Path) -> None:
    target, other = tmp_path / "backups", tmp_path / "other"
    backup.take(settings(home), target, quietly)
    shutil.copytree(home, other)
    note(other, hashlib.sha256(RAW).hexdigest())
    # The same home goes on, wherever it was copied to; what it was copied from then does not.
    backup.take(settings(other), target, quietly)
    for last in (home, tmp_path / "third"):
        if last != home:
            last.mkdir()
            note(last, hashlib.sha256(b"another vendor").hexdigest())
        with pytest.raises(BackupError, match="holds backups of another home"):
            backup.take(settings(last), target, quietly)
    assert [one.number for one in backup._stored(target)] == [1, 2]


def test_a_left_over_of_a_restore_costs_a_home_nothing(home: Path, tmp_path: Path) -> None:
    """It lost its journal later, and has documents that no backup holds."""
    made, _ = backup.take(settings(home), tmp_path / "backups", quietly)
    (home / ".restore").mkdir()
    (home / "journal").unlink()
    (home / "ledger/alpenland/000002.json").write_bytes(b"{}")
    before = tree(home)
    with pytest.raises(BackupError, match="already has archive, reference, ledger"):
        backup.restore(settings(home), tmp_path / "backups", made, quietly)
    assert tree(home) == before


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_backup_restores_nothing_and_says_what_is_damaged(
    home: Path, tmp_path: Path, harm: str
) -> None:
    target = tmp_path / "backups"
    made, _ = backup.take(settings(home), target, quietly)
    for file in made.files:
        path = target / "objects" / file.sha256[:2] / file.sha256
        good = path.read_bytes()
        path.unlink()
        if harm != "remove":
            bad = good[:-1] if harm == "cut" else bytes([good[0] ^ 1]) + good[1:]
            path.write_bytes(bad)
        other = settings(tmp_path / "other")
        with pytest.raises(BackupError, match=file.path):
            backup.restore(other, target, made, quietly)
        assert not any((other.home / name).exists() for name in backup.KEPT)
        path.write_bytes(good)
    backup.check(target, made, quietly)


def test_a_damaged_archive_is_not_taken_for_good(home: Path, tmp_path: Path) -> None:
    (file,) = (home / "archive").iterdir()
    file.write_bytes(b"other rows!!!")
    with pytest.raises(BackupError, match="is damaged"):
        backup.take(settings(home), tmp_path / "backups", quietly)
    with pytest.raises(BackupError, match="holds no backup"):
        backup.find(tmp_path / "backups")


def test_a_home_in_use_is_never_restored_over(home: Path, tmp_path: Path) -> None:
    made, _ = backup.take(settings(home), tmp_path / "backups", quietly)
    before = tree(home)
    with pytest.raises(BackupError, match="already has archive, reference, ledger, journal"):
        backup.restore(settings(home), tmp_path / "backups", made, quietly)
    assert tree(home) == before


def test_a_restore_cut_short_anywhere_is_done_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rename and each copy fails once; the restore after it puts everything in place."""
    target = tmp_path / "backups"
    made, _ = backup.take(settings(home), target, quietly)
    for number in range(1, 11):  # 6 copies and 4 renames
        other = settings(tmp_path / f"other{number}")
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", failing(Path.replace, number - 6))
            patched.setattr(backup.shutil, "copyfile", failing(backup.shutil.copyfile, number))
            with pytest.raises(OSError, match="cut short"):
                backup.restore(other, target, made, quietly)
        backup.restore(other, target, made, quietly)
        assert tree(other.home) == {
            name: content for name, content in tree(home).items() if "/." not in name
        }


def failing(call: Callable[..., object], at: int) -> Callable[..., object]:
    calls = iter(range(1, 1000))

    def wrapped(*arguments: object) -> object:
        if next(calls) == at:
            raise OSError("cut short")
        return call(*arguments)

    return wrapped


def test_a_backup_inside_the_home_is_refused(home: Path) -> None:
    with pytest.raises(BackupError, match="lies inside"):
        backup.take(settings(home), home / "backups", quietly)


def test_nothing_to_back_up_is_said(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="has no journal"):
        backup.take(settings(tmp_path / "home"), tmp_path / "backups", quietly)


def test_a_backup_is_finished_with_its_list_or_not_at_all(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backups"
    monkeypatch.setattr(backup.durable, "write_file", failing(backup.durable.write_file, 1))
    with pytest.raises(OSError, match="cut short"):
        backup.take(settings(home), target, quietly)
    with pytest.raises(BackupError, match="holds no backup"):
        backup.find(target)
    made, copied = backup.take(settings(home), target, quietly)
    # Everything but the list had been copied already.
    assert (made.number, copied) == (1, 0)


def test_documents_written_since_are_counted(home: Path, tmp_path: Path) -> None:
    assert backup.documents_since_last(settings(home)) == 1
    backup.take(settings(home), tmp_path / "backups", quietly)
    assert backup.documents_since_last(settings(home)) == 0
    (home / "ledger/alpenland/000002.json").write_bytes(b"{}")
    assert backup.documents_since_last(settings(home)) == 1
