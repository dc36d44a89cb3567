"""The intake journal: what arrived, in order, and what was decided about it.

Only the record and the state that follows from it belong here; deciding is `ingest.intake`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from ingest.archive import needing
from ingest.contracts import EXPIRING


class Slot(NamedTuple):
    """What one file speaks for. Its versions supersede each other, in journal order."""

    feed: str
    snapshot_date: date
    source: str

    def is_before(self, kept_from: date | None) -> bool:
        """Whether files of this slot went with the retention policy."""
        return kept_from is not None and self.feed in EXPIRING and self.snapshot_date < kept_from


class Kind(StrEnum):
    """What was decided about a delivered file."""

    ACCEPTED = "accepted"  # in force for its slot from here on
    REJECTED = "rejected"  # refused whole; what was in force stays in force
    UNCHANGED = "unchanged"  # delivered again with the bytes that are in force
    MISPLACED = "misplaced"  # bytes that belong to another slot; not counted
    RETRACTED = "retracted"  # a person withdrew the bytes; nothing is in force
    REFERENCE = "reference"  # an accepted reference data file
    EXPIRED = "expired"  # usage and counts before `snapshot_date` went with the retention policy


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the journal. Reference files have no slot: feed, date, source are None.

    An expiry has a date and no file: `file_name` and `sha256` are empty.

    `received_at` is for people; nothing computes with it.
    """

    kind: Kind
    file_name: str  # relative to the landing or seeds folder, with forward slashes
    sha256: str
    sequence: int = 0  # given by the journal, from 1
    feed: str | None = None
    snapshot_date: date | None = None
    source: str | None = None
    format: str | None = None
    manifest_sha256: str | None = None
    is_verified: bool = False
    clock_skew_minutes: int | None = None
    rows_in_file: int = 0
    rows_accepted: int = 0
    rows_quarantined: int = 0
    rows_duplicate: int = 0
    reason: str | None = None
    detail: str | None = None
    warnings: tuple[str, ...] = ()
    received_at: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"), compare=False
    )

    @property
    def slot(self) -> Slot | None:
        """The slot this entry speaks of, None for reference data."""
        if self.feed is None or self.snapshot_date is None or self.source is None:
            return None
        return Slot(self.feed, self.snapshot_date, self.source)

    def to_line(self) -> str:
        """One line of JSON without the line break, and without what chains it to others."""
        values = dataclasses.asdict(self)
        values["snapshot_date"] = self.snapshot_date and self.snapshot_date.isoformat()
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> Entry:
        """Raises ValueError, KeyError or TypeError when the line is not an entry."""
        values: dict[str, Any] = json.loads(line)
        values["kind"] = Kind(values["kind"])
        if values["snapshot_date"] is not None:
            values["snapshot_date"] = date.fromisoformat(values["snapshot_date"])
        values["warnings"] = tuple(values["warnings"])
        return cls(**values)


