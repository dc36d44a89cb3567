"""The gate: who is released, who is held, and whether a clerk can act on the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from billing_marts import POLICIES, VERSION_SET, Warehouse, add_period

from invoicing import documents, gate, notes
from invoicing.canonical import canonical_json, sha256
from invoicing.checks import CheckResult
from invoicing.ledger import Document, Ledger, LedgerError

Close = Callable[[Warehouse, Ledger, str], list[Document]]


def by_id(releases: list[gate.Release]) -> dict[str, gate.Release]:
    return {release.distributor_id: release for release in releases}


def test_clean_drafts_are_released_with_everything_pinned(
    ledger: Ledger, january: Warehouse
) -> None:
    releases = gate.decide(january.conn, ledger, "2026-01", [])
    assert [(r.distributor_id, r.state) for r in releases] == [
        ("alpenland", "released"),
        ("cascadia", "released"),
        ("sakura", "released"),
    ]
    path = ledger.root / "releases" / "2026-01" / "cascadia.USD.json"
    record = json.loads(path.read_bytes())
    checksum = record.pop("sha256")
    assert checksum == sha256(canonical_json(record))
    assert record == {
        "format": "musterhouse-release/1",
        "period": "2026-01",
        "distributor_id": "cascadia",
        "currency": "USD",
        "state": "released",
        "reasons": [],
        "total_amount": "4.62",
        "version_set_sha256": VERSION_SET,
        "policies": POLICIES,
        # Cut-off 25 January, issued a day later, due 31 days after the cut-off.
        "issue_on": "2026-01-26",
        "due_on": "2026-02-25",
        "released_by": "automatic",
        "notes": {},
        "dated_on": None,
    }
    assert gate.records(ledger, "2026-01") == releases
    assert gate.records(ledger) == releases


def test_a_blocking_discrepancy_holds_its_distributor_and_nobody_else(
    ledger: Ledger, january: Warehouse
) -> None:
    for number, stake in ((1, "30.5"), (2, "14.5"), (3, None)):
        january.discrepancy(
            f"dddd{number}",
            "cascadia",
            amount_at_stake=None if stake is None else Decimal(stake),
            currency="USD",
        )
    releases = by_id(gate.decide(january.conn, ledger, "2026-01", []))
    assert releases["alpenland"].state == releases["sakura"].state == "released"
    assert releases["cascadia"].state == "held"
    assert releases["cascadia"].released_by is None
    # 30.50 + 14.50 = 45.00
    assert releases["cascadia"].reasons == (
        "unapproved_transfer: 3 open, 45.00 USD at stake. Get the missing approval. "
        "Waivers go into seeds/waivers.csv by id: dddd1, dddd2, dddd3.",
    )
    written = documents.issue(january.conn, ledger, "2026-01")
    assert [d.distributor_id for d in written] == ["alpenland", "sakura"]


def test_missing_price_is_told_once_and_no_waiver_is_offered(
    ledger: Ledger, january: Warehouse
) -> None:
    january.discrepancy("d1", "cascadia", kind="price_missing")
    failed = CheckResult(
        "line_unit_price_present", False, "blocking", ("cascadia", "sakura"), "one has no price."
    )
    releases = by_id(gate.decide(january.conn, ledger, "2026-01", [failed]))
    (reason,) = releases["cascadia"].reasons
    assert reason.startswith("price_missing: 1 open")
    assert "aiver" not in reason
    # Where no discrepancy tells it, the check does: a waived one must not release the line.
    assert releases["sakura"].reasons == (
        "Check line_unit_price_present failed: one has no price.",
    )


def test_what_is_billed_needs_one_tax_rate(ledger: Ledger, january: Warehouse) -> None:
    """R20: told once; where nothing is billed (Sakura) no rate is missed."""
    january.conn.execute(
        "update billing.draft_invoices set tax_rate_count = if(distributor_id = 'cascadia', 2, 0), "
        "tax_category = null, tax_amount = null, payable_amount = null"
    )
    releases = by_id(gate.decide(january.conn, ledger, "2026-01", []))
    assert releases["alpenland"].reasons == (
        "seeds/tax_rates.csv has no tax rate from NL to AT on 2026-01-31, and one is needed: add "
        "or correct it. No waiver helps.",
    )
    assert (
        releases["cascadia"]
        .reasons[0]
        .startswith("seeds/tax_rates.csv has 2 tax rates from NL to US on 2026-01-25")
    )
    assert releases["sakura"].state == "released"
    assert documents.issue(january.conn, ledger, "2026-01")[0].content["tax"] is None


def test_warnings_and_waived_discrepancies_do_not_hold(ledger: Ledger, january: Warehouse) -> None:
    january.discrepancy("d1", "alpenland", severity="warning")
    january.discrepancy("d2", "alpenland", state="waived", decision="bill")
    january.discrepancy("d3", "alpenland", period="2026-02")
    assert gate.decide(january.conn, ledger, "2026-01", [])[0].state == "released"


def test_a_blocking_discrepancy_without_distributor_holds_everybody(
    ledger: Ledger, january: Warehouse
) -> None:
    january.discrepancy("d1", None, kind="registry_gap")
    states = {r.state for r in gate.decide(january.conn, ledger, "2026-01", [])}
    assert states == {"held"}


def test_only_the_first_ids_are_listed(ledger: Ledger, january: Warehouse) -> None:
    for number in range(7):
        january.discrepancy(f"d{number}", "alpenland")
    (reason,) = gate.decide(january.conn, ledger, "2026-01", [])[0].reasons
    assert reason.endswith("d0, d1, d2, d3, d4 and 2 more.")
    assert "no amount known to be at stake" in reason


def test_a_period_that_is_not_over_is_held(ledger: Ledger, january: Warehouse) -> None:
    january.conn.execute(
        "update billing.draft_invoices set is_complete = false where distributor_id = 'alpenland'"
    )
    release = gate.decide(january.conn, ledger, "2026-01", [])[0]
    assert release.state == "held"
    assert release.reasons[0].startswith("Period not over: it ends on 2026-01-31")


def test_periods_issue_in_order(ledger: Ledger, january: Warehouse, close: Close) -> None:
    add_period(january, "2026-02")
    held = gate.decide(january.conn, ledger, "2026-02", [])[0]
    assert held.reasons == (
        "2026-01 must be issued first: its draft is worth 47.35 EUR. Close 2026-01, then 2026-02.",
    )
    close(january, ledger, "2026-01")
    assert gate.decide(january.conn, ledger, "2026-02", [])[0].state == "released"


def test_periods_issue_in_order_across_a_change_of_currency(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    # Alpenland is invoiced in francs from February on; its January, in euro, waits.
    add_period(january, "2026-02")
    for table in ("draft_invoices", "draft_invoice_lines", "draft_invoice_customers"):
        january.conn.execute(
            f"update billing.{table} set currency = 'CHF' where period = '2026-02'"
        )
    held = gate.decide(january.conn, ledger, "2026-02", [])[0]
    assert held.currency == "CHF"
    assert held.reasons[0].startswith("2026-01 must be issued first: its draft is worth 47.35 EUR.")
    close(january, ledger, "2026-01")
    assert gate.decide(january.conn, ledger, "2026-02", [])[0].state == "released"


def test_a_document_is_dated_as_a_person_chose_and_due_as_many_days_later(
    ledger: Ledger, january: Warehouse
) -> None:
    # Terms of 30 days after issue: 10 March and 30 days, 21 of them in March, are 9 April.
    gate.decide(january.conn, ledger, "2026-01", [], on=date(2026, 3, 10))
    release = gate.recorded(ledger, "2026-01", "alpenland", "EUR")
    assert release is not None
    assert (release.issue_on, release.due_on, release.dated_on) == (
        "2026-03-10",
        "2026-04-09",
        "2026-03-10",
    )
    # A run that ended before its document is finished with the date that was chosen.
    gate.decide(january.conn, ledger, "2026-01", [])
    documents.issue(january.conn, ledger, "2026-01")
    issued = ledger.issued("2026-01", "alpenland", "EUR")
    assert issued is not None
    assert issued.content["dates"]["issue_on"] == "2026-03-10"
    assert gate.record_fault(ledger, issued) is None


def test_what_was_held_is_dated_anew(ledger: Ledger, january: Warehouse) -> None:
    january.discrepancy("d1", "alpenland")
    held = gate.decide(january.conn, ledger, "2026-01", [], on=date(2026, 3, 10))[0]
    assert (held.state, held.issue_on) == ("held", "2026-03-10")
    january.conn.execute("delete from billing.draft_discrepancies")
    released = gate.decide(january.conn, ledger, "2026-01", [])[0]
    assert (released.state, released.issue_on, released.dated_on) == (
        "released",
        "2026-02-01",
        None,
    )


def test_no_document_is_dated_before_the_one_before_it(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    """R20: January, dated 1 February, is taken back on 2 April: its reissue is of that day, due 30
    days later, 28 of them in April: 2 May. So is February after it, dated 1 March by its cut-off.
    """
    first, *_ = close(january, ledger, "2026-01")
    assert first.content["dates"]["issue_on"] == "2026-02-01"
    notes.cancel(ledger, first.name, reason="wrong", by="A. Clerk", on=date(2026, 4, 2))
    (again,) = (d for d in close(january, ledger, "2026-01") if d.distributor_id == "alpenland")
    assert again.content["dates"]["issue_on"] == "2026-04-02"
    assert again.content["dates"]["due_on"] == "2026-05-02"
    add_period(january, "2026-02")
    (later,) = close(january, ledger, "2026-02")
    assert later.content["dates"]["issue_on"] == "2026-04-02"
    assert [d.content["dates"]["issue_on"] for d in ledger.documents("cascadia")] == ["2026-01-26"]


def test_a_date_before_what_it_follows_holds_only_whom_it_concerns(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    first, *_ = close(january, ledger, "2026-01")
    notes.cancel(ledger, first.name, reason="wrong", by="A. Clerk", on=date(2026, 4, 2))
    early = gate.decide(january.conn, ledger, "2026-01", [], on=date(2026, 4, 1))[0]
    assert early.state == "held"
    assert early.reasons[0].startswith(
        "The date 2026-04-01 lies before that of ALPENLAND-000002, the document before it"
    )
    add_period(january, "2026-02", "sakura")
    decisions = gate.decide(january.conn, ledger, "2026-02", [], on=date(2026, 2, 27))
    assert [one.reasons[0].split(". ")[0] for one in decisions] == [
        "The date 2026-02-27 lies before the cut-off, 2026-02-28"
    ]


def test_a_cancellation_is_not_dated_before_the_document_before_it(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    first, *_ = close(january, ledger, "2026-01")
    with pytest.raises(LedgerError, match="lies before the date of ALPENLAND-000001, 2026-02-01"):
        notes.check_date(ledger, first.name, date(2026, 1, 31))
    notes.check_date(ledger, first.name, date(2026, 2, 1))


def test_a_period_that_was_passed_over_is_not_decided_on_and_blocks_nobody(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    # Old files arrive after January was issued: what December owes is a note's (R25).
    close(january, ledger, "2026-01")
    add_period(january, "2025-12")
    add_period(january, "2026-02")
    january.conn.execute(
        "update billing.draft_invoices set is_passed_over = true where period = '2025-12'"
    )
    assert gate.decide(january.conn, ledger, "2025-12", []) == []
    assert gate.decide(january.conn, ledger, "2026-02", [])[0].state == "released"


def test_a_stale_draft_is_an_error_and_nothing_is_recorded(
    ledger: Ledger, january: Warehouse
) -> None:
    january.set_version("b" * 64)
    with pytest.raises(gate.StaleDraftError, match="Run `muster draft 2026-01`"):
        gate.decide(january.conn, ledger, "2026-01", [])
    assert gate.records(ledger) == []


def test_a_release_of_an_older_draft_is_not_issued(ledger: Ledger, january: Warehouse) -> None:
    gate.decide(january.conn, ledger, "2026-01", [])
    # New files arrive and the draft is recomputed, but nobody decided on it.
    january.set_version("b" * 64)
    january.conn.execute("update billing.draft_invoices set version_set_sha256 = repeat('b', 64)")
    with pytest.raises(gate.StaleDraftError, match="Close 2026-01 again"):
        documents.issue(january.conn, ledger, "2026-01")
    assert list(ledger.documents()) == []
    gate.decide(january.conn, ledger, "2026-01", [])
    assert len(documents.issue(january.conn, ledger, "2026-01")) == 3


def test_failed_checks_hold_the_distributors_they_name(ledger: Ledger, january: Warehouse) -> None:
    results = [
        CheckResult("line_quantity_within_bounds", False, "blocking", ("cascadia",), "Too many."),
        CheckResult("volume", False, "warning", (), "Fewer rows than usual."),
        CheckResult("fine", True, "blocking", (), "4 lines checked."),
    ]
    releases = by_id(gate.decide(january.conn, ledger, "2026-01", results))
    assert releases["alpenland"].state == "released"
    assert releases["cascadia"].reasons == ("Check line_quantity_within_bounds failed: Too many.",)
    everybody = [CheckResult("unique_lines", False, "blocking", (), "Twice.")]
    states = {r.state for r in gate.decide(january.conn, ledger, "2026-01", everybody)}
    assert states == {"held"}


def test_a_licensed_product_nobody_described_holds_although_unused(
    ledger: Ledger, january: Warehouse
) -> None:
    january.conn.execute(
        "update billing.draft_invoice_customers set billing_unit = null, listing_order = null "
        "where product_code = 'SVADV'"
    )
    releases = by_id(gate.decide(january.conn, ledger, "2026-01", []))
    assert releases["cascadia"].state == "released"
    assert releases["alpenland"].reasons == (
        "Customers hold monthly licences for SVADV, which seeds/products.csv does not fully "
        "describe on 2026-01-31. Complete it, or correct the licences.",
    )


def test_a_held_record_is_overwritten_and_an_issued_one_never_changes(
    ledger: Ledger, january: Warehouse
) -> None:
    path = ledger.root / "releases" / "2026-01" / "alpenland.EUR.json"
    january.discrepancy("d1", "alpenland")
    gate.decide(january.conn, ledger, "2026-01", [])
    assert json.loads(path.read_bytes())["state"] == "held"
    january.conn.execute("delete from billing.draft_discrepancies")
    gate.decide(january.conn, ledger, "2026-01", [])
    documents.issue(january.conn, ledger, "2026-01")
    released = path.read_bytes()
    assert json.loads(released)["state"] == "released"

    # After issue: new data and a new discrepancy. Neither the record nor the answer moves (R24).
    january.discrepancy("d2", "alpenland")
    january.set_version("b" * 64)
    release = gate.decide(january.conn, ledger, "2026-01", [])[0]
    assert (release.state, release.total_amount) == ("issued", "47.35")
    assert path.read_bytes() == released


def test_a_leftover_temporary_record_is_not_read(ledger: Ledger, january: Warehouse) -> None:
    gate.decide(january.conn, ledger, "2026-01", [])
    folder = ledger.root / "releases" / "2026-01"
    Path(folder / ".alpenland.EUR.json.tmp").write_bytes(b'{"half')
    assert len(gate.records(ledger)) == 3
