"""Credit and debit notes: they follow what was billed, and an invoice can be taken back whole."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from billing_marts import Warehouse, add_period, correct_january

from invoicing import documents, gate, notes
from invoicing.canonical import canonical_json, sha256
from invoicing.content import WITHOUT_TAX
from invoicing.exports import render
from invoicing.ledger import Document, Ledger, LedgerError
from invoicing.verify import checks_of

Close = Callable[[Warehouse, Ledger, str], list[Document]]
MARCH = date(2026, 3, 5)


@pytest.fixture
def february(january: Warehouse, ledger: Ledger, close: Close) -> Warehouse:
    """January is issued; February's run is drafted, with a credit note of 0.34 for January."""
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    correct_january(january)
    return january


def test_a_note_goes_out_before_the_invoice_of_its_run(
    february: Warehouse, ledger: Ledger, close: Close
) -> None:
    close(february, ledger, "2026-02")
    first, note, second = ledger.documents("alpenland")
    assert (note.kind, note.number, second.number) == (
        "credit_note",
        "ALPENLAND-000002",
        "ALPENLAND-000003",
    )
    assert (note.period, note.billed_period) == ("2026-02", "2026-01")
    assert note.content["corrects"] == {
        "period": "2026-01",
        "number": "ALPENLAND-000001",
        "sequence": 1,
    }
    assert note.content["totals"]["amount"] == "-0.34"
    # The dates of the run it goes out with, the days of the period it corrects.
    assert note.content["dates"]["issue_on"] == second.content["dates"]["issue_on"]
    assert note.content["dates"]["cutoff_on"] == first.content["dates"]["cutoff_on"]
    (line,) = note.content["lines"]
    assert (line["corrects_line"], line["quantity"], line["amount"]) == (1, -1, "-0.34")
    assert [(c["customer_id"], c["quantity"], c["amount"]) for c in line["customers"]] == [
        ("C001", -1, "-0.33"),
        ("C002", 0, "-0.01"),
    ]
    assert line["customers"][0]["causes"] == [
        {"cause": "late_data", "quantity": -1, "amount": "-0.34"},
        {"cause": "reallocation", "quantity": 0, "amount": "0.01"},
    ]
    assert ledger.verify() is None
    release = gate.recorded(ledger, "2026-02", "alpenland", "EUR")
    assert release is not None
    assert release.notes == {"2026-01 EUR": "-0.34"}


def test_a_note_does_not_make_its_period_issued_twice(
    february: Warehouse, ledger: Ledger, close: Close
) -> None:
    close(february, ledger, "2026-02")
    invoice = ledger.issued("2026-01", "alpenland", "EUR")
    assert invoice is not None
    assert invoice.number == "ALPENLAND-000001"
    assert len(ledger.of_period("2026-01", "alpenland", "EUR")) == 2
    assert close(february, ledger, "2026-02") == []


def test_what_blocks_the_corrected_period_holds_the_run(
    february: Warehouse, ledger: Ledger, close: Close
) -> None:
    february.discrepancy("d1", "alpenland", period="2026-01")
    add_period(february, "2026-02", "sakura")
    written = close(february, ledger, "2026-02")
    assert [document.distributor_id for document in written] == ["sakura"]
    release = gate.recorded(ledger, "2026-02", "alpenland", "EUR")
    assert release is not None
    assert release.reasons[0].startswith("Its correction of 2026-01: unapproved_transfer: 1 open")


def test_notes_are_not_written_from_a_draft_that_does_not_know_the_last_document(
    january: Warehouse, ledger: Ledger, close: Close
) -> None:
    # As after a kill between note and invoice, when nobody drafted anew.
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    correct_january(january, known_ledger=0)
    gate.decide(january.conn, ledger, "2026-02", [])
    with pytest.raises(gate.StaleDraftError, match="Close 2026-02 again"):
        documents.issue(january.conn, ledger, "2026-02")
    assert ledger.head("alpenland").sequence == 1


def test_a_run_that_ended_between_note_and_invoice_keeps_its_record(
    february: Warehouse, ledger: Ledger, close: Close
) -> None:
    """Decided again on a draft that knows the note, the record is the one of a run in one go."""
    ledger.append(note_of(february, ledger))
    decided = gate.recorded(ledger, "2026-02", "alpenland", "EUR")
    for table in ("draft_notes", "draft_note_lines", "draft_note_customers"):
        february.conn.execute(f"delete from billing.{table}")
    (document,) = close(february, ledger, "2026-02")
    assert document.number == "ALPENLAND-000003"
    assert gate.recorded(ledger, "2026-02", "alpenland", "EUR") == decided
    assert decided is not None
    assert decided.notes == {"2026-01 EUR": "-0.34"}


