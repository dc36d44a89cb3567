"""What in the landing folder is new since it was last received, by looking at the files' stat.

Reading the files, and deciding what counts, is ingest's. The record kept here only saves work:
without it everything is read again, with the same result.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.lib.settings import Settings
from invoicing import durable

if TYPE_CHECKING:
    from ingest.journal import State

# Feed and day → a hash over name, size, inode and times of the files found there.
Folders = dict[tuple[str, date], str]


def folders(settings: Settings, feeds: Collection[str], state: State | None = None) -> Folders:
    """Every `<feed>/<date>` folder of these feeds that has a partition and did not expire.

    `state` is the journal's, for whoever has read it.
    """
    return {
        (feed, day): _fingerprint(settings.landing / feed / day.isoformat())
        for feed, day in _loaded(settings, feeds, state)
    }


def pending(settings: Settings, feeds: Collection[str], state: State | None = None) -> Folders:
    """The folders of these feeds whose files are not the ones last received.

    All of them when the journal comes from a backup: what it does not know has to be taken in
    again, and of what it knows nothing is taken twice.
    """
    received = _read(settings).folders
    return {
        key: fingerprint
        for key, fingerprint in folders(settings, feeds, state).items()
        if received.get(_name(key)) != fingerprint
    }


def mark_received(settings: Settings, what: Mapping[tuple[str, date], str]) -> None:
    """Remember these folders as received. Call it when their rows are safe."""
    from ingest.journal import Journal

    before = _read(settings)
    names = {_name(key): value for key, value in what.items()}
    head = Journal(settings.journal).head()
    record = {
        "journal": list(head) if head else None,
        "again": sorted(set(before.again) - names.keys()),
        "folders": {**before.folders, **names},
    }
    path = _record(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    content = json.dumps(record, indent=0, sort_keys=True).encode()
    with durable.needing(path, len(content)):
        temporary.write_bytes(content)
        temporary.replace(path)


def to_take_again(settings: Settings) -> list[str]:
    """Folders that were received after the journal's last line, as after its restoring, and not
    again since; those that are gone from the landing folder cannot be."""
    kept_from = _state(settings).kept_from
    return [
        name
        for name in _read(settings).again
        if (settings.landing / name).is_dir() and not _is_expired(name, kept_from)
    ]


def seeds_changed(settings: Settings, state: State | None = None) -> bool:
    """Whether a reviewed seed is not the version accepted last, is gone, or none was accepted yet.

    One that is gone, or all of them with their folder, is for the load to refuse in words.
    """
    accepted = (state or _state(settings)).reference
    here = {
        seed.name: hashlib.sha256(seed.read_bytes()).hexdigest()
        for seed in settings.seeds.glob("*.csv")
    }
    return not accepted.keys() <= here.keys() or any(
        name not in accepted or accepted[name].sha256 != sha256 for name, sha256 in here.items()
    )


def missing(settings: Settings, day: date) -> list[str]:
    """The expected sources with nothing in force for `day`: `usage eu-central: nothing came`."""
    from ingest.journal import Slot

    state = _state(settings)
    try:
        rows = csv.DictReader(
            (settings.reference / "expected_sources.csv").read_text(encoding="utf-8").splitlines()
        )
    except FileNotFoundError:
        return []
    expected = {
        Slot(row["feed"], day, row["source"])
        for row in rows
        if row["valid_from"] <= day.isoformat() <= (row["valid_to"] or "9999-12-31")
    }
    found = []
    for slot in sorted(expected - state.in_force.keys()):
        refused = [one.detail or one.reason or "" for one in state.refused.get(slot, {}).values()]
        why = f"refused, {'; '.join(refused)}" if refused else "nothing came"
        found.append(f"{slot.feed} {slot.source}: {why}")
    return found


def without_partition(
    settings: Settings, feeds: Collection[str], state: State | None = None
) -> list[str]:
    """Folders that are not received: before the first day, after today, or expired by policy."""
    loaded = set(_loaded(settings, feeds, state))
    return [f"{feed}/{day}" for feed, day in _dated(settings, feeds) if (feed, day) not in loaded]


def _dated(settings: Settings, feeds: Collection[str]) -> Iterator[tuple[str, date]]:
    for feed in feeds:
        for name in _names(settings.landing / feed):
            day = _date(name)
            if day is not None:
                yield feed, day


def _state(settings: Settings) -> State:
    from ingest.journal import Journal

    return Journal(settings.journal).state()


def _loaded(
    settings: Settings, feeds: Collection[str], state: State | None
) -> list[tuple[str, date]]:
    from ingest.journal import Slot

    kept_from = (state or _state(settings)).kept_from
    return [
        (feed, day)
        for feed, day in _dated(settings, feeds)
        if _has_partition(settings, day) and not Slot(feed, day, "").is_before(kept_from)
    ]


def _has_partition(settings: Settings, day: date) -> bool:
    # The one use of the clock: a snapshot cannot be of a day that has not begun anywhere yet, and
    # Dagster has no partition for it. Which rows of a file count never depends on it.
    return settings.first_day <= day <= datetime.now(UTC).date()


def _fingerprint(folder: Path) -> str:
    """Raises no error for a folder that cannot be opened: its hash then says so."""
    digest = hashlib.sha256()
    try:
        scan = os.scandir(folder)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    with scan as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            try:
                stat = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # gone since the folder was listed
                continue
            # The change time moves even when a copy keeps size and modification time.
            digest.update(
                # A name need not be UTF-8.
                os.fsencode(entry.name)
                + f"\0{stat.st_size}\0{stat.st_ino}\0{stat.st_mtime_ns}\0".encode()
                + f"{stat.st_ctime_ns}\n".encode()
            )
    return digest.hexdigest()[:32]


def _record(settings: Settings) -> Path:
    return settings.dagster_home / "received.json"


@dataclass(frozen=True)
class _Received:
    """What was received, and, after the journal was restored from before that, what has to be
    `again`."""

    folders: Mapping[str, str]
    again: Sequence[str] = ()


def _read(settings: Settings) -> _Received:
    from ingest.journal import Head, Journal

    try:
        record = json.loads(_record(settings).read_text(encoding="utf-8"))
        if "folders" not in record:  # from before the journal's line was kept with it
            return _Received(record)
        folders, again = record["folders"], record["again"]
        head = Head(*record["journal"]) if record["journal"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return _Received({})
    if head is None or Journal(settings.journal).goes_on_from(head):
        return _Received(folders, again)
    return _Received({}, sorted({*folders, *again}))


def _is_expired(name: str, kept_from: date | None) -> bool:
    from ingest.journal import Slot

    feed, _, day = name.partition("/")
    return Slot(feed, date.fromisoformat(day), "").is_before(kept_from)


def _name(key: tuple[str, date]) -> str:
    return f"{key[0]}/{key[1].isoformat()}"


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _date(text: str) -> date | None:
    # Python reads 2026-W03-4 as a date too.
    try:
        return date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}", text) else None
    except ValueError:
        return None
