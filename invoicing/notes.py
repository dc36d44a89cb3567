"""Credit and debit notes: corrections of what was billed (R25), and invoices taken back (R24).

What a note says. Which differences there are is computed by the marts; issuing is `documents`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import duckdb

from invoicing import gate, roster
from invoicing.canonical import (
    JsonObject,
    canonical_json,
    money_text,
    parse_list,
    price_text,
    sha256,
)
from invoicing.content import (
    FORMAT,
    PARTNER,
    PRODUCT,
    band_in_text,
    in_format,
    provenance_of,
    roster_proof,
    tax_of,
    totals_of,
)
from invoicing.draft import DraftInvoice, DraftNote, Row, rows
from invoicing.ledger import CREDIT_NOTE, FOLLOWS, Document, Head, Ledger, LedgerError

_NOTE_CUSTOMER = ("customer_id", "customer_name", "licence_type", "owner", "quantity")


def check_date(ledger: Ledger, number: str, on: date) -> None:
    """Raise LedgerError when a cancellation of this invoice would lie before the last document of
    its series (R20)."""
    invoice = ledger.numbered(number)
    last = ledger.last(invoice.distributor_id) if invoice else None
    if last and on < gate.earliest_date(ledger, last.distributor_id):
        raise LedgerError(
            f"{on} lies before the date of {last.name}, {last.content['dates']['issue_on']}: no "
            "document is dated before the one before it. Give --on that day or a later one."
        )


def cancel(
    ledger: Ledger, number: str, *, reason: str, by: str, on: date, format_: str = FORMAT
) -> Document:
    """Take an invoice back whole with a credit note; its period can then be issued again (R24).

    The note credits what is left of the invoice after all earlier notes, line by line, and its tax.
    `on` is the date printed on it, `format_` is for a note that is made again (R26).
    Raises ledger.LedgerError when there is no such invoice in force, or reason or name is empty or
    holds half a character.
    """
    if not all(
        text.strip() and text == text.encode(errors="ignore").decode() for text in (reason, by)
    ):
        raise LedgerError(
            "A cancellation needs a reason and a name in UTF-8: they stay in the ledger. Nothing "
            "was cancelled; give both."
        )
    ledger.recover()
    invoice = ledger.numbered(number)
    if invoice is None or invoice.kind != "invoice":
        raise LedgerError(f"{number} is not an invoice. `muster status` lists the invoices.")
    key = (invoice.period, invoice.distributor_id, invoice.currency)
    live = ledger.issued(*key)
    if live is None or live.number != number:
        raise LedgerError(
            f"{number} is cancelled already. Close {invoice.period} to issue it anew."
        )
    billed = ledger.of_period(*key)
    lines = _taken_back(billed, invoice)
    if not lines:
        raise LedgerError(
            f"Nothing is left of {number} to take back: its notes credited all of it."
        )
    total = sum((Decimal(line["amount"]) for line in lines), Decimal(0))
    head = ledger.head(invoice.distributor_id)
    like = ledger.roster_path(invoice.distributor_id, invoice.sequence)
    path = ledger.staged_roster_path(invoice.distributor_id)
    proof = roster_proof(roster.write_empty(like, path), path)
    content = {
        **_note_head(invoice.content, CREDIT_NOTE, head),
        "corrects": {
            "period": invoice.period,
            "number": number,
            "sequence": invoice.sequence,
        },
        "cancels": number,
        "reason": reason.strip(),
        "dates": {**invoice.content["dates"], "issue_on": on.isoformat(), "due_on": on.isoformat()},
        "policies": invoice.content["policies"],
        "lines": lines,
        "unused": [],
        "not_billed": [],
        "discrepancies": [],
        "totals": totals_of(total, invoice.content["minor_units"], lines, []),
        "tax": _tax_taken_back(billed, invoice, total),
        "roster": proof,
        "previous_content_sha256": head.content_sha256,
    }
    content = in_format(content, format_)
    provenance = {
        **invoice.provenance,
        "content_sha256": sha256(canonical_json(content)),
        "previous_document_sha256": head.document_sha256,
        FOLLOWS: head.ledger_sha256,
        "released_by": by.strip(),
        "waivers": [],
    }
    document = Document(content, provenance)
    # First: a crash in between leaves an invoice in force whose spent release nobody needs.
    gate.forget(ledger, *key)
    ledger.append(document)
    return document


def correction(
    conn: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    invoice: DraftInvoice,
    note: DraftNote,
    release: gate.Release,
    formats: Mapping[int, str] | None = None,
) -> Document:
    """The credit or debit note of one corrected period, with the roster as known now (R25).

    `formats` as in `documents.issue`.
    """
    head = ledger.head(invoice.distributor_id)
    path = ledger.staged_roster_path(invoice.distributor_id)
    size = roster.write(conn, note.period, note.distributor_id, note.currency, path)
    content = content_of(conn, invoice, note, release, head, roster_proof(size, path))
    content = in_format(content, (formats or {}).get(head.next_sequence, FORMAT))
    return Document(content, provenance_of(conn, invoice, release, head, content, []))


def content_of(
    conn: duckdb.DuckDBPyConnection,
    invoice: DraftInvoice,
    note: DraftNote,
    release: gate.Release,
    head: Head,
    proof: JsonObject,
) -> JsonObject:
    """What the note of one corrected period says; `proof` is of its roster."""
    lines = _note_lines(conn, note)
    parties = {
        "format": FORMAT,
        "period": invoice.period,
        "seller": invoice.seller,
        "distributor": {"distributor_id": invoice.distributor_id, **invoice.distributor},
        "purchase_order": invoice.purchase_order,
        "currency": note.currency,
        "minor_units": note.minor_units,
    }
    return {
        **_note_head(parties, note.kind, head),
        "corrects": {
            "period": note.period,
            "number": note.corrects_number,
            "sequence": note.corrects_sequence,
        },
        "cancels": None,
        "reason": None,
        "dates": {
            "period_starts_on": note.period_starts_on.isoformat(),
            "cutoff_on": note.cutoff_on.isoformat(),
            "window_starts_on": note.window_starts_on.isoformat(),
            "issue_on": release.issue_on,
            "due_on": release.due_on,
        },
        "policies": note.policies,
        "lines": lines,
        "unused": [],
        "not_billed": [],
        "discrepancies": [],
        "totals": totals_of(note.total_amount, note.minor_units, lines, []),
        "tax": tax_of(note.total_amount, note.tax, note.minor_units),
        "roster": proof,
        "previous_content_sha256": head.content_sha256,
    }


def _note_head(source: JsonObject, kind: str, head: Head) -> JsonObject:
    """The fields of a note that do not depend on what it corrects, from an invoice's content."""
    distributor_id = source["distributor"]["distributor_id"]
    return {
        "format": FORMAT,
        "kind": kind,
        "number": head.next_number(distributor_id),
        "sequence": head.next_sequence,
        "period": source["period"],
        "buyer_reference": distributor_id,
        **{
            name: source[name]
            for name in ("seller", "distributor", "purchase_order", "currency", "minor_units")
        },
    }


