"""Landing folder → archive → journal → raw tables: which version of which file counts.

Only these decisions and their order belong here; reading a file is `ingest.parse`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

import duckdb

from ingest import load
from ingest.archive import Archive, UnreadError
from ingest.contracts import FEEDS, LARGEST_FILE_BYTES
from ingest.journal import Entry, Journal, Kind, Slot, State
from ingest.landing import RETRACTION_SUFFIX, Delivery, Format, find
from ingest.load import Load
from ingest.manifest import LARGEST_NOTE_BYTES
from ingest.parse import Parsed, parse
from ingest.reasons import Reason, Rejected, printable

# One transaction and one journal write for so many files or rows: small files would otherwise
# spend their time on flushing to disk, and large ones must not pile up in memory.
_BATCH_FILES = 256
_BATCH_ROWS = 2_000_000
# A file that changed this recently can change again without its times showing it, so it is not
# remembered as seen.
SETTLED_NS = 1_000_000_000

# Refusals that rest on something beside the file's own bytes: other files, a setting.
_CAN_CHANGE = (
    Reason.TWO_FILES_FOR_SLOT,
    Reason.IN_FORCE_ELSEWHERE,
    Reason.FILE_TOO_LARGE,
)

Progress = Callable[[int, int, str], None]


class Outcome(StrEnum):
    """What became of a path, for people. The first five are as in the journal."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCHANGED = "unchanged"
    MISPLACED = "misplaced"
    RETRACTED = "retracted"
    RESTORED = "restored"  # loaded again from the archive
    UNREADABLE = "unreadable"  # could not be read, or changed while it was read
    UNRECOGNISED = "unrecognised"  # not a delivery


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of one path. `is_new` is False for what an earlier call has already noted."""

    outcome: Outcome
    file_name: str
    is_new: bool = False
    slot: Slot | None = None
    sha256: str | None = None
    rows_in_file: int = 0
    rows_accepted: int = 0
    rows_quarantined: int = 0
    rows_duplicate: int = 0
    is_verified: bool = False
    reason: str | None = None
    detail: str | None = None
    warnings: tuple[str, ...] = ()


class IntakeError(Exception):
    """The intake cannot go on."""


def _silent(done: int, total: int, text: str) -> None:
    del done, total, text


def receive(
    conn: duckdb.DuckDBPyConnection,
    home: Path,
    landing: Path,
    *,
    feeds: Collection[str] | None = None,
    dates: Collection[date] | None = None,
    clock_skew_minutes: int = 10,
    largest_file_bytes: int = LARGEST_FILE_BYTES,
    progress: Progress = _silent,
) -> list[Receipt]:
    """Take in what the landing folder holds (of these feeds and dates), and say what became of it.

    Each file is archived, then journalled, then loaded; a crash in between is made good by the
    next call, since the raw tables are first brought to what the journal says. An untouched
    folder costs one look at the files' times. What expired is passed over. `progress` is called
    with (done, total, text). Raises FileNotFoundError when there is no such folder, OSError when
    the home cannot be written, JournalError, ArchiveError.
    """
    receipts = synchronise(conn, home, progress)
    found = find(landing, feeds=feeds, dates=dates)
    kept_from = Journal(home / "journal").state().kept_from
    deliveries = [one for one in found.deliveries if not one.slot.is_before(kept_from)]
    receipts += [
        Receipt(outcome=Outcome.UNRECOGNISED, file_name=one.file_name, detail=one.why)
        for one in found.unrecognised
    ]
    prints = _Fingerprints(conn)
    total = 2 * len(deliveries)
    unread: set[Slot] = set()
    for done, delivery in enumerate(deliveries):
        progress(done, total, f"looking at {delivery.file_name}")
        try:
            prints.take(delivery)
        except (OSError, UnreadError) as error:
            unread.add(delivery.slot)
            what = (
                f"{error.strerror or error}: {error.filename}"
                if isinstance(error, OSError)
                else error
            )
            detail = f"{what}; make it readable, then load again"
            receipts.append(_unreadable(delivery, detail))
    intake = _Intake(
        conn,
        Archive(home / "archive"),
        Journal(home / "journal"),
        clock_skew_minutes,
        largest_file_bytes,
    )
    # A slot of which one file cannot be read waits: another file must not speak in its place.
    groups = [
        (slot, list(group))
        for slot, group in itertools.groupby(deliveries, key=lambda delivery: delivery.slot)
        if slot not in unread
    ]
    speaking = {slot: _speaker(group, prints) for slot, group in groups}
    intake.arriving = {
        slot: prints.sha256(delivery.path)
        for slot, delivery in speaking.items()
        if delivery is not None
    }
    done = len(deliveries)
    for slot, group in groups:
        progress(done, total, f"loading {group[0].file_name}")
        intake.take_slot(slot, group, speaking[slot], prints)
        done += len(group)
    intake.flush()
    prints.remember()
    progress(total, total, "landing folder loaded")
    return receipts + intake.receipts


def synchronise(
    conn: duckdb.DuckDBPyConnection, home: Path, progress: Progress = _silent
) -> list[Receipt]:
    """Make the raw tables what journal and archive say; a receipt for each file loaded again.

    Repairs any crash between journal and tables and fills an empty warehouse. Raises ArchiveError
    when an archived file is missing or damaged, IntakeError when one can no longer be read.
    """
    archive, journal = Archive(home / "archive"), Journal(home / "journal")
    archive.sweep()
    state = journal.state()
    present = load.loaded(conn)
    missing: list[tuple[Slot, Entry]] = []
    verified: dict[Slot, bool] = {}
    for slot, entry in sorted(state.in_force.items()):
        there = present.get(slot)
        if there is None or (there.sha256, there.clock_skew_minutes) != (
            entry.sha256,
            entry.clock_skew_minutes,
        ):
            missing.append((slot, entry))
        elif entry.is_verified != there.is_verified:
            verified[slot] = entry.is_verified
    batch = _Batch(conn, archive, state)
    batch.withdrawn.update(present.keys() - state.in_force.keys())
    batch.verified.update(verified)
    receipts: list[Receipt] = []
    for done, (slot, entry) in enumerate(missing):
        progress(done, len(missing), f"restoring {entry.file_name}")
        parsed = _reread(archive, slot, entry)
        batch.loads.append(Load(entry, slot, parsed))
        receipts.append(_receipt(entry, Outcome.RESTORED, is_new=True))
        if batch.is_full:
            batch.commit()
    batch.commit()
    if missing:
        progress(len(missing), len(missing), "raw tables restored")
    return receipts


def _reread(archive: Archive, slot: Slot, entry: Entry) -> Parsed:
    manifest = None
    if entry.manifest_sha256 is not None:
        manifest = archive.verified(entry.manifest_sha256).read_bytes()
    path = archive.verified(entry.sha256)
    if entry.format is None or entry.clock_skew_minutes is None:
        raise IntakeError(
            f"journal entry {entry.sequence} names no format or clock skew: restore journal and "
            "archive from the same backup"
        )
    try:
        return parse(
            path,
            Format(entry.format),
            FEEDS[slot.feed],
            slot.snapshot_date,
            entry.clock_skew_minutes,
            manifest,
            largest_file_bytes=None,
        )
    except Rejected as error:
        raise IntakeError(
            f"{path} was accepted as {entry.file_name} (journal entry {entry.sequence}) and can no "
            f"longer be read: {error}. Read it with the version that accepted it"
        ) from error


class _Batch:
    """Changes on their way into the raw tables, committed together."""

    def __init__(self, conn: duckdb.DuckDBPyConnection, archive: Archive, state: State) -> None:
        self._conn = conn
        self._archive = archive
        self._state = state
        self.loads: list[Load] = []
        self.withdrawn: set[Slot] = set()
        self.verified: dict[Slot, bool] = {}

    @property
    def is_full(self) -> bool:
        rows = sum(load.parsed.accepted.height for load in self.loads)
        return len(self.loads) >= _BATCH_FILES or rows >= _BATCH_ROWS

    def commit(self) -> None:
        """Bring the raw tables up to the state; does not touch a database that is."""
        version_set = self._state.version_set()
        sha256 = hashlib.sha256(version_set).hexdigest()
        is_idle = not (self.loads or self.withdrawn or self.verified)
        if is_idle and load.is_current(self._conn, self._state, sha256):
            return
        # A release pins the version set by this name, so its text is kept before it is named.
        self._archive.add_bytes(version_set)
        load.apply(
            self._conn,
            loads=self.loads,
            withdrawn=self.withdrawn,
            verified=self.verified,
            state=self._state,
            version_set=sha256,
        )
        self.loads, self.withdrawn, self.verified = [], set(), {}


@dataclass
class _Refusal:
    """A file that is not taken, before it is known whether that was noted already."""

    delivery: Delivery
    kind: Kind
    reason: Reason
    detail: str
    sha256: str
    file_name: str
    manifest_sha256: str | None = None

    def is_noted_as(self, entry: Entry | None) -> bool:
        return entry is not None and (
            (entry.kind, entry.reason, entry.sha256, entry.manifest_sha256)
            == (self.kind, self.reason, self.sha256, self.manifest_sha256)
        )


@dataclass
class _Intake:
    """The decisions of one call, slot by slot in order."""

    conn: duckdb.DuckDBPyConnection
    archive: Archive
    journal: Journal
    clock_skew_minutes: int
    largest_file_bytes: int
    arriving: dict[Slot, str] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = self.journal.state()
        self._batch = _Batch(self.conn, self.archive, self.state)
        self._entries: list[Entry] = []

    def take_slot(
        self,
        slot: Slot,
        group: list[Delivery],
        speaker: Delivery | None,
        prints: _Fingerprints,
    ) -> None:
        """Decide on a slot's files: retractions first, then the file that speaks for it."""
        refusals = self._retract(slot, group, prints)
        for delivery in group:
            if delivery.is_retraction or _is_withdrawn(delivery, prints) or delivery == speaker:
                continue
            refusals.append(
                _Refusal(
                    delivery,
                    Kind.REJECTED,
                    Reason.TWO_FILES_FOR_SLOT,
                    f"{speaker.file_name if speaker else 'another file'} speaks for this slot; "
                    "remove one of the two",
                    prints.sha256(delivery.path),
                    delivery.file_name,
                )
            )
        if speaker is not None:
            refusals += self._take(slot, speaker, prints, refusals)
        for refusal in refusals:
            noted = self.state.refused.get(slot, {}).get(refusal.file_name)
            entry = noted if refusal.is_noted_as(noted) and noted else self._refused(refusal)
            is_new = entry is not noted
            if is_new:
                self._note(entry)
            self.receipts.append(_receipt(entry, Outcome(entry.kind), is_new=is_new))
        if self._batch.is_full:
            self.flush()

    def flush(self) -> None:
        """Make the decisions so far durable, then bring them into the raw tables."""
        self.journal.append(*self._entries)
        self._entries = []
        self._batch.commit()

    def _note(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.state.note(entry)

    def _retract(self, slot: Slot, group: list[Delivery], prints: _Fingerprints) -> list[_Refusal]:
        refusals: list[_Refusal] = []
        for delivery in group:
            retraction = prints.retraction(delivery)
            if delivery.retraction is None or retraction is None:
                continue
            file_name = (
                delivery.file_name
                if delivery.is_retraction
                else delivery.file_name + RETRACTION_SUFFIX
            )
            if isinstance(retraction, str):
                refusals.append(
                    _Refusal(
                        delivery,
                        Kind.REJECTED,
                        Reason.RETRACTION_INVALID,
                        retraction,
                        prints.sha256(delivery.retraction),
                        file_name,
                    )
                )
                continue
            current = self.state.in_force.get(slot)
            latest = self.state.latest.get(file_name)
            is_in_force = current is not None and current.sha256 == retraction.sha256
            is_spent = (
                latest is not None
                and latest.kind is Kind.RETRACTED
                and latest.sha256 == retraction.sha256
            )
            entry = Entry(
                kind=Kind.RETRACTED,
                file_name=file_name,
                sha256=retraction.sha256,
                feed=slot.feed,
                snapshot_date=slot.snapshot_date,
                source=slot.source,
                detail=printable(f"{retraction.who}: {retraction.why}"),
            )
            if is_in_force or (not is_spent and _is_withdrawn(delivery, prints)):
                if is_in_force:
                    self._batch.withdrawn.add(slot)
                self._note(entry)
                self.receipts.append(_receipt(entry, Outcome.RETRACTED, is_new=True))
            elif is_spent:
                self.receipts.append(_receipt(entry, Outcome.RETRACTED))
            else:
                refusals.append(
                    _Refusal(
                        delivery,
                        Kind.REJECTED,
                        Reason.RETRACTION_MISMATCH,
                        f"it names {retraction.sha256}, in force is "
                        f"{current.sha256 if current else 'nothing'}",
                        prints.sha256(delivery.retraction),
                        file_name,
                    )
                )
        return refusals

    def _take(
        self,
        slot: Slot,
        delivery: Delivery,
        prints: _Fingerprints,
        refusals: list[_Refusal],
    ) -> list[_Refusal]:
        """Take the file that speaks for the slot, or say why not."""
        sha256 = prints.sha256(delivery.path)
        manifest_sha256 = prints.sha256(delivery.manifest) if delivery.manifest else None
        current = self.state.in_force.get(slot)
        is_in_force = current is not None and current.sha256 == sha256
        if current and is_in_force and manifest_sha256 in (None, current.manifest_sha256):
            self._unchanged(slot, delivery, current, prints, refusals)
            return []
        noted = self.state.refused.get(slot, {}).get(delivery.file_name)
        if (
            noted is not None
            and (noted.sha256, noted.manifest_sha256) == (sha256, manifest_sha256)
            and noted.reason not in _CAN_CHANGE
        ):
            self.receipts.append(_receipt(noted, Outcome(noted.kind)))
            return []

        def refusal(kind: Kind, reason: Reason, detail: str) -> list[_Refusal]:
            file_name = delivery.file_name
            return [_Refusal(delivery, kind, reason, detail, sha256, file_name, manifest_sha256)]

        holders = sorted(
            one for one in self.state.holders(sha256) if self._holds(one, slot, sha256)
        )
        if holders:
            where = ", ".join(f"{one.feed}/{one.snapshot_date}/{one.source}" for one in holders)
            detail = f"these bytes are in force for {where}"
            return refusal(Kind.MISPLACED, Reason.IN_FORCE_ELSEWHERE, detail)
        unread: str | None = None
        try:
            if self.archive.add(delivery.path) != sha256:
                unread = "it changed while it was being read; the next load takes it"
            manifest = _start_of(delivery.manifest) if delivery.manifest else None
        except UnreadError as error:
            unread = f"{error}; it is taken once it can be read to its end"
        if unread is not None:
            prints.forget(delivery.path)
            self.receipts.append(_unreadable(delivery, unread))
            return []
        skew = current.clock_skew_minutes if current and is_in_force else None
        clock_skew_minutes = self.clock_skew_minutes if skew is None else skew
        try:
            parsed = parse(
                self.archive.path(sha256),
                delivery.format,
                FEEDS[slot.feed],
                slot.snapshot_date,
                clock_skew_minutes,
                manifest,
                # What was accepted once stays readable.
                largest_file_bytes=None if is_in_force else self.largest_file_bytes,
            )
        except Rejected as error:
            is_misplaced = error.reason is Reason.WRONG_DATE_FOLDER
            kind = Kind.MISPLACED if is_misplaced else Kind.REJECTED
            return refusal(kind, error.reason, error.detail)
        if manifest is not None:
            manifest_sha256 = self.archive.add_bytes(manifest)
        entry = Entry(
            kind=Kind.ACCEPTED,
            file_name=delivery.file_name,
            sha256=sha256,
            feed=slot.feed,
            snapshot_date=slot.snapshot_date,
            source=slot.source,
            format=delivery.format,
            manifest_sha256=manifest_sha256,
            is_verified=parsed.verified,
            clock_skew_minutes=clock_skew_minutes,
            rows_in_file=parsed.rows_in_file,
            rows_accepted=parsed.accepted.height,
            rows_quarantined=parsed.quarantined.height,
            rows_duplicate=parsed.duplicates,
            warnings=parsed.warnings,
        )
        if is_in_force:
            # Only its manifest is new: the rows are there.
            self._batch.verified[slot] = parsed.verified
        else:
            self._batch.loads.append(Load(entry, slot, parsed))
        self._note(entry)
        self.receipts.append(_receipt(entry, Outcome.ACCEPTED, is_new=True))
        return []

    def _unchanged(
        self,
        slot: Slot,
        delivery: Delivery,
        current: Entry,
        prints: _Fingerprints,
        refusals: list[_Refusal],
    ) -> None:
        """The bytes in force were delivered again. Noted once after they were accepted, and
        whenever that settles an earlier refusal; an untouched folder adds nothing."""
        latest = self.state.latest.get(delivery.file_name)
        is_repeat = latest is not None and latest.kind is Kind.UNCHANGED
        standing = {refusal.file_name for refusal in refusals}
        settles = bool(self.state.refused.get(slot, {}).keys() - standing)
        entry = Entry(
            kind=Kind.UNCHANGED,
            file_name=delivery.file_name,
            sha256=current.sha256,
            feed=slot.feed,
            snapshot_date=slot.snapshot_date,
            source=slot.source,
            format=delivery.format,
        )
        is_new = settles or (prints.was_touched(delivery.path) and not is_repeat)
        if is_new:
            self._note(entry)
        rows = dataclasses.replace(current, file_name=delivery.file_name)
        self.receipts.append(_receipt(rows, Outcome.UNCHANGED, is_new=is_new))

    def _holds(self, other: Slot, slot: Slot, sha256: str) -> bool:
        """Whether these bytes, with rows in them, stay in force for another slot. One that is
        delivering other bytes now gives them up, so that two swapped files can be put right."""
        return (
            other != slot
            and self.state.in_force[other].rows_in_file > 0
            and self.arriving.get(other, sha256) == sha256
        )

    def _refused(self, refusal: _Refusal) -> Entry:
        slot = refusal.delivery.slot
        return Entry(
            kind=refusal.kind,
            file_name=refusal.file_name,
            sha256=refusal.sha256,
            feed=slot.feed,
            snapshot_date=slot.snapshot_date,
            source=slot.source,
            format=refusal.delivery.format,
            manifest_sha256=refusal.manifest_sha256,
            reason=refusal.reason,
            detail=refusal.detail,
        )


@dataclass(frozen=True)
class _Retraction:
    sha256: str
    who: str
    why: str


class _Fingerprints:
    """The SHA-256 of every landing file, read again only when its size, times or inode changed."""

    def __init__(self, conn: duckdb.DuckDBPyConnection) -> None:
        self._conn = conn
        self._seen: dict[str, tuple[int, int, int, int, str]] = {
            path: (size, mtime_ns, ctime_ns, inode, sha256)
            for path, size, mtime_ns, ctime_ns, inode, sha256 in conn.execute(
                "SELECT path, size, mtime_ns, ctime_ns, inode, sha256 FROM raw.landing_seen"
            ).fetchall()
        }
        self._fresh: dict[str, tuple[int, int, int, int, str]] = {}
        self._touched: set[str] = set()
        self._retractions: dict[Path, _Retraction | str] = {}

    def take(self, delivery: Delivery) -> None:
        """Look at the file and those beside it. Raises OSError."""
        for path in (delivery.path, delivery.manifest, delivery.retraction):
            if path is not None:
                self._look(path)
        if delivery.retraction is not None:
            self._retractions[delivery.retraction] = _read_retraction(delivery.retraction)

    def sha256(self, path: Path) -> str:
        """The SHA-256 of a file that was looked at."""
        key = str(path.absolute())
        return (self._fresh.get(key) or self._seen[key])[-1]

    def was_touched(self, path: Path) -> bool:
        """Whether the file is known and was written, replaced or renamed since."""
        return str(path.absolute()) in self._touched

    def retraction(self, delivery: Delivery) -> _Retraction | str | None:
        """The retraction beside the file, or in words why it is none; None without one."""
        return None if delivery.retraction is None else self._retractions[delivery.retraction]

    def forget(self, path: Path) -> None:
        """Do not remember this file."""
        self._fresh.pop(str(path.absolute()), None)

    def remember(self) -> None:
        """Store what is new, except files so fresh that a change might not show."""
        settled = time.time_ns() - SETTLED_NS
        rows = [
            (path, *seen) for path, seen in self._fresh.items() if max(seen[1], seen[2]) < settled
        ]
        load.remember_landing(self._conn, rows)

    def _look(self, path: Path) -> None:
        key = str(path.absolute())
        stat = path.stat()
        times = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        seen = self._seen.get(key)
        if seen is not None and seen[:4] == times:
            return
        if seen is not None:
            self._touched.add(key)
        with path.open("rb") as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        self._fresh[key] = (*times, sha256)


def _start_of(path: Path) -> bytes:
    """A small file, or one byte more of a large one than it may have. Raises UnreadError."""
    try:
        with path.open("rb") as source:
            return source.read(LARGEST_NOTE_BYTES + 1)
    except OSError as error:
        raise UnreadError(f"{error.strerror or error}: {path}") from error


def _read_retraction(path: Path) -> _Retraction | str:
    content = _start_of(path)
    if len(content) > LARGEST_NOTE_BYTES:
        return f"it is longer than {LARGEST_NOTE_BYTES:,} bytes"
    try:
        values = json.loads(content)
        fields = [values[name] for name in ("sha256", "who", "why")]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = printable(f"{type(error).__name__}: {error}")
        return f"it needs a JSON object with sha256, who and why ({why})"
    if not all(isinstance(text, str) and text.strip() for text in fields):
        return "sha256, who and why must be texts that are not empty"
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", fields[0]):
        return f"{printable(fields[0][:80])!r} is no SHA-256: 64 hexadecimal digits are needed"
    return _Retraction(fields[0].lower(), fields[1], fields[2])


def _is_withdrawn(delivery: Delivery, prints: _Fingerprints) -> bool:
    """Whether the file lies beside a retraction that names its bytes."""
    retraction = prints.retraction(delivery)
    return (
        not delivery.is_retraction
        and isinstance(retraction, _Retraction)
        and retraction.sha256 == prints.sha256(delivery.path)
    )


def _speaker(group: Iterable[Delivery], prints: _Fingerprints) -> Delivery | None:
    """The file that speaks for its slot: the first by name that is not withdrawn."""
    candidates = (
        delivery
        for delivery in group
        if not delivery.is_retraction and not _is_withdrawn(delivery, prints)
    )
    return min(candidates, key=lambda delivery: delivery.file_name, default=None)


def _receipt(entry: Entry, outcome: Outcome, *, is_new: bool = False) -> Receipt:
    return Receipt(
        outcome=outcome,
        file_name=entry.file_name,
        is_new=is_new,
        slot=entry.slot,
        sha256=entry.sha256,
        rows_in_file=entry.rows_in_file,
        rows_accepted=entry.rows_accepted,
        rows_quarantined=entry.rows_quarantined,
        rows_duplicate=entry.rows_duplicate,
        is_verified=entry.is_verified,
        reason=entry.reason,
        detail=entry.detail,
        warnings=entry.warnings,
    )


def _unreadable(delivery: Delivery, detail: str) -> Receipt:
    return Receipt(
        outcome=Outcome.UNREADABLE,
        file_name=delivery.file_name,
        slot=delivery.slot,
        detail=detail,
    )
