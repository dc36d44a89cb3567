"""Lets go of what is older than the retention policy: files, their raw rows, their bytes.

Which date that is, and whether a period still needs them, is the caller's to know.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from ingest.archive import Archive
from ingest.intake import Progress, synchronise
from ingest.journal import Entry, Journal, expiry


@dataclass(frozen=True)
class Expiring:
    """What goes: archived contents and their bytes, and the files in force with their rows."""

    kept_from: date
    contents: tuple[str, ...]
    bytes: int
    files: int
    rows: int


def expiring(home: Path, kept_from: date) -> Expiring:
    """What would go from `home` if usage and counts were kept from this date on.

    What an earlier expiry that was interrupted left in the archive is part of it.
    """
    journal, archive = Journal(home / "journal"), Archive(home / "archive")
    state = journal.state()
    kept_from = max(filter(None, (kept_from, state.kept_from)))
    entries = journal.entries()
    going = {sha256 for entry in entries if _goes(entry, kept_from) for sha256 in _contents(entry)}
    # The same bytes may have been delivered for another day, or for the registry.
    needed = {
        sha256 for entry in entries if not _goes(entry, kept_from) for sha256 in _contents(entry)
    }
    there = [one for one in sorted(going - needed) if archive.path(one).exists()]
    in_force = [entry for slot, entry in state.in_force.items() if slot.is_before(kept_from)]
    return Expiring(
        kept_from=kept_from,
        contents=tuple(there),
        bytes=sum(archive.path(one).stat().st_size for one in there),
        files=len(in_force),
        rows=sum(entry.rows_accepted for entry in in_force),
    )


def expire(
    conn: duckdb.DuckDBPyConnection, home: Path, what: Expiring, by: str, progress: Progress
) -> None:
    """Note it in the journal, take the rows out of the raw tables, and the bytes off the disk.

    In this order, so that after a crash the same call goes on. Cannot be undone but by a backup.
    Raises OSError, and what `synchronise` raises.
    """
    journal, archive = Journal(home / "journal"), Archive(home / "archive")
    if journal.state().kept_from != what.kept_from:
        journal.append(expiry(what.kept_from, by))
    synchronise(conn, home, progress)
    for done, sha256 in enumerate(what.contents):
        progress(done, len(what.contents), "removing archived files")
        archive.path(sha256).unlink(missing_ok=True)
    directory = os.open(archive.root, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _goes(entry: Entry, kept_from: date) -> bool:
    return entry.slot is not None and entry.slot.is_before(kept_from)


def _contents(entry: Entry) -> list[str]:
    return [sha256 for sha256 in (entry.sha256, entry.manifest_sha256) if sha256]
