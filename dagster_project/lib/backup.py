"""Backups of what a home cannot make again: archive, journal, ledger and reference data.

Copying, checking and putting back; all else in a home follows from these by `muster rebuild`.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dagster_project.lib import lock, truths
from dagster_project.lib.settings import Settings
from invoicing import durable

FORMAT = "musterhouse-backup/1"

# In the order they are put back: without a journal a home counts as empty, so it comes last.
KEPT = ("archive", "reference", "ledger", "journal")

_OBJECTS, _BACKUPS, _UNFINISHED = "objects", "backups", ".restore"
_NOTE = "last_backup.json"
_LOCK = ".lock"
# Files that are only ever added to: a later state of the same home begins with the earlier one.
_GROWING = ("journal", "ledger/heads.jsonl", "ledger/disputes.jsonl")
_CHUNK = 1 << 20

Tell = Callable[[str, str], None]


class BackupError(RuntimeError):
    """Nothing was backed up or restored; the message says what is in the way."""


@dataclass(frozen=True)
class File:
    """One file of a backup: where it belongs below the home, and its bytes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Backup:
    """One state of a home. `made_at` is for people; the number orders them."""

    number: int
    made_at: str
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def take(settings: Settings, target: Path, tell: Tell) -> tuple[Backup, int]:
    """Back the home up to `target`, and how many bytes that took; needs the writer's lock.

    `target/objects` holds every content once, under its SHA-256, so a backup costs what is new.
    `target/backups/<number>.json` is written last: a backup without it does not count. Raises
    BackupError when there is nothing to back up or a file of the archive is damaged, OSError when
    the disk does not take it.
    """
    if not settings.journal.exists():
        raise BackupError(
            f"{settings.home} has no journal: there is nothing to back up yet. Give the right home "
            "with --home, or `muster load` first."
        )
    if target == settings.home or settings.home in target.parents:
        raise BackupError(
            f"{target} lies inside {settings.home}: what destroys the home would destroy its "
            "backup. Give a folder elsewhere, best on another disk."
        )
    # Two homes at once would write to the same names.
    with lock.writer(target / _LOCK, "muster backup"):
        return _take(settings, target, tell)


def _take(settings: Settings, target: Path, tell: Tell) -> tuple[Backup, int]:
    before = _stored(target)
    if before:
        _check_goes_on(settings, target, before[-1])
    files, copied = [], 0
    for path in _kept(settings.home):
        name = path.relative_to(settings.home).as_posix()
        tell("backup", name)
        file, added = _keep(path, name, target)
        files.append(file)
        copied += added
    backup = Backup(
        number=max((one.number for one in before), default=0) + 1,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=tuple(files),
    )
    durable.write_file(_manifest(target, backup.number), _to_bytes(backup))
    # For `muster status` alone; a backup is what stands in `target`.
    note = {"target": str(target), "number": backup.number, "documents": _documents(settings)}
    durable.write_file(settings.home / _NOTE, (json.dumps(note) + "\n").encode())
    return backup, copied


def _check_goes_on(settings: Settings, target: Path, last: Backup) -> None:
    """Raise BackupError unless the home is a later state of the one that was backed up last."""
    for file in last.files:
        if file.path not in _GROWING:
            continue
        try:
            known = _object(target, file.sha256).read_bytes()
        except FileNotFoundError:
            continue  # `--check` names it
        known = known[: known.rfind(b"\n") + 1]  # a torn line is cut off by the next writer
        path = settings.home / file.path
        with path.open("rb") if path.exists() else io.BytesIO() as growing:
            if growing.read(len(known)) != known:
                raise BackupError(
                    f"{target} holds backups of another home, or of a later state of this one: "
                    f"{path} does not go on from that of backup {last.number}. Give each home, and "
                    "one that an earlier backup was restored to, a folder of its own."
                )


