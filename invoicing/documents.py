"""Turns released drafts into ledger documents: what an invoice says, in its one fixed order.

Content and issuing. Whether a draft may be issued is `gate`; how it is stored is `ledger`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import duckdb

from invoicing import draft, gate, notes, redaction, roster
from invoicing.canonical import (
    JsonObject,
    money_text,
    parse_list,
    price_text,
)
from invoicing.content import (
    FORMAT,
    PRODUCT,
    band_in_text,
    in_format,
    provenance_of,
    roster_proof,
    sum_if_known,
    tax_of,
    totals_of,
)
from invoicing.draft import DraftInvoice, DraftNote, Row, rows
from invoicing.ledger import Document, Head, Ledger

_CUSTOMER = (
    "customer_id",
    "customer_name",
    "licence_type",
    "owner",
    "quantity",
    "calendar_month_units",
    "joined",
    "left_since",
)
# The lines of an invoice, and the products nobody used.
Groups = tuple[list[JsonObject], list[JsonObject]]
_TEXTS = ("expected", "found", "evidence", "action", "waiver_reason")


def issue(
    conn: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    period: str,
    formats: Mapping[int, str] | None = None,
) -> list[Document]:
    """Write the ledger documents of each distributor that is released and not yet issued.

    The notes of earlier periods come first, then the invoice: it is the mark that the run is
    done, so a crash in between leaves a run that still has to be, never half a one (R25).
    Returns the documents written now, by distributor and currency; none on a rerun. A crash
    leaves whole documents only, and the next call writes the rest. `formats` is for documents that
    are made again: by sequence, the format each was issued in (R26).
    Raises gate.StaleDraftError when the draft is no longer the one that was released, or documents
    were written since notes were drafted, and ledger.LedgerError when a document would not fit its
    chain.
    """
    ledger.recover()
    due: list[tuple[DraftInvoice, gate.Release, list[DraftNote]]] = []
    for invoice in draft.invoices(conn, period):
        key = (period, invoice.distributor_id, invoice.currency)
        release = gate.recorded(ledger, *key)
        if release is None or release.state != "released" or ledger.issued(*key):
            continue
        gate.check_fresh(invoice, draft.current_version_set(conn))
        gate.check_released(invoice, release)
        corrections = draft.notes(conn, *key)
        if corrections:
            gate.check_ledger(conn, ledger, invoice)
        due.append((invoice, release, corrections))
    written: list[Document] = []
    for invoice, release, corrections in due:
        for one in corrections:
            written.append(notes.correction(conn, ledger, invoice, one, release, formats))
            ledger.append(written[-1])
        written.append(_document(conn, ledger, invoice, release, formats))
        ledger.append(written[-1])
    return written


def drafted(
    conn: duckdb.DuckDBPyConnection, ledger: Ledger, invoice: DraftInvoice
) -> list[Document]:
    """What a run would issue of a draft, the notes first: as far as it is sent to anybody.

    For who looks before it is decided: no roster is written, so the proof is left out, and so is
    what only ourselves read. Nothing of it is a link of the chain.
    """
    corrections = draft.notes(conn, invoice.period, invoice.distributor_id, invoice.currency)
    release = gate.proposed(invoice, corrections)
    head = ledger.head(invoice.distributor_id)
    found = []
    for one in corrections:
        found.append(Document(notes.content_of(conn, invoice, one, release, head, {}), {}))
        head = replace(head, sequence=head.sequence + 1, numbered=head.numbered + 1)
    lines = lines_of(conn, invoice)
    return [*found, Document(_billed(conn, invoice, release, head, lines), {})]


def _document(
    conn: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    invoice: DraftInvoice,
    release: gate.Release,
    formats: Mapping[int, str] | None,
) -> Document:
    """The next document of a distributor; its roster is written to where the ledger expects it."""
    head = ledger.head(invoice.distributor_id)
    path = ledger.staged_roster_path(invoice.distributor_id)
    size = roster.write(conn, invoice.period, invoice.distributor_id, invoice.currency, path)
    found = _discrepancies(conn, invoice)
    format_ = (formats or {}).get(head.next_sequence, FORMAT)
    lines = lines_of(conn, invoice, format_)
    proof = roster_proof(size, path)
    content = in_format(_content(conn, invoice, release, head, found, lines, proof), format_)
    return Document(content, provenance_of(conn, invoice, release, head, content, found))


def _content(
    conn: duckdb.DuckDBPyConnection,
    invoice: DraftInvoice,
    release: gate.Release,
    head: Head,
    discrepancies: list[Row],
    lines: Groups,
    proof: JsonObject,
) -> JsonObject:
    billed = _billed(conn, invoice, release, head, lines)
    sums = {name: billed.pop(name) for name in ("totals", "tax")}
    redact = redaction.redactor_for(conn, invoice.distributor_id)
    return {
        **billed,
        "not_billed": _not_billed(conn, invoice),
        "managed_customers": managed_customers(conn, invoice),
        "psa_changes": _psa_changes(conn, invoice),
        "discrepancies": [_discrepancy(row, redact, invoice.minor_units) for row in discrepancies],
        **sums,
        "roster": proof,
        "previous_content_sha256": head.content_sha256,
    }


def _billed(
    conn: duckdb.DuckDBPyConnection,
    invoice: DraftInvoice,
    release: gate.Release,
    head: Head,
    groups: Groups,
) -> JsonObject:
    """The invoice itself: who bills whom, for what, when and how much."""
    lines, unused = groups
    return {
        "format": FORMAT,
        "kind": "invoice" if lines else "nil",
        "number": head.next_number(invoice.distributor_id) if lines else None,
        "sequence": head.next_sequence,
        "period": invoice.period,
        "dates": {
            "period_starts_on": invoice.period_starts_on.isoformat(),
            "cutoff_on": invoice.cutoff_on.isoformat(),
            "window_starts_on": invoice.window_starts_on.isoformat(),
            "issue_on": release.issue_on,
            "due_on": release.due_on,
        },
        "seller": invoice.seller,
        "distributor": {"distributor_id": invoice.distributor_id, **invoice.distributor},
        "purchase_order": invoice.purchase_order,
        "buyer_reference": invoice.distributor_id,
        "currency": invoice.currency,
        "minor_units": invoice.minor_units,
        "policies": release.policies,
        "lines": lines,
        "unused": unused,
        "totals": totals_of(invoice.total_amount, invoice.minor_units, lines, unused),
        "tax": tax_of(invoice.total_amount, invoice.tax if lines else None, invoice.minor_units),
    }


def lines_of(
    conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice, format_: str = FORMAT
) -> Groups:
    """The lines of a draft with their customers, and the products without any use.

    The second list has the shape of the first with `line_number`, `unit_price` and the band null
    and every quantity 0: a customer with zero usage has no invoice line but is shown (R20).
    """
    key = [invoice.period, invoice.distributor_id, invoice.currency]
    customers: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows(
        conn,
        """
        select * from billing.draft_invoice_customers
        where period = ? and distributor_id = ? and currency = ?
        order by partner_id, listing_order, product_code, customer_id
        """,
        key,
    ):
        if format_ != FORMAT:
            row["calendar_month_units"] = row["whole_month_units"]
        customers[row["partner_id"], row["product_code"]].append(row)
    lines = []
    for row in rows(
        conn,
        """
        select * from billing.draft_invoice_lines
        where period = ? and distributor_id = ? and currency = ?
        order by line_number
        """,
        key,
    ):
        members = customers.pop((row["partner_id"], row["product_code"]), [])
        lines.append(_line(row, members, invoice.minor_units))
    unused = [_line(None, members, invoice.minor_units) for members in customers.values()]
    return lines, unused


def _line(line: Row | None, members: list[Row], minor_units: int) -> JsonObject:
    """One partner and product: an invoice line, or with `line` None a product nobody used."""
    named = members[0] if members else line
    assert named is not None, "a product without a line comes from its customers"
    price = line["unit_price"] if line else None
    amount = line["amount"] if line else Decimal(0)
    return {
        "line_number": line["line_number"] if line else None,
        "partner_id": named["partner_id"],
        "partner_name": named["partner_name"],
        **{column: named.get(column) for column in PRODUCT},
        "quantity": line["quantity"] if line else 0,
        "pricing_model": line["pricing_model"] if line else None,
        "unit_price": None if price is None else price_text(price, minor_units),
        "band_min": line["band_min"] if line else None,
        "band_max": line["band_max"] if line else None,
        "units_to_next_band": line["units_to_next_band"] if line else None,
        # A draft's line without one price has no bands either; it is held before it is a document.
        "bands": [band_in_text(band, minor_units) for band in parse_list(line["bands"])]
        if line and line["bands"]
        else [],
        "amount": money_text(amount, minor_units),
        "customer_count": line["customer_count"] if line else 0,
        "joined": sum_if_known(member["joined"] for member in members),
        "left_since": sum_if_known(member["left_since"] for member in members),
        "customers": [
            {
                **{column: member[column] for column in _CUSTOMER},
                "amount": money_text(member["amount"] or Decimal(0), minor_units),
            }
            for member in members
        ],
    }


def _not_billed(conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice) -> list[JsonObject]:
    return rows(
        conn,
        """
        select partner_id, customer_id, product_code, reason, units from billing.draft_not_billed
        where period = ? and distributor_id = ?
        order by partner_id nulls last, customer_id nulls last, product_code, reason
        """,
        [invoice.period, invoice.distributor_id],
    )


def _psa_changes(conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice) -> list[JsonObject]:
    """What each partner's PSA bills beside what it has to, by partner and agreement addition."""
    found = rows(
        conn,
        """
        select
            partner_id, psa, company_id, agreement_id, addition_id, product_id, customer_id,
            customer_name, product_code, action, from_quantity, to_quantity, unit_price,
            counted_on
        from billing.draft_psa_changes
        where period = ? and distributor_id = ? and currency = ?
        order by partner_id, psa, company_id, agreement_id nulls last, addition_id nulls last,
            product_code
        """,
        [invoice.period, invoice.distributor_id, invoice.currency],
    )
    return [
        {
            **row,
            # What the partner charges, in the PSA's own currency.
            "unit_price": None if row["unit_price"] is None else price_text(row["unit_price"], 2),
            "counted_on": row["counted_on"].isoformat(),
        }
        for row in found
    ]


