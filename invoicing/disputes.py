"""Disputes: what a distributor contests on an issued line, noted beside the ledger until settled.

An append-only file of notes. No document and no figure depends on one (R24).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import duckdb

from invoicing import durable
from invoicing.canonical import JsonObject, canonical_json, sha256
from invoicing.heads import Committed

if TYPE_CHECKING:
    from invoicing.ledger import Document, Ledger

# Lies among the distributors' folders, so no distributor may have this id.
FILE = "disputes.jsonl"

Kind = Literal["opened", "noted", "settled"]


class DisputeError(RuntimeError):
    """A note is refused, or the file of disputes is not what was written."""


@dataclass(frozen=True)
class Note:
    """One line of the file.

    sequence    from 1, without gaps
    dispute_id  the sequence of the note that opened the dispute
    on          the day the person gave, as ISO text; nothing computes with it
    """

    sequence: int
    dispute_id: int
    number: str
    line_number: int
    kind: Kind
    text: str
    by: str
    on: str

    def to_line(self) -> bytes:
        """The line in the file, with its line break."""
        return canonical_json(dataclasses.asdict(self))

    @classmethod
    def from_line(cls, line: bytes) -> Note:
        """Raises ValueError, KeyError or TypeError when the line is not a note."""
        note = cls(**json.loads(line.decode()))
        date.fromisoformat(note.on)
        if note.to_line() != line + b"\n":
            raise ValueError("it is not a line this file was given")
        return note


@dataclass(frozen=True)
class Dispute:
    """A dispute with the line it is about. The amount is the document's own text."""

    dispute_id: int
    number: str
    line_number: int
    distributor_id: str
    period: str
    currency: str
    partner_id: str
    partner_name: str
    product_code: str
    product_name: str
    amount: str
    state: Literal["open", "settled"]
    since: str
    notes: tuple[Note, ...]

    @property
    def is_open(self) -> bool:
        return self.state == "open"


def every(ledger: Ledger) -> list[Dispute]:
    """All disputes, in the order they were opened.

    Raises DisputeError when the file is damaged or names a line the ledger does not hold.
    """
    by_dispute = sorted(_notes(_path(ledger)), key=lambda note: note.dispute_id)
    documents: dict[str, Document | None] = {}
    found = []
    for _, group in groupby(by_dispute, key=lambda note: note.dispute_id):
        notes = tuple(group)
        number, line_number = notes[0].number, notes[0].line_number
        if number not in documents:
            documents[number] = ledger.numbered(number)
        document = documents[number]
        line = _line(document, line_number) if document else None
        if document is None or line is None:
            raise DisputeError(
                f"{_path(ledger)}: a dispute is about line {line_number} of {number}, which the "
                "ledger does not hold. Restore the ledger from its backup."
            )
        found.append(_dispute(document, line, notes))
    return found


def open_of_line(ledger: Ledger, number: str, line_number: int) -> Dispute | None:
    """The open dispute of a line; a line has one at most."""
    for dispute in every(ledger):
        if dispute.is_open and (dispute.number, dispute.line_number) == (number, line_number):
            return dispute
    return None


def record(
    ledger: Ledger,
    number: str,
    line_number: int,
    *,
    text: str,
    by: str,
    on: date,
    settle: bool = False,
) -> tuple[Dispute, bool]:
    """Add a note to the open dispute of a line, or open one; `settle` closes it with the note.

    The dispute, and whether the note is new: the newest note of the line, made again by the same
    person in the same words, is a command that was run again, and adds none, whatever the day.
    Durable on return. Raises DisputeError, leaving the file as it was, when the line does not
    exist, when there is nothing to settle, or when the note or the name is empty. LedgerError when
    the ledger's heads contradict its files, OSError when the disk does not take it.
    """
    text, by = _checked("the note", text), _checked("the name", by)
    document = _document(ledger, number)
    line = _line(document, line_number)
    if line is None:
        lines = len(document.content["lines"])
        raise DisputeError(f"{number} has no line {line_number}: it has lines 1 to {lines}.")
    of_line = [
        one for one in every(ledger) if (one.number, one.line_number) == (number, line_number)
    ]
    newest = of_line[-1].notes[-1] if of_line else None
    if newest and (newest.text, newest.by, newest.kind == "settled") == (text, by, settle):
        ledger.anchor()  # the run that wrote it may have ended before that
        return of_line[-1], False
    standing = of_line[-1] if of_line and of_line[-1].is_open else None
    if settle and standing is None:
        raise DisputeError(
            f"Line {line_number} of {number} has no open dispute, so there is nothing to settle. "
            "`muster dispute` lists what is open."
        )
    sequence = len(_notes(_path(ledger))) + 1
    kind: Kind = "settled" if settle else "noted" if standing else "opened"
    dispute_id = standing.dispute_id if standing else sequence
    note = Note(sequence, dispute_id, number, line_number, kind, text, by, on.isoformat())
    # What a killed run left is anchored first: at most one line is ever without its anchor.
    ledger.anchor()
    durable.append_file(_path(ledger), len(_intact(_path(ledger))), note.to_line())
    ledger.anchor()
    return _dispute(document, line, (*(standing.notes if standing else ()), note)), True