def _note_lines(conn: duckdb.DuckDBPyConnection, note: DraftNote) -> list[JsonObject]:
    key = [note.period, note.distributor_id, note.currency]
    where = "where period = ? and distributor_id = ? and currency = ?"
    customers: dict[int, list[Row]] = defaultdict(list)
    for row in rows(
        conn,
        f"select * from billing.draft_note_customers {where} order by line_number, customer_id",
        key,
    ):
        customers[row["line_number"]].append(row)
    places = note.minor_units
    return [
        {
            **{column: row[column] for column in ("line_number", "corrects_line", *PARTNER)},
            **{column: row[column] for column in PRODUCT},
            "quantity": row["quantity"],
            "pricing_model": row["pricing_model"],
            "unit_price": None
            if row["unit_price"] is None
            else price_text(row["unit_price"], places),
            "bands": [band_in_text(band, places) for band in parse_list(row["bands"])],
            "amount": money_text(row["amount"], places),
            "customer_count": row["customer_count"],
            "joined": None,
            "left_since": None,
            **_billed_and_known(row, places),
            "billed_unit_price": None
            if row["billed_unit_price"] is None
            else price_text(row["billed_unit_price"], places),
            "causes": _causes(row["causes"], places),
            "customers": [
                {
                    **{column: member[column] for column in _NOTE_CUSTOMER},
                    "amount": money_text(member["amount"], places),
                    **_billed_and_known(member, places),
                    "causes": _causes(member["causes"], places),
                }
                for member in customers[row["line_number"]]
            ],
        }
        for row in rows(
            conn, f"select * from billing.draft_note_lines {where} order by line_number", key
        )
    ]


