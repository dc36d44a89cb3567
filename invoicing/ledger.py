"""The ledger: immutable documents per distributor, a hash chain and a gapless number series (R24).

Storing, reading back and verifying documents. What goes into one is decided in `documents`.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import duckdb

from invoicing import disputes, durable, heads
from invoicing.canonical import JsonObject, canonical_json, sha256
from invoicing.heads import Committed, Heads, HeadsError

# Release records live beside the distributors' folders, so no distributor may have this id.
RELEASES = "releases"

# In the provenance: the hash of the document committed before it in the whole ledger.
FOLLOWS = "previous_in_ledger_sha256"

CREDIT_NOTE, DEBIT_NOTE = "credit_note", "debit_note"
NOTES = (CREDIT_NOTE, DEBIT_NOTE)


class LedgerError(RuntimeError):
    """The ledger refuses a document, or is not what it was when it was written."""


@dataclass(frozen=True)
class Document:
    """An invoice, a nil document, or a credit or debit note that corrects or cancels one (R25).

    `content` is what the distributor sees; it does not depend on landing format or load order.
    `provenance` says what it was computed from and links it to the previous document.
    """

    content: JsonObject
    provenance: JsonObject

    @property
    def distributor_id(self) -> str:
        return str(self.content["distributor"]["distributor_id"])

    @property
    def sequence(self) -> int:
        return int(self.content["sequence"])

    @property
    def number(self) -> str | None:
        number: str | None = self.content["number"]
        return number

    @property
    def kind(self) -> str:
        return str(self.content["kind"])

    @property
    def is_note(self) -> bool:
        return self.kind in NOTES

    @property
    def is_from_before_heads(self) -> bool:
        """Issued by a version without a record of the heads: only its chain witnesses it."""
        return FOLLOWS not in self.provenance

    @property
    def period(self) -> str:
        """The period whose run issued it."""
        return str(self.content["period"])

    @property
    def billed_period(self) -> str:
        """The period whose use it bills: for a note, the one it corrects."""
        return str(self.content["corrects"]["period"]) if self.is_note else self.period

    @property
    def cancels(self) -> str | None:
        """The number of the invoice that this credit note takes back whole (R24)."""
        return str(self.content["cancels"]) if self.is_note and self.content["cancels"] else None

    @property
    def currency(self) -> str:
        return str(self.content["currency"])

    @property
    def name(self) -> str:
        """How a message calls the document: its number, or distributor and sequence if nil."""
        return self.number or f"{self.distributor_id} {self.sequence:06d} (nil)"

    def to_bytes(self) -> bytes:
        """The ledger file's bytes."""
        return canonical_json({"content": self.content, "provenance": self.provenance})

    @classmethod
    def from_bytes(cls, data: bytes) -> Document:
        """Raises ValueError when the bytes are not a ledger document."""
        value = json.loads(data)
        if not isinstance(value, dict) or set(value) != {"content", "provenance"}:
            raise ValueError("not a ledger document")
        return cls(value["content"], value["provenance"])


@dataclass(frozen=True)
class Head:
    """Where a distributor's chain ends, and so what the next document must carry."""

    sequence: int = 0
    numbered: int = 0
    period: str | None = None
    content_sha256: str | None = None
    document_sha256: str | None = None
    # Of the document committed last in the whole ledger, whoever's it is: one order of them all.
    ledger_sha256: str | None = None

    @property
    def next_sequence(self) -> int:
        return self.sequence + 1

    def next_number(self, distributor_id: str) -> str:
        return f"{distributor_id.upper()}-{self.numbered + 1:06d}"

    def after(self, document: Document, data: bytes) -> Head:
        """The head once `document`, whose file holds `data`, has been appended."""
        return Head(
            sequence=document.sequence,
            numbered=self.numbered + (document.number is not None),
            period=document.period,
            content_sha256=sha256(canonical_json(document.content)),
            document_sha256=sha256(data),
        )