def note_of(february: Warehouse, ledger: Ledger) -> Document:
    gate.decide(february.conn, ledger, "2026-02", [])
    (draft,) = documents.draft.notes(february.conn, "2026-02", "alpenland", "EUR")
    (invoice,) = (
        one
        for one in documents.draft.invoices(february.conn, "2026-02")
        if one.distributor_id == "alpenland"
    )
    release = gate.recorded(ledger, "2026-02", "alpenland", "EUR")
    assert release is not None
    return notes.correction(february.conn, ledger, invoice, draft, release)


def forged(document: Document, change: Callable[[dict[str, Any]], None]) -> Document:
    content = deepcopy(document.content)
    change(content)
    provenance = {**document.provenance, "content_sha256": sha256(canonical_json(content))}
    return Document(content, provenance)


def credit_more(content: dict[str, Any]) -> None:
    # C001 was billed 0.67.
    content["lines"][0]["customers"][0]["amount"] = "-0.68"
    content["lines"][0]["amount"] = content["totals"]["amount"] = "-0.69"
    content["tax"]["taxable_amount"] = content["tax"]["payable_amount"] = "-0.69"


def pay_without_tax(content: dict[str, Any]) -> None:
    content["tax"]["tax_amount"] = "-0.07"


def tax_another_amount(content: dict[str, Any]) -> None:
    content["tax"]["taxable_amount"] = "-0.35"


def call_it_debit(content: dict[str, Any]) -> None:
    content["kind"] = "debit_note"


def correct_another(content: dict[str, Any]) -> None:
    content["corrects"]["sequence"] = 7


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (credit_more, "credits more than was billed: P0001 EPSTD C001 is left with 1 and -0.01"),
        (pay_without_tax, "-0.34 is payable, not -0.34 and -0.07 of tax"),
        (tax_another_amount, "-0.35 is taxed, not the total of -0.34"),
        (call_it_debit, "a debit_note of -0.34"),
        (correct_another, "but in force is ALPENLAND-000001"),
    ],
)
def test_a_note_that_does_not_fit_what_was_billed_is_refused(
    february: Warehouse, ledger: Ledger, change: Callable[[dict[str, Any]], None], fault: str
) -> None:
    note = forged(note_of(february, ledger), change)
    with pytest.raises(LedgerError, match=fault):
        ledger.append(note)
    assert ledger.head("alpenland").sequence == 1


def test_a_cancelled_invoice_leaves_nothing_billed_and_can_be_issued_anew(
    february: Warehouse, ledger: Ledger, close: Close
) -> None:
    close(february, ledger, "2026-02")
    note = notes.cancel(ledger, "ALPENLAND-000001", reason="wrong price list", by="Ada", on=MARCH)
    # 47.35 were billed and 0.34 credited: 47.01 is left to take back.
    assert (note.number, note.content["totals"]["amount"]) == ("ALPENLAND-000004", "-47.01")
    assert note.content["reason"] == "wrong price list"
    assert note.provenance["released_by"] == "Ada"
    assert note.content["dates"]["issue_on"] == "2026-03-05"
    assert ledger.issued("2026-01", "alpenland", "EUR") is None
    billed: dict[str, float] = {}
    for document in ledger.of_period("2026-01", "alpenland", "EUR"):
        for line in document.content["lines"]:
            for customer in line["customers"]:
                cents = int(customer["amount"].replace(".", ""))
                billed[customer["customer_id"]] = billed.get(customer["customer_id"], 0) + cents
    assert set(billed.values()) == {0}
    # Its release is spent; only a new decision issues it again, under a new number.
    assert documents.issue(february.conn, ledger, "2026-01") == []
    (again,) = close(february, ledger, "2026-01")
    assert (again.number, again.kind) == ("ALPENLAND-000005", "invoice")
    assert ledger.issued("2026-01", "alpenland", "EUR") == again
    assert ledger.verify() is None


def test_the_next_period_waits_for_a_cancelled_one(
    february: Warehouse, ledger: Ledger, close: Close
) -> None:
    close(february, ledger, "2026-02")
    add_period(february, "2026-03")
    notes.cancel(ledger, "ALPENLAND-000001", reason="wrong", by="Ada", on=MARCH)
    held = gate.decide(february.conn, ledger, "2026-03", [])[0]
    assert held.reasons[0].startswith("2026-01 must be issued first")