def load_into(conn: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    """Replace table ledger.disputes, one row a note, within the caller's transaction."""
    conn.execute(
        "create or replace table ledger.disputes (note_number bigint, dispute_id bigint, "
        "number varchar, line_number bigint, kind varchar, note varchar, noted_by varchar, "
        "noted_on date)"
    )
    notes = [note for dispute in every(ledger) for note in dispute.notes]
    for note in notes:
        conn.execute(
            "insert into ledger.disputes values (?, ?, ?, ?, ?, ?, ?, ?)", dataclasses.astuple(note)
        )


def committed(ledger: Ledger, sequence: int | None = None) -> Committed | None:
    """The file up to this note, or the newest, as the ledger's heads name it; None without one."""
    lines = _intact(_path(ledger)).splitlines(keepends=True)
    position = len(lines) if sequence is None else sequence
    if not 1 <= position <= len(lines):
        return None
    number = json.loads(lines[position - 1])["number"]
    return Committed(FILE, position, number, sha256(b"".join(lines[:position])))


def without_anchor(ledger: Ledger) -> list[Committed]:
    """The newest note, unless the ledger's heads name it."""
    newest, anchors = committed(ledger), ledger.heads().of(FILE)
    if newest is None or (anchors and anchors[-1].committed.sequence >= newest.sequence):
        return []
    return [newest]


def contradiction(ledger: Ledger) -> str | None:
    """Where the file is not what the ledger's heads say was noted, in words, or None."""
    path = _path(ledger)
    try:
        _notes(path)
    except DisputeError as error:
        return str(error).replace(str(path), FILE).partition(". Restore")[0]
    anchors, newest = ledger.heads().of(FILE), committed(ledger)
    for anchor in anchors:
        said = anchor.committed
        now = committed(ledger, said.sequence)
        if now != said:
            return (
                f"{FILE} up to note {said.sequence} has sha256 {now.file_sha256 if now else None}, "
                f"expected {said.file_sha256} about {said.number}"
            )
    named = anchors[-1].committed.sequence if anchors else 0
    # One more is a note whose line a crash prevented. An older ledger has any number.
    if newest and newest.sequence > named + 1 and ledger.heads().anchors:
        return f"{FILE} has {newest.sequence} notes, the ledger's heads name {named}"
    return None


def torn(ledger: Ledger) -> int:
    """The bytes of a last line that a crash tore off: no note, and nobody was told that it is."""
    path = _path(ledger)
    return path.stat().st_size - len(_intact(path)) if path.exists() else 0


def cut_torn_line(ledger: Ledger) -> None:
    """Durable on return; nothing is written when the file ends with a whole line."""
    if torn(ledger):
        durable.append_file(_path(ledger), len(_intact(_path(ledger))), b"")


def _path(ledger: Ledger) -> Path:
    return ledger.root / FILE


def _dispute(document: Document, line: JsonObject, notes: tuple[Note, ...]) -> Dispute:
    return Dispute(
        dispute_id=notes[0].dispute_id,
        number=notes[0].number,
        line_number=notes[0].line_number,
        distributor_id=document.distributor_id,
        period=document.period,
        currency=document.currency,
        partner_id=line["partner_id"],
        partner_name=line["partner_name"],
        product_code=line["product_code"],
        product_name=line["product_name"],
        amount=line["amount"],
        state="settled" if notes[-1].kind == "settled" else "open",
        since=notes[0].on,
        notes=notes,
    )


def _line(document: Document, line_number: int) -> JsonObject | None:
    lines: list[JsonObject] = document.content["lines"]
    return next((line for line in lines if line["line_number"] == line_number), None)


def _document(ledger: Ledger, number: str) -> Document:
    document = ledger.numbered(number)
    if document is None:
        series = []
        for distributor_id in ledger.distributors():
            numbers = [d.number for d in ledger.documents(distributor_id) if d.number]
            if numbers:
                more = f" to {numbers[-1]}" if len(numbers) > 1 else ""
                series.append(f"{numbers[0]}{more}")
        raise DisputeError(
            f"No document has the number {number}. Issued are: {', '.join(series) or 'none'}."
        )
    return document


def _checked(what: str, text: str) -> str:
    """The text without outer spaces. Control characters would run in whoever's terminal."""
    text = text.strip()
    if not text:
        raise DisputeError(f"Nothing was recorded: {what} is empty.")
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise DisputeError(f"Nothing was recorded: {what} has characters that cannot be printed.")
    return text


def _notes(path: Path) -> list[Note]:
    """Every note in order. A torn last line was never promised to anybody: it is left out."""
    notes: list[Note] = []
    standing: dict[tuple[str, int], int] = {}  # open disputes, by the line they are about
    for position, line in enumerate(_intact(path).split(b"\n")[:-1], start=1):
        try:
            note = Note.from_line(line)
            if note.sequence != position:
                raise ValueError(f"it is note {note.sequence}, so lines are missing or moved")
            _take(note, standing)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DisputeError(
                f"{path}, line {position} is damaged ({error}). Restore the ledger from its backup."
            ) from error
        notes.append(note)
    return notes


def _take(note: Note, standing: dict[tuple[str, int], int]) -> None:
    """Let the note open, keep or close the dispute of its line. ValueError when it cannot."""
    line = (note.number, note.line_number)
    belongs_to = standing.get(line)
    match note.kind:
        case "opened" if belongs_to is None and note.dispute_id == note.sequence:
            standing[line] = note.dispute_id
        case "noted" if note.dispute_id == belongs_to:
            pass
        case "settled" if note.dispute_id == belongs_to:
            del standing[line]
        case _:
            raise ValueError(f"a note of kind {note.kind!r} that fits no open dispute")


def _intact(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b""
    return content[: content.rfind(b"\n") + 1]