def managed_customers(conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice) -> list[JsonObject]:
    """Every managed customer, product by product, whatever its licence (R11)."""
    return rows(
        conn,
        """
        select
            partner_id, partner_name, customer_id, customer_name, product_code, product_name,
            billing_unit, listing_order, licence_type, owner, licensed_quantity, active_units,
            billed_units
        from billing.draft_managed_customers
        where period = ? and distributor_id = ? and currency = ?
        order by partner_id, customer_id, listing_order nulls last, product_code
        """,
        [invoice.period, invoice.distributor_id, invoice.currency],
    )


def _discrepancies(conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice) -> list[Row]:
    """Those of this distributor. One without a distributor is nobody's to print."""
    return rows(
        conn,
        """
        select * from billing.draft_discrepancies
        where period = ? and distributor_id = ? and coalesce(currency, ?) = ?
        order by kind, partner_id nulls last, customer_id nulls last, product_code nulls last,
            discrepancy_id
        """,
        [invoice.period, invoice.distributor_id, invoice.currency, invoice.currency],
    )


def _discrepancy(row: Row, redact: redaction.Redactor, minor_units: int) -> JsonObject:
    stake = row["amount_at_stake"]
    texts = {column: redact(row[column]) for column in _TEXTS}
    return {
        "discrepancy_id": row["discrepancy_id"],
        "kind": row["kind"],
        "severity": row["severity"],
        "state": row["state"],
        "partner_id": redact(row["partner_id"]),
        "customer_id": redact(row["customer_id"]),
        "product_code": row["product_code"],
        "expected": texts["expected"],
        "found": texts["found"],
        "amount_at_stake": None if stake is None else price_text(stake, minor_units),
        "currency": row["currency"],
        "evidence": texts["evidence"],
        "action": texts["action"],
        "decision": row["decision"],
        "waiver_reason": texts["waiver_reason"],
    }