class State:
    """What is in force. It follows per slot from that slot's entries, whatever came between."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.in_force: dict[Slot, Entry] = {}
        self.reference: dict[str, Entry] = {}
        # Refused files of a slot since its last good delivery, by file name.
        self.refused: dict[Slot, dict[str, Entry]] = {}
        self.latest: dict[str, Entry] = {}  # by file name, whatever the kind
        # Nothing of the feeds that expire is in force before this date, or ever will be.
        self.kept_from: date | None = None
        self._slots_by_sha256: dict[str, set[Slot]] = {}
        for entry in entries:
            self.note(entry)

    def note(self, entry: Entry) -> None:
        """Take one more entry into account."""
        if entry.kind is Kind.REFERENCE:
            self.reference[entry.file_name] = entry
            return
        if entry.kind is Kind.EXPIRED:
            self._expire(entry)
            return
        self.latest[entry.file_name] = entry
        slot = entry.slot
        if slot is None:
            raise JournalError(
                f"journal entry {entry.sequence} ({entry.kind}) names no slot: restore journal and "
                "archive from the same backup"
            )
        match entry.kind:
            case Kind.ACCEPTED:
                self._withdraw(slot)
                self.in_force[slot] = entry
                self._slots_by_sha256.setdefault(entry.sha256, set()).add(slot)
                self.refused.pop(slot, None)
            case Kind.UNCHANGED:
                self.refused.pop(slot, None)
            case Kind.RETRACTED:
                if slot in self.in_force and self.in_force[slot].sha256 == entry.sha256:
                    self._withdraw(slot)
                # Refused bytes, or a refused earlier try at this retraction, are settled by it.
                refused = self.refused.pop(slot, {})
                remaining = {
                    name: one
                    for name, one in refused.items()
                    if name != entry.file_name and one.sha256 != entry.sha256
                }
                if remaining:
                    self.refused[slot] = remaining
            case _:
                self.refused.setdefault(slot, {})[entry.file_name] = entry

    def holders(self, sha256: str) -> set[Slot]:
        """The slots in which these bytes are in force."""
        return set(self._slots_by_sha256.get(sha256, ()))

    def version_set(self) -> bytes:
        """Canonical JSON of every version in force: what a release pins (R22).

        {"files": [[feed, date, source, sha256, clock_skew_minutes]], "reference": [[name, sha256]],
        "refused": [[feed, date, source, file_name, sha256, reason]]}. What was refused is in no
        table, but a discrepancy about a missing file says that one was refused, and why.
        `"kept_from": date` comes last when files expired: a date before it is not missing.
        """
        refused = [entry for _, files in sorted(self.refused.items()) for entry in files.values()]
        document: dict[str, Any] = {
            "files": [_version(entry) for _, entry in sorted(self.in_force.items())],
            "reference": [_version(entry) for _, entry in sorted(self.reference.items())],
            "refused": sorted(_version(entry) for entry in refused),
        }
        if self.kept_from is not None:
            document["kept_from"] = self.kept_from.isoformat()
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    def _expire(self, entry: Entry) -> None:
        self.kept_from = max(filter(None, (self.kept_from, entry.snapshot_date)))
        for slot in [slot for slot in self.in_force if slot.is_before(self.kept_from)]:
            self._withdraw(slot)
        for slot in [slot for slot in self.refused if slot.is_before(self.kept_from)]:
            del self.refused[slot]

    def _withdraw(self, slot: Slot) -> None:
        former = self.in_force.pop(slot, None)
        if former is not None:
            self._slots_by_sha256[former.sha256].discard(slot)


class JournalError(Exception):
    """The journal cannot be read."""


def entries_of(version_set: bytes, entries: Iterable[Entry]) -> list[Entry]:
    """Of a journal's entries those whose state is exactly this version set, in its order (R26).

    Of several entries of one version the latest is taken: it knows the manifest that came later.
    Raises JournalError when no entry speaks of a version that the set names.
    """
    wanted = json.loads(version_set)
    kinds = {Kind.ACCEPTED: "files", Kind.REFERENCE: "reference"}
    kinds |= {Kind.REJECTED: "refused", Kind.MISPLACED: "refused"}
    by_version = {
        (kinds[entry.kind], *_version(entry)): entry for entry in entries if entry.kind in kinds
    }
    found = []
    if "kept_from" in wanted:
        found.append(expiry(date.fromisoformat(wanted["kept_from"])))
    for group in ("files", "reference", "refused"):
        for version in wanted.get(group, []):
            entry = by_version.get((group, *version))
            if entry is None:
                raise JournalError(
                    f"the journal has no entry for {' '.join(map(str, version))}, which the "
                    "version set names: restore journal and archive from the same backup"
                )
            found.append(entry)
    if State(found).version_set() != version_set:
        raise JournalError(
            "the journal's entries do not make this version set again: restore journal and archive "
            "from the same backup"
        )
    return found


def expiry(kept_from: date, by: str | None = None) -> Entry:
    """The entry that lets go of what expires before a date; `by` whom is for people."""
    return Entry(
        kind=Kind.EXPIRED,
        file_name="",
        sha256="",
        snapshot_date=kept_from,
        reason="retention",
        detail=by,
    )


def _version(entry: Entry) -> list[Any]:
    """How a version set names one entry."""
    slot = entry.slot
    if entry.kind is Kind.REFERENCE or slot is None:
        return [entry.file_name, entry.sha256]
    place = [slot.feed, slot.snapshot_date.isoformat(), slot.source]
    if entry.kind is Kind.ACCEPTED:
        return [*place, entry.sha256, entry.clock_skew_minutes]
    return [*place, entry.file_name, entry.sha256, entry.reason]


class Head(NamedTuple):
    """A line of the journal and the SHA-256 of its bytes, so of everything up to it."""

    sequence: int
    sha256: str


# A line ends with its own hash, over everything else in it; lines of older journals do not.
_OWN = re.compile(rb',"sha256":"([0-9a-f]{64})"\}$')


class _Chain:
    """What the next line has to name as the one before it.

    That is the hash of the last line. Lines from before there were hashes are vouched for as a
    whole, by the first line that has one: it names the SHA-256 of all their bytes.
    """

    def __init__(self) -> None:
        self._last: str | None = None
        self._without_hash = hashlib.sha256()
        self._is_empty = True

    @property
    def previous_sha256(self) -> str | None:
        if self._is_empty:
            return None
        return self._last or self._without_hash.hexdigest()

    def line(self, entry: Entry) -> bytes:
        """The entry as the next line, with its line break."""
        body = f'{entry.to_line()[:-1]},"previous_sha256":{json.dumps(self.previous_sha256)}'
        self._last = hashlib.sha256(f"{body}}}".encode()).hexdigest()
        self._is_empty = False
        return f'{body},"sha256":"{self._last}"}}\n'.encode()

    def read(self, line: bytes) -> Entry:
        """The entry of the next line. Raises ValueError, KeyError or TypeError when it is none."""
        own = _OWN.search(line)
        if own is None:
            if self._last is not None:
                raise ValueError("it has no hash, and the line before it has one")
            entry = Entry.from_line(line.decode())
            self._without_hash.update(line + b"\n")
            self._is_empty = False
            return entry
        body = line[: own.start()] + b"}"
        said, is_now = own[1].decode(), hashlib.sha256(body).hexdigest()
        if said != is_now:
            raise ValueError(f"its sha256 is {said}, of what it says {is_now}")
        text, _, previous = body[:-1].decode().rpartition(',"previous_sha256":')
        if json.loads(previous) != self.previous_sha256:
            raise ValueError("it was written after another line: lines are missing or changed")
        self._last, self._is_empty = said, False
        return Entry.from_line(f"{text}}}")

    def copy(self) -> _Chain:
        other = _Chain()
        other._last, other._is_empty = self._last, self._is_empty
        other._without_hash = self._without_hash.copy()
        return other


class Journal:
    """An append-only file of chained JSON lines. One process at a time writes it (the home's lock).

    A line that is changed, or missing but for the last ones, is noticed by whoever reads it. That
    the last ones are missing is noticed by what was made of them: see `goes_on_from`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Bytes read so far, their entries, and what the next line follows.
        self._cached: tuple[int, list[Entry], _Chain] = (0, [], _Chain())

    def entries(self) -> list[Entry]:
        """Every entry in order. A torn last line was never promised to anybody: it is left out.

        Raises JournalError, with the line, when an earlier line is damaged.
        """
        read_up_to, entries, chain = self._cached
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size < read_up_to:  # restored from an older backup
            read_up_to, entries, chain = 0, [], _Chain()
        if size > read_up_to:
            with self.path.open("rb") as source:
                source.seek(read_up_to)
                fresh = source.read()
            fresh = fresh[: fresh.rfind(b"\n") + 1]
            chain = chain.copy()
            entries = entries + self._parse(fresh, chain, after=len(entries))
            read_up_to += len(fresh)
        self._cached = (read_up_to, entries, chain)
        return list(entries)

    def head(self) -> Head | None:
        """The last line, None while there is none."""
        lines = self._lines()
        return Head(len(lines), hashlib.sha256(lines[-1]).hexdigest()) if lines else None

    def goes_on_from(self, head: Head) -> bool:
        """Whether that line is there: not so in a journal that was restored from before it."""
        lines = self._lines()
        return (
            1 <= head.sequence <= len(lines)
            and hashlib.sha256(lines[head.sequence - 1]).hexdigest() == head.sha256
        )

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    def append(self, *entries: Entry) -> list[Entry]:
        """Add entries, durable on return, and return them with their sequence numbers.

        A torn last line, left by a crash, is cut off first. Raises OSError.
        """
        if not entries:
            return []
        known = self.entries()
        intact, _, chain = self._cached
        chain = chain.copy()
        first = known[-1].sequence + 1 if known else 1
        numbered = [
            dataclasses.replace(entry, sequence=first + offset)
            for offset, entry in enumerate(entries)
        ]
        lines = b"".join(chain.line(entry) for entry in numbered)
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with needing(self.path, len(lines)), self.path.open("ab", buffering=0) as target:
            target.truncate(intact)
            try:
                rest = memoryview(lines)
                while rest:
                    rest = rest[target.write(rest) :]
                os.fsync(target.fileno())
            except OSError:
                # A full disk may have taken half a line: leave none of it behind.
                target.truncate(intact)
                raise
        if is_new:
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        self._cached = (intact + len(lines), known + numbered, chain)
        return numbered

    def state(self) -> State:
        """What is in force after every entry."""
        return State(self.entries())

    def _parse(self, content: bytes, chain: _Chain, after: int) -> list[Entry]:
        entries = []
        for number, line in enumerate(content.split(b"\n")[:-1], start=after + 1):
            try:
                entry = chain.read(line)
                if entry.sequence != number:
                    raise ValueError(f"it is entry {entry.sequence}, so lines are missing or moved")
                entries.append(entry)
            except (ValueError, KeyError, TypeError) as error:
                why = f"it lacks {error}" if isinstance(error, KeyError) else error
                raise JournalError(
                    f"{self.path}, line {number} is damaged ({why}): "
                    "restore the journal and the archive from the same backup"
                ) from error
        return entries