def test_what_cannot_be_cancelled_is_told_in_words(
    february: Warehouse, ledger: Ledger, close: Close
) -> None:
    close(february, ledger, "2026-02")
    with pytest.raises(LedgerError, match="ALPENLAND-000002 is not an invoice"):
        notes.cancel(ledger, "ALPENLAND-000002", reason="x", by="Ada", on=MARCH)
    with pytest.raises(LedgerError, match="X-1 is not an invoice"):
        notes.cancel(ledger, "X-1", reason="x", by="Ada", on=MARCH)
    for reason in (" ", "\udcff"):
        with pytest.raises(LedgerError, match="needs a reason and a name"):
            notes.cancel(ledger, "ALPENLAND-000001", reason=reason, by="Ada", on=MARCH)
    assert list(ledger.leftovers()) == []
    notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=MARCH)
    with pytest.raises(LedgerError, match="cancelled already"):
        notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=MARCH)
    assert ledger.head("alpenland").sequence == 4


def test_a_cancellation_takes_back_the_tax_to_the_cent(
    january: Warehouse, ledger: Ledger, close: Close
) -> None:
    """Standard rate, 21 %: 47.35 x 0.21 = 9.9435, so 9.94; the note of -0.34: -0.0714, so -0.07.

    Left is -47.01 net. 21 % of it would be 9.8721, so 9.87, which is also what was charged:
    9.94 - 0.07. A second note of -0.02, -0.0042, so 0.00, would leave 46.99: 9.8679, and 9.87.
    """
    at_standard_rate(january, "draft_invoices", "9.94", "57.29")
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    correct_january(january)
    at_standard_rate(january, "draft_notes", "-0.07", "-0.41")
    close(january, ledger, "2026-02")
    cancelled = notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=MARCH)
    taxes = [one.content["tax"] for one in ledger.of_period("2026-01", "alpenland", "EUR")]
    assert [(one["category"], one["rate"], one["tax_amount"]) for one in taxes] == [
        ("S", "21.00", "9.94"),
        ("S", "21.00", "-0.07"),
        ("S", "21.00", "-9.87"),
    ]
    assert cancelled.content["tax"]["taxable_amount"] == "-47.01"
    assert cancelled.content["tax"]["payable_amount"] == "-56.88"
    assert sum(Decimal(one["payable_amount"]) for one in taxes) == 0


def test_the_tax_taken_back_is_what_was_charged_and_not_its_rate_again(
    january: Warehouse, ledger: Ledger, close: Close
) -> None:
    """At 16.5 %: 47.35 x 0.165 = 7.81275, so 7.81; the note of -0.34: -0.0561, so -0.06. 7.75.

    Of what is left, 47.01, the rate would be 7.75665, so 7.76: a cent more than was charged.
    """
    at_standard_rate(january, "draft_invoices", "7.81", "55.16", rate="16.5")
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    correct_january(january)
    at_standard_rate(january, "draft_notes", "-0.06", "-0.40", rate="16.5")
    one_user_less(january)
    close(january, ledger, "2026-02")
    cancelled = notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=MARCH)
    assert cancelled.content["tax"]["rate"] == "16.50"
    assert cancelled.content["tax"]["tax_amount"] == "-7.75"
    assert dict(checks_of(ledger, ledger.root / "none"))["figures"]()


def at_standard_rate(
    warehouse: Warehouse, table: str, tax: str, payable: str, rate: str = "21"
) -> None:
    warehouse.conn.execute(
        f"update billing.{table} set tax_category = 'S', tax_rate = ?, tax_reason = null, "
        "tax_amount = ?, payable_amount = ? "
        "where distributor_id = 'alpenland' and period = '2026-01'",
        [Decimal(rate), Decimal(tax), Decimal(payable)],
    )


def one_user_less(warehouse: Warehouse) -> None:
    """The roster of what `correct_january` corrects."""
    warehouse.conn.execute(
        "update billing.draft_roster set is_counted = false, reason = 'inactive' "
        "where unit_id = 'u-b' and period = '2026-01'"
    )


