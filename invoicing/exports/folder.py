"""Puts the files of a distributor's documents into their folder, all at once, manifest last.

Which files there are and where they go; what is in one is the business of its own module.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from invoicing import durable
from invoicing.canonical import sha256
from invoicing.exports.discrepancies import discrepancies_csv
from invoicing.exports.exported import ExportedFile
from invoicing.exports.focus import focus
from invoicing.exports.invoice import invoice_csv, invoice_json
from invoicing.exports.managed_customer_usage import managed_customer_usage
from invoicing.exports.note import note_csv, note_json, note_statements
from invoicing.exports.papers import invoice_pdf, note_pdf, statements_pdf
from invoicing.exports.psa_additions import psa_additions
from invoicing.exports.standing import MANIFEST, OWN, is_own, own_file
from invoicing.exports.statement import statements
from invoicing.exports.ubl import obstacle, ubl_xml
from invoicing.exports.usage import usage_csv
from invoicing.exports.workbooks import invoice_xlsx, note_xlsx, statements_xlsx
from invoicing.ledger import Document, Ledger

FORMAT = "musterhouse-manifest/2"


@dataclass(frozen=True)
class Rendered:
    """The folder of a distributor and period; `is_changed` is false when it was right already."""

    folder: Path
    files: tuple[str, ...]
    is_changed: bool


def render(ledger: Ledger, document: Document, exports_root: Path) -> Rendered:
    """Write `<exports_root>/<period>/<distributor_id>/` from the ledger.

    The invoice of the period that is in force is the folder itself; one in another currency gets a
    sub-folder named after it. Notes of the run, and an invoice that was cancelled, are files with
    their number in the name. The FOCUS files and the manifest speak for all. A folder with these
    very bytes is left untouched; any other is replaced by a rename. Run again, the bytes are the
    same.
    Raises LedgerError when a roster is not the one its document was issued with.
    """
    distributor_id, period = document.distributor_id, document.period
    files = _files(ledger, [d for d in ledger.documents(distributor_id) if d.period == period])
    folder = exports_root / period / distributor_id
    paths = tuple(file.path for file in files)
    # Ids begin with a letter or digit, so these names are no distributor's.
    new = folder.with_name(f".{distributor_id}.new")
    aside = folder.with_name(f".{distributor_id}.old")
    for leftover in (new, aside):
        if leftover.exists():
            shutil.rmtree(leftover)
    if _is_same(folder, files):
        return Rendered(folder, paths, is_changed=False)
    durable.make_directory(new)
    for file in files:
        _write(new, file)
    durable.replace_directory(new, folder, aside)
    return Rendered(folder, paths, is_changed=True)


def render_period(ledger: Ledger, period: str, exports_root: Path) -> list[Rendered]:
    """Write the folder of every distributor with a document of the period, and the vendor's own.

    `<exports_root>/<period>/_vendor/` holds what speaks of all distributors at once. Raises as
    `render`, and OSError when something cannot be written.
    """
    documents = [one for one in ledger.documents() if one.period == period]
    of_distributor = {one.distributor_id: one for one in documents}
    rendered = [render(ledger, document, exports_root) for document in of_distributor.values()]
    file = own_file(documents)
    path = exports_root / period / OWN / file.path
    assert isinstance(file.body, bytes)
    if documents and not is_own(file, path.parent):
        durable.write_file(path, file.body)
    return rendered


def expected(ledger: Ledger) -> dict[str, str]:
    """The SHA-256 of every file the exports of this ledger consist of, by path; manifests last.

    A period's folder is in it as soon as the period has a document, so also before it is rendered.
    """
    files: dict[str, str] = {}
    of_period: dict[str, list[Document]] = defaultdict(list)
    for distributor_id in ledger.distributors():
        by_period: dict[str, list[Document]] = defaultdict(list)
        for document in ledger.documents(distributor_id):
            by_period[document.period].append(document)
        for period, documents in by_period.items():
            of_period[period] += documents
            for file in _files(ledger, documents):
                files[f"{period}/{distributor_id}/{file.path}"] = _sha256(file)
    for period, documents in sorted(of_period.items()):
        own = own_file(documents)
        files[f"{period}/{OWN}/{own.path}"] = _sha256(own)
    return files


def _files(ledger: Ledger, documents: list[Document]) -> list[ExportedFile]:
    cancelled = {document.cancels for document in documents if document.cancels}
    in_force = [one for one in documents if not one.is_note and one.number not in cancelled]
    files: list[ExportedFile] = []
    for position, invoice in enumerate(in_force):
        place = f"{invoice.currency}/" if position else ""
        # Pages of what is in force only: nobody is handed those of an invoice that was cancelled.
        own = (*_invoice(ledger, invoice), *managed_customer_usage(ledger, invoice))
        files += (replace(file, path=place + file.path) for file in own)
    for one in documents:
        if one.is_note:
            files += _note(ledger, one)
        elif one.number in cancelled:
            files += _named(f"cancelled_invoice_{one.number}", _invoice(ledger, one))
    files += focus([document.content for document in documents])
    return [*files, _manifest(documents, cancelled, files)]


def _invoice(ledger: Ledger, document: Document) -> list[ExportedFile]:
    content = document.content
    ubl = _ubl(document)
    return [
        invoice_json(content),
        invoice_csv(content),
        invoice_xlsx(content),
        invoice_pdf(content, _attached(ubl)),
        usage_csv(content),
        _roster(ledger, document),
        discrepancies_csv(content),
        *ubl,
        *statements(content),
        *statements_xlsx(content),
        *statements_pdf(content),
        *psa_additions(content),
    ]


def _note(ledger: Ledger, document: Document) -> list[ExportedFile]:
    content = document.content
    ubl = _ubl(document, preceding(ledger, document))
    files = [
        note_json(content),
        note_csv(content),
        note_xlsx(content),
        note_pdf(content, _attached(ubl)),
        *ubl,
        _roster(ledger, document),
    ]
    return [*_named(f"{document.kind}_{document.number}", files), *note_statements(content)]


def _ubl(document: Document, preceding: tuple[str, ...] = ()) -> list[ExportedFile]:
    is_invoice = document.kind != "nil" and obstacle(document.content) is None
    return [ubl_xml(document.content, preceding)] if is_invoice else []


def _attached(files: list[ExportedFile]) -> dict[str, bytes]:
    """The e-invoice travels inside the page that shows it."""
    return {file.path: file.body for file in files if isinstance(file.body, bytes)}


def preceding(ledger: Ledger, note: Document) -> tuple[str, ...]:
    """The invoice a note corrects; where none was issued, the notes that billed its period."""
    number = note.content["corrects"]["number"]
    if number:
        return (number,)
    key = (note.billed_period, note.distributor_id, note.currency)
    before = (one for one in ledger.of_period(*key) if one.sequence < note.sequence)
    return tuple(one.number for one in before if one.number)


def _not_representable(documents: Sequence[Document]) -> list[dict[str, str | None]]:
    """The documents that have no e-invoice, and why."""
    return [
        {"document": one.number, "reason": reason}
        for one in documents
        if one.kind != "nil" and (reason := obstacle(one.content))
    ]


def _named(name: str, files: Iterable[ExportedFile]) -> list[ExportedFile]:
    """`note.csv` as `<name>.csv`, `roster.parquet` as `<name>.roster.parquet`, and so on.

    Statements of a cancelled invoice are left out: a partner is handed what is in force.
    """
    named = []
    for file in files:
        stem, _, suffix = file.path.partition(".")
        middle = "" if stem in ("invoice", "note") else f".{stem}"
        if "/" not in file.path:
            named.append(replace(file, path=f"{name}{middle}.{suffix}"))
    return named


def _roster(ledger: Ledger, document: Document) -> ExportedFile:
    proof = document.content["roster"]
    path = ledger.roster(document)
    return ExportedFile("roster.parquet", path, proof["rows"], {"counted": proof["counted"]})


def _manifest(
    documents: list[Document], cancelled: set[str], files: list[ExportedFile]
) -> ExportedFile:
    value = {
        "format": FORMAT,
        "distributor_id": documents[0].distributor_id,
        "period": documents[0].period,
        "documents": [
            {
                "kind": document.kind,
                "number": document.number,
                "state": "cancelled" if document.number in cancelled else "issued",
                "sequence": document.sequence,
                "billed_period": document.billed_period,
                "currency": document.currency,
                "amount": document.content["totals"]["amount"],
                **_taxed(document),
                "content_sha256": document.provenance["content_sha256"],
                "previous_content_sha256": document.content["previous_content_sha256"],
            }
            for document in documents
        ],
        "files": [
            {
                "file": file.path,
                "rows": file.rows,
                "sha256": _sha256(file),
                "totals": file.totals,
            }
            for file in files
        ],
        "not_representable": _not_representable(documents),
    }
    # For people as well, and small: the one JSON file that is laid out.
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    return ExportedFile(MANIFEST, text.encode("utf-8"), rows=len(files))


def _taxed(document: Document) -> dict[str, str]:
    """Nothing for a document without tax: its manifest stays what it was."""
    tax = document.content.get("tax")
    return {name: tax[name] for name in ("tax_amount", "payable_amount")} if tax else {}


def _sha256(file: ExportedFile) -> str:
    return sha256(file.body) if isinstance(file.body, bytes) else durable.file_sha256(file.body)


def _is_same(folder: Path, files: list[ExportedFile]) -> bool:
    if not (folder / MANIFEST).is_file():
        return False
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return present == {file.path for file in files} and all(
        durable.file_sha256(folder / file.path) == _sha256(file) for file in files
    )


def _write(folder: Path, file: ExportedFile) -> None:
    """Every path stays inside its folder, whatever an id looks like."""
    path = folder / file.path
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{file.path!r} would leave the export folder; correct the id in it")
    size = len(file.body) if isinstance(file.body, bytes) else file.body.stat().st_size
    with durable.needing(path, size):
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(file.body, bytes):
            path.write_bytes(file.body)
        else:
            # A copy, not a link: whoever edits an export must not reach the ledger.
            shutil.copyfile(file.body, path)