@dataclass(frozen=True)
class _Entry:
    """What finding a document needs, so that a long ledger is not held in memory."""

    path: Path
    key: tuple[str, str]  # billed period, currency
    is_note: bool
    cancels: str | None
    number: str | None
    follows: str | None
    is_from_before_heads: bool
    head: Head

    @property
    def file(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def committed(self) -> Committed:
        assert self.head.document_sha256 is not None, "the head after a document has its hash"
        return Committed(self.file, self.head.sequence, self.number, self.head.document_sha256)

    @classmethod
    def of(cls, path: Path, document: Document, before: Head, data: bytes) -> _Entry:
        return cls(
            path=path,
            key=(document.billed_period, document.currency),
            is_note=document.is_note,
            cancels=document.cancels,
            number=document.number,
            follows=document.provenance.get(FOLLOWS),
            is_from_before_heads=document.is_from_before_heads,
            head=before.after(document, data),
        )


def _live(entries: Iterable[_Entry]) -> dict[tuple[str, str], _Entry]:
    """The invoice or nil document in force of each billed period and currency."""
    live: dict[tuple[str, str], _Entry] = {}
    for entry in entries:
        if not entry.is_note:
            live[entry.key] = entry
        elif entry.cancels is not None:
            live.pop(entry.key, None)
    return live


class Ledger:
    """The folder `ledger/`: `<distributor_id>/<sequence>.json`, each beside its roster.

    The rename of the JSON file is the commit. Readers look at nothing else, so what a crash left
    behind (temporary files, a roster without its document) is invisible, and the next append of
    that distributor, which has the same sequence, overwrites it. One writer at a time.

    A line in `heads.jsonl` then says that the document was committed. A crash before that line
    leaves one document without it, which names the document the file ends with; whoever writes
    next adds the line. With `is_partial` it holds some of another ledger's documents, to make the
    next one again; in which order that one got them is not asked.
    """

    def __init__(self, root: Path, *, is_partial: bool = False) -> None:
        self.root = root
        self._is_partial = is_partial
        self._entries_by_path: dict[Path, _Entry] = {}
        self._heads = Heads()

    def distributors(self) -> list[str]:
        """Ids of all distributors with at least one document, sorted."""
        if self.root.is_dir():
            os.scandir(self.root).close()  # glob says nothing of a folder that may not be read
        return sorted({path.parent.name for path in self.root.glob("*/[0-9]*.json")})

    def documents(self, distributor_id: str | None = None) -> Iterator[Document]:
        """All documents, or one distributor's, by distributor and sequence."""
        for owner in self.distributors() if distributor_id is None else [distributor_id]:
            for path in self._paths(owner):
                yield self.read(path)

    def head(self, distributor_id: str) -> Head:
        """The end of one distributor's chain."""
        entries = self._entries(distributor_id)
        head = entries[-1].head if entries else Head()
        return replace(head, ledger_sha256=self.heads().document_sha256(disputes.FILE))

    def last(self, distributor_id: str) -> Document | None:
        """The last document of one distributor's series, or None before the first."""
        paths = self._paths(distributor_id)
        return self.read(paths[-1]) if paths else None

    def heads(self) -> Heads:
        """The record of all that was committed. Raises HeadsError when it is damaged."""
        path = self.root / heads.FILE
        # It only ever grows, and one process writes: as long as it was is as it was.
        if (path.stat().st_size if path.exists() else 0) != self._heads.intact:
            self._heads = heads.read(self.root)
        return self._heads

    def issued(self, period: str, distributor_id: str, currency: str) -> Document | None:
        """The invoice or nil document in force of a period, or None while there is none."""
        entry = _live(self._entries(distributor_id)).get((period, currency))
        return self.read(entry.path) if entry else None

    def of_period(self, period: str, distributor_id: str, currency: str) -> list[Document]:
        """Every document that bills the period: invoices, cancelled ones too, and their notes."""
        return [
            self.read(entry.path)
            for entry in self._entries(distributor_id)
            if entry.key == (period, currency)
        ]

    def issued_periods(self, distributor_id: str, currency: str) -> list[str]:
        """Every period that was ever invoiced in this currency, ascending."""
        entries = self._entries(distributor_id)
        return sorted({e.key[0] for e in entries if e.key[1] == currency and not e.is_note})

    def numbered(self, number: str) -> Document | None:
        """The document with this number, or None."""
        for distributor_id in self.distributors():
            for entry in self._entries(distributor_id):
                if entry.number == number:
                    return self.read(entry.path)
        return None

    def document_path(self, distributor_id: str, sequence: int) -> Path:
        return self.root / distributor_id / f"{sequence:06d}.json"

    def roster_path(self, distributor_id: str, sequence: int) -> Path:
        return self.root / distributor_id / f"{sequence:06d}.roster.parquet"

    def roster(self, document: Document) -> Path:
        """A document's roster, having read all of it. Raises LedgerError when it is another one."""
        path = self.roster_path(document.distributor_id, document.sequence)
        if not path.is_file() or durable.file_sha256(path) != document.content["roster"]["sha256"]:
            raise LedgerError(
                f"{path} is not the roster {document.name} was issued with. "
                "Restore the ledger from its backup, then run again."
            )
        return path

    def staged_roster_path(self, distributor_id: str) -> Path:
        """Where the roster of the next document is written before `append` takes it over."""
        path = self.roster_path(distributor_id, self.head(distributor_id).next_sequence)
        durable.make_directory(path.parent)
        return durable.temporary_path(path)

    def append(self, document: Document) -> None:
        """Commit a document whose roster lies at `staged_roster_path`; all of it or nothing.

        Raises LedgerError, leaving the ledger as it was, when the period already has an invoice
        in this currency or when `verify` would find a fault in the result.
        """
        distributor_id, sequence = document.distributor_id, document.sequence
        self._check_name(distributor_id)
        key = (document.billed_period, distributor_id, document.currency)
        existing = self.issued(*key)
        if existing and not document.is_note:
            raise LedgerError(
                f"{document.period} {distributor_id} {document.currency} is already issued as "
                f"{existing.name}; an issued document never changes (R24). "
                "`muster cancel` takes it back."
            )
        staged = self.staged_roster_path(distributor_id)
        head = self.head(distributor_id)
        fault = _fault(head, document, staged) or _note_fault(
            document, self.of_period(*key), existing
        )
        if not fault and document.provenance.get(FOLLOWS) != head.ledger_sha256:
            fault = f"it names {document.provenance.get(FOLLOWS)} as the document before it"
        if fault:
            raise LedgerError(f"{document.name} was not written: {fault}.")
        durable.publish_file(staged, self.roster_path(distributor_id, sequence))
        path = self.document_path(distributor_id, sequence)
        durable.write_file(path, document.to_bytes())
        committed = _Entry.of(path, document, head, document.to_bytes()).committed
        self._heads = heads.append(self.root, self.heads(), [committed])

    def anchor(self) -> None:
        """Add a line to `heads.jsonl` for what it does not name yet; none when it names all.

        That is what a killed run had written, a new note, or the whole of a ledger from before
        there was such a file. Raises LedgerError when it contradicts the files it names.
        """
        self.check_committed()
        missing = self._without_anchor(self._all_entries())
        self._heads = heads.append(self.root, self.heads(), missing)

    def recover(self) -> None:
        """Clear away or complete what a killed run left; before anything new is written."""
        for leftover in self.leftovers():
            leftover.unlink()
        disputes.cut_torn_line(self)
        self.anchor()

    def leftovers(self) -> list[Path]:
        """Files a killed run left: temporary ones, and a roster whose document never came."""
        temporary = [*self.root.glob(".*.tmp"), *self.root.glob("**/.*.tmp")]
        rosters = [
            path
            for path in self.root.glob("*/*.roster.parquet")
            if not path.with_name(path.name.replace(".roster.parquet", ".json")).exists()
        ]
        return sorted({path for path in (*temporary, *rosters) if path.is_file()})

    def without_anchor(self) -> list[Committed]:
        """What `heads.jsonl` does not name: a killed run's last write, or an older ledger."""
        return self._without_anchor(self._all_entries())

    def verify(self) -> str | None:
        """The first broken link in words, or None when every document is as it was written.

        Checks hash chain, sequences, number series, roster hashes, that lines add up to the total
        and customers to their line, and that what was committed is there, in that order.
        """
        found: dict[str, _Entry] = {}
        for distributor_id in self.distributors():
            entries: list[_Entry] = []
            for path in self._paths(distributor_id):
                data = path.read_bytes()
                where = f"{distributor_id}/{path.name}"
                try:
                    document = Document.from_bytes(data)
                    fault = self._file_fault(path, data, document, entries)
                    head = entries[-1].head if entries else Head()
                    entries.append(_Entry.of(path, document, head, data))
                except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                    return f"{where}: is not a ledger document ({error!r})"
                if fault:
                    return f"{where}: {fault}"
            found |= {entry.file: entry for entry in entries}
        return self._contradiction(found)

    def load_into(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Replace schema `ledger` (documents, lines, customers, disputes, two views) by the files.

        One transaction; the tables exist even while the ledger is empty. `rosters` is a view of
        the last roster of each billed period in force, which a correction is compared with (R25);
        `document_rosters` one of every document's.
        """
        conn.begin()
        try:
            conn.execute("create schema if not exists ledger")
            for table, columns in _TABLES.items():
                types = ", ".join(f"{name} {kind}" for name, kind in columns.items())
                conn.execute(f"create or replace table ledger.{table} ({types})")
            rosters: dict[tuple[str | int, ...], Path] = {}
            every: dict[tuple[str | int, ...], Path] = {}
            for distributor_id in self.distributors():
                entries = self._entries(distributor_id)
                live = _live(entries)
                in_force = {entry.path for entry in live.values()}
                for entry in entries:
                    document = self.read(entry.path)
                    is_cancelled = not document.is_note and entry.path not in in_force
                    for table, found in _table_rows(document, is_cancelled).items():
                        _insert(conn, table, found)
                    key = (distributor_id, *entry.key)
                    rosters[key] = self.roster_path(distributor_id, document.sequence)
                    every[distributor_id, document.sequence] = rosters[key]
                    if entry.cancels:
                        del rosters[key]
            of_period = ("distributor_id", "billed_period", "currency")
            of_document = ("distributor_id", "sequence")
            conn.execute(_rosters_view("rosters", of_period, _BILLED, rosters))
            conn.execute(_rosters_view("document_rosters", of_document, tuple(_ROSTER), every))
            disputes.load_into(conn, self)
            conn.commit()
        except BaseException:
            with suppress(duckdb.Error):  # the transaction ended with the error, on a full disk
                conn.rollback()
            raise

    def _paths(self, distributor_id: str) -> list[Path]:
        return sorted((self.root / distributor_id).glob("[0-9]*.json"))

    def check(self) -> None:
        """Raise LedgerError unless `verify` finds nothing; nothing is made from a damaged one."""
        fault = self.verify()
        if fault:
            raise LedgerError(f"The ledger is damaged: {fault}. {self._restore()}")

    def check_committed(self) -> None:
        """Raise LedgerError unless every document and note that was committed is there, in order.

        Of `check` what costs no reading of rosters, so that any command can afford it.
        """
        fault = self._contradiction(self._all_entries())
        if fault:
            raise LedgerError(f"The ledger is damaged: {fault}. {self._restore()}")

    def _restore(self) -> str:
        return f"Restore {self.root} from its backup."

    def read(self, path: Path) -> Document:
        """A document whose content is the one its provenance names. Raises LedgerError."""
        try:
            document = Document.from_bytes(path.read_bytes())
        except ValueError as error:
            raise LedgerError(
                f"{path} is not a ledger document ({error}). Restore the ledger from its backup."
            ) from error
        if document.provenance["content_sha256"] != sha256(canonical_json(document.content)):
            raise LedgerError(
                f"{path} was changed after it was issued: its content is not the one its hash "
                "names. Restore the ledger from its backup."
            )
        return document

    def _entries(self, distributor_id: str) -> list[_Entry]:
        entries: list[_Entry] = []
        head = Head()
        for path in self._paths(distributor_id):
            entry = self._entries_by_path.get(path)
            if entry is None:
                entry = _Entry.of(path, self.read(path), head, path.read_bytes())
                self._entries_by_path[path] = entry
            head = entry.head
            entries.append(entry)
        return entries

    def _all_entries(self) -> dict[str, _Entry]:
        return {
            entry.file: entry
            for distributor_id in self.distributors()
            for entry in self._entries(distributor_id)
        }

    def _without_anchor(self, entries: Mapping[str, _Entry]) -> list[Committed]:
        named = {anchor.committed.file for anchor in self.heads().anchors}
        missing = [entry.committed for file, entry in entries.items() if file not in named]
        return [*missing, *disputes.without_anchor(self)]

    def _contradiction(self, entries: Mapping[str, _Entry]) -> str | None:
        """Where the files are not what `heads.jsonl` says was committed, in that order, or None.

        What it does not name yet is right in two cases: nothing was issued since there are heads,
        or one document or note is the last thing written, by a run that was killed before its line.
        """
        try:
            self._heads = heads.read(self.root)
        except HeadsError as error:
            return str(error)
        if self._is_partial:
            return None
        last = None
        for anchor in self._heads.anchors:
            said = anchor.committed
            if said.file == disputes.FILE:
                continue
            entry, where = entries.get(said.file), f"{heads.FILE}, line {anchor.line}"
            if entry is None:
                return f"{said.file} is missing: {where} says {said.number or 'it'} was issued"
            if entry.committed != said:
                return (
                    f"{said.file} is not what was issued: it is {entry.head.sequence} "
                    f"{entry.number} with sha256 {entry.head.document_sha256}, {where} says "
                    f"{said.sequence} {said.number} with {said.file_sha256}"
                )
            if not entry.is_from_before_heads and entry.follows != last:
                return f"{said.file} was issued after {entry.follows}, {where} says after {last}"
            last = said.file_sha256
        named = {anchor.committed.file for anchor in self._heads.anchors}
        missing = [entry for file, entry in entries.items() if file not in named]
        if all(entry.is_from_before_heads for entry in entries.values()):
            missing = []  # nothing was issued since there are heads; it is adopted as it is
        if len(missing) > 1 or any(entry.follows != last for entry in missing):
            return f"{heads.FILE} does not name {missing[0].file}: lines are missing"
        return disputes.contradiction(self)

    def _check_name(self, distributor_id: str) -> None:
        """Ids are checked on load; this holds whatever the path to here was."""
        if Path(distributor_id).name != distributor_id or distributor_id.startswith("."):
            raise LedgerError(
                f"{distributor_id!r} cannot be the name of a ledger folder: choose another id."
            )
        if distributor_id.casefold() in (RELEASES, disputes.FILE, heads.FILE):
            raise LedgerError(f"A distributor cannot be called {distributor_id!r}: choose an id.")
        for other in self.distributors():
            if other != distributor_id and other.casefold() == distributor_id.casefold():
                raise LedgerError(
                    f"Distributors {other!r} and {distributor_id!r} differ only in case and would "
                    "share one number series. Rename the new one in seeds/distributors.csv."
                )

    def _file_fault(
        self, path: Path, data: bytes, document: Document, before: list[_Entry]
    ) -> str | None:
        if document.to_bytes() != data:
            return "its bytes are not the canonical form of its content"
        if document.distributor_id != path.parent.name:
            return f"belongs to {document.distributor_id}"
        if path != self.document_path(path.parent.name, document.sequence):
            return f"its name does not match its sequence {document.sequence}"
        key = (document.billed_period, document.currency)
        live = _live(before).get(key)
        if live and not document.is_note:
            return f"a second document of {document.period} in {document.currency}"
        head = before[-1].head if before else Head()
        fault = _fault(head, document, self.roster_path(path.parent.name, document.sequence))
        if fault or not document.is_note:
            return fault
        earlier = [self.read(entry.path) for entry in before if entry.key == key]
        return _note_fault(document, earlier, self.read(live.path) if live else None)


def _fault(head: Head, document: Document, roster: Path) -> str | None:
    """Why `document` cannot follow `head`, or None. The one check of both append and verify."""
    content, provenance = document.content, document.provenance
    number = head.next_number(document.distributor_id) if content["kind"] != "nil" else None
    expected = [
        ("sequence", content["sequence"], head.next_sequence),
        ("number", content["number"], number),
        ("previous content hash", content["previous_content_sha256"], head.content_sha256),
        ("content hash", provenance["content_sha256"], sha256(canonical_json(content))),
        ("previous document hash", provenance["previous_document_sha256"], head.document_sha256),
    ]
    for what, is_value, should_be in expected:
        if is_value != should_be:
            return f"{what} is {is_value}, should be {should_be}"
    if not roster.is_file():
        return f"its roster {roster.name} is missing"
    if durable.file_sha256(roster) != content["roster"]["sha256"]:
        return f"the bytes of its roster {roster.name} are not the ones it was issued with"
    return _sum_fault(content)


def _sum_fault(content: JsonObject) -> str | None:
    """Lines add up to the total, customers to their line, and a nil document has no lines.

    What is payable is the total and its tax.
    """
    lines = content["lines"]
    if (content["kind"] == "nil") != (not lines):
        return f"a document of kind {content['kind']} with {len(lines)} lines"
    for position, line in enumerate(lines, start=1):
        if line["line_number"] != position:
            return f"line {position} has the number {line['line_number']}"
        for figure in ("quantity", "amount"):
            total = sum((Decimal(c[figure]) for c in line["customers"]), Decimal(0))
            if total != Decimal(line[figure]):
                return f"line {position}: customers add up to {total} {figure}, not {line[figure]}"
    total = sum((Decimal(line["amount"]) for line in lines), Decimal(0))
    if total != Decimal(content["totals"]["amount"]):
        return f"lines add up to {total}, not {content['totals']['amount']}"
    tax = content.get("tax")
    if tax and Decimal(tax["taxable_amount"]) != total:
        return f"{tax['taxable_amount']} is taxed, not the total of {total}"
    if tax and Decimal(tax["payable_amount"]) != total + Decimal(tax["tax_amount"]):
        return f"{tax['payable_amount']} is payable, not {total} and {tax['tax_amount']} of tax"
    return None


def _note_fault(document: Document, earlier: list[Document], live: Document | None) -> str | None:
    """Why a note cannot follow the documents of its billed period, or None for a good one.

    It corrects the document in force, credits no more than was billed (R25), is called by the
    sign of its total, and leaves nothing billed when it cancels (R24).
    """
    if not document.is_note:
        return None
    content = document.content
    named = (content["corrects"]["number"], content["corrects"]["sequence"])
    if named != ((live.number, live.sequence) if live else (None, None)):
        return (
            f"corrects {named[0] or named[1]}, but in force is {live.name if live else 'nothing'}"
        )
    if document.cancels and (live is None or document.cancels != live.number):
        return f"cancels {document.cancels}, but corrects {named[0]}"
    if live is None and not all(one.is_note for one in earlier):
        return f"corrects {document.billed_period}, whose invoice is cancelled: it is issued again"
    kind = DEBIT_NOTE if Decimal(content["totals"]["amount"]) > 0 else CREDIT_NOTE
    if document.kind != kind:
        return f"a {document.kind} of {content['totals']['amount']}"
    net: dict[tuple[str, str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for one in (*earlier, document):
        for line in (*one.content["lines"], *one.content["unused"]):
            for customer in line["customers"]:
                of_customer = net[line["partner_id"], line["product_code"], customer["customer_id"]]
                of_customer[0] += customer["quantity"]
                of_customer[1] += Decimal(customer["amount"])
    for (partner_id, product_code, customer_id), (quantity, amount) in net.items():
        where = f"{partner_id} {product_code} {customer_id}"
        if quantity < 0 or amount < 0:
            return f"credits more than was billed: {where} is left with {quantity} and {amount}"
        if document.cancels and (quantity or amount):
            return f"cancels, but leaves {where} with {quantity} and {amount}"
    return None


_PRODUCT = {
    "partner_id": "VARCHAR",
    "partner_name": "VARCHAR",
    "product_code": "VARCHAR",
    "product_name": "VARCHAR",
    "category": "VARCHAR",
    "billing_unit": "VARCHAR",
    "sku": "VARCHAR",
    "listing_order": "BIGINT",
}
_DOCUMENT = {
    "distributor_id": "VARCHAR",
    "sequence": "BIGINT",
    "period": "VARCHAR",
    "billed_period": "VARCHAR",
    "currency": "VARCHAR",
}
_TABLES = {
    "documents": {
        **_DOCUMENT,
        "number": "VARCHAR",
        "kind": "VARCHAR",
        "cancels": "VARCHAR",
        "is_cancelled": "BOOLEAN",
        "cutoff_on": "DATE",
        "issue_on": "DATE",
        "due_on": "DATE",
        "total_amount": "DECIMAL(18, 3)",
        "tax_category": "VARCHAR",
        "tax_rate": "DECIMAL(18, 6)",
        "tax_reason": "VARCHAR",
        "tax_amount": "DECIMAL(18, 3)",
        "payable_amount": "DECIMAL(18, 3)",
        "policies": "VARCHAR",
        "content_sha256": "VARCHAR",
        "version_set_sha256": "VARCHAR",
    },
    "lines": {
        **_DOCUMENT,
        "line_number": "BIGINT",
        "corrects_line": "BIGINT",
        **_PRODUCT,
        "quantity": "BIGINT",
        "unit_price": "DECIMAL(18, 6)",
        "bands": "VARCHAR",
        "causes": "VARCHAR",
        "amount": "DECIMAL(18, 3)",
    },
    "customers": {
        **_DOCUMENT,
        **_PRODUCT,
        "customer_id": "VARCHAR",
        "customer_name": "VARCHAR",
        "licence_type": "VARCHAR",
        "owner": "VARCHAR",
        "quantity": "BIGINT",
        "amount": "DECIMAL(18, 3)",
    },
}
# The columns of a roster file (`invoicing.roster`) that belong to the unit, and of these what says
# whether it was billed. The file's own line number is the draft's: that of a note differs.
_ROSTER = {
    "partner_id": "VARCHAR",
    "product_code": "VARCHAR",
    "customer_id": "VARCHAR",
    "unit_kind": "VARCHAR",
    "unit_id": "VARCHAR",
    "is_counted": "BOOLEAN",
    "reason": "VARCHAR",
    "last_device_id": "VARCHAR",
    "device_count": "BIGINT",
    "last_active_on": "DATE",
    "active_on": "DATE[]",
    "source_feed": "VARCHAR",
    "source_snapshot_date": "DATE",
    "source_name": "VARCHAR",
    "source_row": "BIGINT",
}
_BILLED = tuple(_ROSTER)[:7]


def _table_rows(document: Document, is_cancelled: bool) -> dict[str, list[JsonObject]]:
    """A document as rows of the tables above; money stays the document's own text."""
    content = document.content
    groups = [*content["lines"], *content["unused"]]
    tax = content.get("tax") or {}
    head = {
        "cancels": None,
        **content,
        **content["dates"],
        "distributor_id": document.distributor_id,
        "billed_period": document.billed_period,
        "is_cancelled": is_cancelled,
        "total_amount": content["totals"]["amount"],
        "tax_category": tax.get("category"),
        "tax_rate": tax.get("rate"),
        "tax_reason": tax.get("reason"),
        "tax_amount": tax.get("tax_amount"),
        "payable_amount": tax.get("payable_amount"),
        "policies": canonical_json(content["policies"]).decode().rstrip(),
        "content_sha256": document.provenance["content_sha256"],
        "version_set_sha256": document.provenance["version_set_sha256"],
    }
    lines = [
        {
            "corrects_line": None,
            **head,
            **line,
            "bands": json.dumps(line["bands"]),
            "causes": json.dumps(line["causes"]) if line.get("causes") else None,
        }
        for line in content["lines"]
    ]
    values = {
        "documents": [head],
        "lines": lines,
        "customers": [
            {**head, **group, **customer} for group in groups for customer in group["customers"]
        ],
    }
    return {
        table: [{column: row[column] for column in columns} for row in values[table]]
        for table, columns in _TABLES.items()
    }


def _rosters_view(
    name: str,
    key: tuple[str, ...],
    columns: tuple[str, ...],
    rosters: Mapping[tuple[str | int, ...], Path],
) -> str:
    """These columns of the roster files, each with its key, read when asked for.

    A view, because a roster can have millions of rows and is looked at only where something has
    to be corrected or shown. Every `load_into` makes it anew, so a home can be moved.
    """
    if not rosters:
        types = {**_DOCUMENT, **_ROSTER}
        nothing = ", ".join(f"null::{types[column]} as {column}" for column in (*key, *columns))
        return f"create or replace view ledger.{name} as select {nothing} where false"
    missing = [str(path) for path in rosters.values() if not path.is_file()]
    if missing:
        raise LedgerError(f"{missing[0]} is missing. Restore the ledger from its backup.")

    def literal(value: str | int) -> str:
        return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"

    keys = ", ".join(
        f"({', '.join(literal(part) for part in (str(path), *values))})"
        for values, path in rosters.items()
    )
    paths = ", ".join(literal(str(path)) for path in rosters.values())
    shown = ", ".join(
        [f"keys.{column}::{_DOCUMENT[column]} as {column}" for column in key]
        + [f"roster.{column}" for column in columns]
    )
    return f"""
        create or replace view ledger.{name} as
        select {shown}
        from read_parquet([{paths}], filename = true) as roster
        inner join (values {keys}) as keys (path, {", ".join(key)}) on roster.filename = keys.path
    """


def _insert(conn: duckdb.DuckDBPyConnection, table: str, found: list[JsonObject]) -> None:
    """Rows travel as one JSON text: fast for many, and decimals are read from their digits."""
    conn.execute(
        f"insert into ledger.{table} by name select unnest(from_json(?::json, ?), max_depth := 2)",
        [json.dumps(found), json.dumps([_TABLES[table]])],
    )