def test_a_note_on_an_invoice_of_before_tax_carries_none(
    january: Warehouse, ledger: Ledger, close: Close
) -> None:
    """Format 1: its note, and what takes it back, are net as it was; made again, it has no tax."""
    gate.decide(january.conn, ledger, "2026-01", [])
    documents.issue(january.conn, ledger, "2026-01", {1: WITHOUT_TAX})
    invoice = ledger.issued("2026-01", "alpenland", "EUR")
    assert invoice is not None
    assert (invoice.content["format"], "tax" in invoice.content) == (WITHOUT_TAX, False)
    add_period(january, "2026-02")
    correct_january(january)
    january.conn.execute(
        "update billing.draft_notes set tax_rate_count = null, tax_category = null, "
        "tax_rate = null, tax_reason = null, tax_amount = null, payable_amount = null"
    )
    one_user_less(january)
    note, _ = close(january, ledger, "2026-02")
    cancelled = notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=MARCH)
    assert note.content["tax"] is cancelled.content["tax"] is None
    assert dict(checks_of(ledger, ledger.root / "none"))["figures"]()


def test_verify_notices_a_cancellation_that_leaves_something(
    february: Warehouse, ledger: Ledger, close: Close
) -> None:
    close(february, ledger, "2026-02")
    note = notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=MARCH)

    def leave_one_cent(content: dict[str, Any]) -> None:
        content["lines"][0]["customers"][0]["amount"] = "-0.33"
        content["lines"][0]["amount"] = "-0.66"
        content["totals"]["amount"] = content["tax"]["taxable_amount"] = "-47.00"
        content["tax"]["payable_amount"] = "-47.00"

    path = ledger.document_path("alpenland", note.sequence)
    path.write_bytes(forged(note, leave_one_cent).to_bytes())
    assert Ledger(ledger.root).verify() == (
        "alpenland/000004.json: cancels, but leaves P0001 EPSTD C001 with 0 and 0.01"
    )


def test_the_warehouse_knows_what_was_billed_for_which_period(
    february: Warehouse, ledger: Ledger, close: Close
) -> None:
    close(february, ledger, "2026-02")
    notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=MARCH)
    conn = duckdb.connect()
    ledger.load_into(conn)
    assert conn.execute(
        "select number, kind, billed_period, cancels, is_cancelled from ledger.documents "
        "where distributor_id = 'alpenland' order by sequence"
    ).fetchall() == [
        ("ALPENLAND-000001", "invoice", "2026-01", None, True),
        ("ALPENLAND-000002", "credit_note", "2026-01", None, False),
        ("ALPENLAND-000003", "invoice", "2026-02", None, False),
        ("ALPENLAND-000004", "credit_note", "2026-01", "ALPENLAND-000001", False),
    ]
    # The last roster of each period in force: January of Alpenland has none any more, and Sakura's
    # nil document counts nobody.
    assert conn.execute(
        "select distributor_id, billed_period from ledger.rosters group by all order by all"
    ).fetchall() == [
        ("alpenland", "2026-02"),
        ("cascadia", "2026-01"),
    ]


def test_notes_and_cancelled_invoices_are_exported_beside_the_invoice(
    february: Warehouse, ledger: Ledger, close: Close, tmp_path: Path
) -> None:
    close(february, ledger, "2026-02")
    notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=MARCH)
    for document in ledger.documents():
        render(ledger, document, tmp_path / "exports")
    run = tmp_path / "exports/2026-02/alpenland"
    with (run / "credit_note_ALPENLAND-000002.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["customer_id"], row["amount"], row["causes"]) for row in rows] == [
        ("C001", "-0.33", "late_data -1 (-0.34); reallocation 0 (0.01)"),
        ("C002", "-0.01", "reallocation 0 (-0.01)"),
    ]
    assert {row["corrected_invoice"] for row in rows} == {"ALPENLAND-000001"}
    assert (run / "partners/P0001/credit_note_ALPENLAND-000002.csv").read_bytes() == (
        run / "credit_note_ALPENLAND-000002.csv"
    ).read_bytes()
    assert (run / "invoice.csv").is_file()
    manifest = json.loads((run / "manifest.json").read_bytes())
    assert [(d["kind"], d["billed_period"]) for d in manifest["documents"]] == [
        ("credit_note", "2026-01"),
        ("invoice", "2026-02"),
    ]
    listed = {file["file"] for file in manifest["files"]}
    present = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    assert present == listed | {"manifest.json"}
    # A cancelled invoice stays beside the note that took it back; its statements do not.
    before = tmp_path / "exports/2026-01/alpenland"
    names = {str(p.relative_to(before)) for p in before.rglob("*") if p.is_file()}
    assert "invoice.csv" not in names
    assert {"cancelled_invoice_ALPENLAND-000001.csv", "credit_note_ALPENLAND-000004.csv"} <= names
    assert {name for name in names if name.startswith("partners/")} == {
        "partners/P0001/credit_note_ALPENLAND-000004.csv",
        "partners/P0002/credit_note_ALPENLAND-000004.csv",
    }
