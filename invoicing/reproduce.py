"""An issued document made once more and compared with what was issued, byte for byte (R26).

Filling a warehouse with the versions it names is the caller's; the ledger it is in is only read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from invoicing import content, documents, draft, durable, gate, notes
from invoicing.canonical import canonical_json, sha256
from invoicing.ledger import Document, Ledger

_SHOWN_CHARACTERS = 100


class NotReproducibleError(RuntimeError):
    """The document cannot be made again; the message says what is missing."""


class UnknownDocumentError(ValueError):
    """There is no such document, or more than one; the message says what there is."""


@dataclass(frozen=True)
class Difference:
    """The first value that differs, by its JSON path from `$`, the content; both as JSON text."""

    path: str
    expected: str
    found: str


@dataclass(frozen=True)
class Reproduction:
    """What was issued (`expected`) beside what was made now (`found`).

    `roster_rows_different` counts the rows that only one of the two rosters has: 0 with different
    hashes means that another DuckDB wrote the same rows in other bytes.
    """

    content_sha256_expected: str
    content_sha256_found: str
    roster_sha256_expected: str
    roster_sha256_found: str
    roster_rows_different: int
    first_difference: Difference | None

    @property
    def is_identical(self) -> bool:
        return (self.content_sha256_expected, self.roster_sha256_expected) == (
            self.content_sha256_found,
            self.roster_sha256_found,
        )


def find(ledger: Ledger, reference: str) -> Document:
    """The document that `reference` names: a number, or `PERIOD DISTRIBUTOR [CURRENCY]`.

    Raises UnknownDocumentError in words.
    """
    words = reference.split()
    if len(words) == 1:
        document = ledger.numbered(words[0])
        if document is None:
            raise UnknownDocumentError(
                f"No document has the number {words[0]}. `muster status` lists them; a nil "
                "document has none: give PERIOD DISTRIBUTOR."
            )
        return document
    if len(words) not in (2, 3):
        raise UnknownDocumentError(
            f"{reference!r} names no document. Give a number (ALPENLAND-000001) or PERIOD "
            "DISTRIBUTOR [CURRENCY] (2026-01 alpenland)."
        )
    period, distributor_id = words[:2]
    found = [
        document
        for document in ledger.documents(distributor_id)
        if document.period == period
        and words[2:] in ([], [document.currency])
        and document == ledger.issued(period, distributor_id, document.currency)
    ]
    if not found:
        raise UnknownDocumentError(f"{reference} is not issued. `muster status` lists what is.")
    if len(found) > 1:
        names = ", ".join(f"{document.name} ({document.currency})" for document in found)
        raise UnknownDocumentError(
            f"{reference} is more than one document, give its number: {names}"
        )
    return found[0]


def documents_known(document: Document) -> dict[str, int]:
    """The ledger its draft was computed with: the last sequence of each distributor.

    Raises NotReproducibleError when its provenance does not say.
    """
    if document.cancels:  # it is made from the documents before it, and from nothing else
        return {document.distributor_id: document.sequence - 1}
    known: dict[str, int] | None = document.provenance.get("ledger")
    if known is None:
        raise NotReproducibleError(
            f"{document.name} does not record which documents its draft was computed with; it was "
            "issued by an earlier version. It can be verified, not made again."
        )
    if known.get(document.distributor_id, 0) >= document.sequence:
        raise NotReproducibleError(
            f"{document.name} says its draft knew document {known[document.distributor_id]} of its "
            "own chain, which came no earlier than itself. Restore the ledger from its backup."
        )
    return known


def other_versions(document: Document) -> list[str]:
    """In words, the packages that made the document in another version than is installed."""
    made_with, installed = document.provenance["versions"], content.installed_versions()
    return [
        f"made with {package} {made_with.get(package)}, this is {version}"
        for package, version in installed.items()
        if made_with.get(package) != version
    ]


def of_the_same_run(ledger: Ledger, document: Document) -> list[Document]:
    """What was computed together with a document and issued up to it: its run's notes and invoices.

    Each is the next one after those its draft knew, so they are made again in this order.
    """
    first = documents_known(document).get(document.distributor_id, 0) + 1
    return [
        one
        for one in ledger.documents(document.distributor_id)
        if first <= one.sequence <= document.sequence
    ]


def reissue(conn: duckdb.DuckDBPyConnection, ledger: Ledger, run: Sequence[Document]) -> Document:
    """The last document of `run`, computed from `conn` and written to another `ledger`.

    `conn` holds the drafts of the versions and documents it names, `ledger` the documents it knew.
    Issue and due date and who released it are as recorded, all else is computed.
    Raises NotReproducibleError when these versions do not give such a document.
    """
    wanted = run[-1]
    currencies = {one.currency: one for one in run}
    for invoice in draft.invoices(conn, wanted.period):
        corrections = draft.notes(conn, wanted.period, invoice.distributor_id, invoice.currency)
        goes_out = {invoice.currency, *(note.currency for note in corrections)}
        if invoice.distributor_id == wanted.distributor_id and goes_out & set(currencies):
            recorded = currencies.get(invoice.currency, wanted)
            gate.release_again(ledger, recorded, invoice, corrections)
    formats = {one.sequence: one.content["format"] for one in run}
    documents.issue(conn, ledger, wanted.period, formats)
    path = ledger.document_path(wanted.distributor_id, wanted.sequence)
    if not path.exists():
        raise NotReproducibleError(
            f"The versions {wanted.name} names give no such document: nothing is drafted for "
            f"{wanted.period} {wanted.distributor_id} {wanted.currency} from them. Try "
            "the version of Musterhouse that its provenance names."
        )
    return Document.from_bytes(path.read_bytes())


def take_back_again(ledger: Ledger, document: Document) -> Document:
    """The same cancellation, made in another `ledger` of the documents before it."""
    assert document.cancels is not None, "only a cancellation is made from the ledger alone"
    return notes.cancel(
        ledger,
        document.cancels,
        reason=document.content["reason"],
        by=document.provenance["released_by"],
        on=date.fromisoformat(document.content["dates"]["issue_on"]),
        format_=document.content["format"],
    )


def compare(issued: Document, roster: Path, again: Document, roster_again: Path) -> Reproduction:
    """What was issued beside what was made again, hashed from the bytes and not taken on trust."""
    return Reproduction(
        content_sha256_expected=sha256(canonical_json(issued.content)),
        content_sha256_found=sha256(canonical_json(again.content)),
        roster_sha256_expected=durable.file_sha256(roster),
        roster_sha256_found=durable.file_sha256(roster_again),
        roster_rows_different=_rows_different(roster, roster_again),
        first_difference=first_difference(issued.content, again.content),
    )


def first_difference(expected: Any, found: Any, path: str = "$") -> Difference | None:
    """The first place, in the order of the document, where two JSON values are not the same text.

    The order of keys counts: it is part of the canonical bytes.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected:
            if key not in found:
                return Difference(f"{path}.{key}", _shown(expected[key]), "missing")
            inside = first_difference(expected[key], found[key], f"{path}.{key}")
            if inside:
                return inside
        if list(expected) != list(found):
            return Difference(path, f"keys {_shown(list(expected))}", f"keys {_shown(list(found))}")
        return None
    if isinstance(expected, list) and isinstance(found, list):
        for index, (one, other) in enumerate(zip(expected, found, strict=False)):
            inside = first_difference(one, other, f"{path}[{index}]")
            if inside:
                return inside
        if len(expected) != len(found):
            index = min(len(expected), len(found))
            ends = [
                _shown(values[index]) if index < len(values) else "missing"
                for values in (expected, found)
            ]
            return Difference(f"{path}[{index}]", *ends)
        return None
    if json.dumps(expected) == json.dumps(found):
        return None
    return Difference(path, _shown(expected), _shown(found))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _rows_different(roster: Path, other: Path) -> int:
    with duckdb.connect() as conn:
        return int(
            conn.execute(
                """
                with
                    one as (select to_json(units) as unit from read_parquet(?) as units),

                    two as (select to_json(units) as unit from read_parquet(?) as units),

                    different as (
                        (select * from one except all select * from two)
                        union all
                        (select * from two except all select * from one)
                    )

                select count(*) from different
                """,
                [str(roster), str(other)],
            ).fetchall()[0][0]
        )