def _billed_and_known(row: Row, minor_units: int) -> JsonObject:
    return {
        "billed_quantity": row["billed_quantity"],
        "billed_amount": money_text(row["billed_amount"], minor_units),
        "known_quantity": row["known_quantity"],
        "known_amount": money_text(row["known_amount"], minor_units),
    }


def _causes(text: str | None, minor_units: int) -> list[JsonObject]:
    return [
        {
            "cause": cause["cause"],
            "quantity": cause["quantity"],
            "amount": money_text(Decimal(cause["amount"]), minor_units),
        }
        for cause in parse_list(text or "[]")
    ]


def _taken_back(billed: list[Document], invoice: Document) -> list[JsonObject]:
    """The lines that leave nothing of a period's documents: every customer's sum, negated."""
    places = invoice.content["minor_units"]
    own_lines = {
        (line["partner_id"], line["product_code"]): line["line_number"]
        for line in invoice.content["lines"]
    }
    groups: dict[tuple[str, str], list[JsonObject]] = defaultdict(list)
    for document in billed:
        for line in document.content["lines"]:
            groups[line["partner_id"], line["product_code"]].append(line)
    taken: list[JsonObject] = []
    for key, lines in sorted(
        groups.items(), key=lambda item: (item[0][0], item[1][-1]["listing_order"], item[0][1])
    ):
        customers: dict[str, list[JsonObject]] = defaultdict(list)
        for line in lines:
            for customer in line["customers"]:
                customers[customer["customer_id"]].append(customer)
        members = [_taken_back_from(of_one, places) for _, of_one in sorted(customers.items())]
        members = [one for one in members if one["quantity"] or Decimal(one["amount"])]
        if not members:
            continue
        sums = {
            figure: sum((Decimal(one[figure]) for one in members), Decimal(0))
            for figure in ("quantity", "amount")
        }
        amount = money_text(sums["amount"], places)
        quantity = int(sums["quantity"])
        taken.append(
            {
                "line_number": len(taken) + 1,
                "corrects_line": own_lines.get(key),
                **{column: lines[-1][column] for column in (*PARTNER, *PRODUCT)},
                "quantity": quantity,
                "pricing_model": lines[-1]["pricing_model"],
                "unit_price": None,
                "bands": [],
                "amount": amount,
                "customer_count": len(members),
                "joined": None,
                "left_since": None,
                "billed_quantity": -quantity,
                "billed_amount": money_text(-sums["amount"], places),
                "known_quantity": 0,
                "known_amount": money_text(Decimal(0), places),
                "billed_unit_price": lines[-1]["unit_price"],
                "causes": [{"cause": "cancelled", "quantity": quantity, "amount": amount}],
                "customers": members,
            }
        )
    return taken


def _tax_taken_back(billed: list[Document], invoice: Document, total: Decimal) -> JsonObject | None:
    """All the tax of a period's documents, so that nothing is left of it either (R24).

    Each was rounded by itself, so this can be a cent off the rate of what is taken back.
    """
    tax, places = invoice.content.get("tax"), invoice.content["minor_units"]
    if tax is None:
        return None
    charged = sum((Decimal(one["tax_amount"]) for one in _taxes(billed)), Decimal(0))
    return {
        **{name: tax[name] for name in ("category", "rate", "reason")},
        "taxable_amount": money_text(total, places),
        "tax_amount": money_text(-charged, places),
        "payable_amount": money_text(total - charged, places),
    }


def _taxes(documents: list[Document]) -> list[JsonObject]:
    return [tax for document in documents if (tax := document.content.get("tax"))]


def _taken_back_from(billed: list[JsonObject], minor_units: int) -> JsonObject:
    quantity = sum(one["quantity"] for one in billed)
    amount = sum((Decimal(one["amount"]) for one in billed), Decimal(0))
    taken = money_text(-amount, minor_units)
    return {
        **{column: billed[-1][column] for column in _NOTE_CUSTOMER if column != "quantity"},
        "quantity": -quantity,
        "amount": taken,
        "billed_quantity": quantity,
        "billed_amount": money_text(amount, minor_units),
        "known_quantity": 0,
        "known_amount": money_text(Decimal(0), minor_units),
        "causes": [{"cause": "cancelled", "quantity": -quantity, "amount": taken}],
    }