def documents_since_last(settings: Settings) -> int:
    """How many documents of the ledger the last backup does not hold."""
    try:
        note = json.loads((settings.home / _NOTE).read_text(encoding="utf-8"))
        kept = set(note["documents"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        kept = set()
    return len(set(_documents(settings)) - kept)


def _documents(settings: Settings) -> list[str]:
    return sorted(
        path.relative_to(settings.ledger).as_posix()
        for path in settings.ledger.glob("*/[0-9]*.json")
    )


def find(source: Path, number: int | None = None) -> Backup:
    """The backup with this number, or the last one. Raises BackupError when there is none."""
    backups = _stored(source)
    found = [one for one in backups if number in (None, one.number)]
    if not found:
        if not backups:
            raise BackupError(
                f"{source} holds no backup. Give the folder that `muster backup --to` was given."
            )
        have = ", ".join(str(one.number) for one in backups)
        raise BackupError(f"{source} has no backup {number}. Give one of {have}.")
    return found[-1]


def check(source: Path, backup: Backup, tell: Tell) -> None:
    """Read every byte of a backup again, and ask its journal whether all is there that a home is
    made of. Raises BackupError naming what is missing or damaged."""
    _refuse(backup, [*_damaged(source, backup, tell), *_left_out(source, backup)])


def _damaged(source: Path, backup: Backup, tell: Tell) -> list[str]:
    damaged = []
    for file in backup.files:
        tell("check", file.path)
        path = _object(source, file.sha256)
        if not path.is_file():
            damaged.append(f"{file.path}: {path} is missing")
        elif durable.file_sha256(path) != file.sha256:
            damaged.append(f"{file.path}: {path} is damaged")
    return damaged


def _refuse(backup: Backup, damaged: Sequence[str]) -> None:
    if damaged:
        raise BackupError(
            "\n".join(
                [
                    f"Backup {backup.number} cannot be relied on:",
                    *(f"  - {text}" for text in damaged),
                    "Remove what is damaged and back up again: it is copied anew from the home.",
                ]
            )
        )


def _left_out(source: Path, backup: Backup) -> list[str]:
    """Archived files that the backup's own journal has in force and the backup does not hold."""
    from ingest.journal import Journal, JournalError

    journal = next((file for file in backup.files if file.path == "journal"), None)
    path = _object(source, journal.sha256) if journal else None
    if path is None or not path.is_file():
        return []
    try:
        named = truths.contents(Journal(path).state())
    except JournalError as error:
        return [str(error)]
    there = {file.sha256 for file in backup.files if file.path.startswith("archive/")}
    return [
        f"archive/{sha256}: {named[sha256]} was not in the home when it was backed up"
        for sha256 in sorted(named.keys() - there)
    ]


def restore(settings: Settings, source: Path, backup: Backup, tell: Tell) -> None:
    """Put a backup into a home that holds none of it; needs the writer's lock.

    All of it or none: the files are written beside their place, checked, and moved in at the end,
    the journal last. One that was cut short is finished. Raises BackupError when the home is in use
    or a file is damaged.
    """
    unfinished = settings.home / _UNFINISHED
    there = [name for name in KEPT if (settings.home / name).exists()]
    # What an interrupted restore put in place is that of the backup; nothing is ever removed.
    if there and not (unfinished.exists() and _is_of(settings.home, there, backup)):
        raise BackupError(
            f"{settings.home} already has {', '.join(there)}. Restore into an empty home "
            "(--home), look at it, and put it in the place of the old one."
        )
    shutil.rmtree(unfinished, ignore_errors=True)
    durable.make_directory(unfinished)
    _refuse(backup, _damaged(source, backup, tell))
    for file in backup.files:
        if file.path.split("/")[0] in there:
            continue
        tell("restore", file.path)
        path = unfinished / file.path
        durable.make_directory(path.parent)
        shutil.copyfile(_object(source, file.sha256), path)
        if file.path.startswith("archive/"):
            path.chmod(0o440)
        durable.sync(path)
    for name in KEPT:
        if (unfinished / name).exists():
            durable.sync(unfinished / name)
            (unfinished / name).replace(settings.home / name)
    durable.sync(settings.home)
    shutil.rmtree(unfinished)


def _is_of(home: Path, names: Sequence[str], backup: Backup) -> bool:
    """Whether these parts of the home hold the backup's files, and no byte else."""
    expected = {
        home / file.path: file.sha256 for file in backup.files if file.path.split("/")[0] in names
    }
    present = [
        path
        for name in names
        for path in [home / name, *(home / name).rglob("*")]
        if not path.is_dir()
    ]
    return set(present) == expected.keys() and all(
        durable.file_sha256(path) == expected[path] for path in present
    )


def _kept(home: Path) -> Iterator[Path]:
    for name in KEPT:
        path = home / name
        if path.is_file():
            yield path
        else:
            # Hidden names are of writes that a crash cut short.
            yield from sorted(
                one for one in path.rglob("*") if one.is_file() and not one.name.startswith(".")
            )


def _keep(path: Path, name: str, target: Path) -> tuple[File, int]:
    size = path.stat().st_size
    # What the archive holds is named by its hash: known content need not be read again.
    claimed = path.name if name.startswith("archive/") else None
    if claimed:
        kept = _object(target, claimed)
        if kept.is_file() and kept.stat().st_size == size:
            return File(name, claimed, size), 0
    temporary = target / _OBJECTS / ".incoming"
    durable.make_directory(temporary.parent)
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as reading, temporary.open("wb") as writing:
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            writing.write(chunk)
            size += len(chunk)
    sha256 = digest.hexdigest()
    if claimed not in (None, sha256):
        temporary.unlink()
        raise BackupError(
            f"{path} is damaged (its SHA-256 is now {sha256}), so the home was not backed up. "
            "An earlier backup has it under its own name: copy it back, then back up again."
        )
    kept = _object(target, sha256)
    if kept.is_file() and kept.stat().st_size == size:
        temporary.unlink()
        return File(name, sha256, size), 0
    durable.make_directory(kept.parent)
    durable.publish_file(temporary, kept)
    return File(name, sha256, size), size


def _object(target: Path, sha256: str) -> Path:
    return target / _OBJECTS / sha256[:2] / sha256


def _manifest(target: Path, number: int) -> Path:
    return target / _BACKUPS / f"{number:06d}.json"


def _to_bytes(backup: Backup) -> bytes:
    document = {"format": FORMAT, **asdict(backup)}
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _stored(target: Path) -> list[Backup]:
    found = []
    for path in sorted((target / _BACKUPS).glob("[0-9]*.json")):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if value["format"] != FORMAT:
                raise BackupError(
                    f"{path} is of format {value['format']!r}; this version reads {FORMAT}. Use "
                    "the version that wrote it."
                )
            files = tuple(File(**file) for file in value["files"])
            found.append(Backup(value["number"], value["made_at"], files))
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError(
                f"{path} is no backup's list of files ({error}). Move it away: the other backups "
                "in that folder stand by themselves."
            ) from error
    return found
