"""What is not a valid e-invoice is not issued: its distributor is held, and told by which rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest
from billing_marts import SELLER, Warehouse, add_period, correct_january

from invoicing import documents, einvoices, gate, validation
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]
# A VAT number of another country than it says: EN 16931 knows its codes (BR-CO-09).
NOWHERE = {"country": "ZZ", "tax_id": "ZZ24", "endpoint_id": "9944:NL000000024B01"}


def decide(warehouse: Warehouse, ledger: Ledger, period: str) -> dict[str, gate.Release]:
    last = partial(einvoices.validate_drafts, warehouse.conn, ledger)
    decided = gate.decide(warehouse.conn, ledger, period, [], (), last)
    return {one.distributor_id: one for one in decided}


def sell_from(warehouse: Warehouse, distributor_id: str, **changes: str | None) -> None:
    warehouse.conn.execute(
        "update billing.draft_invoices set seller = ? where distributor_id = ?",
        [json.dumps({**SELLER, **changes}), distributor_id],
    )


def test_a_valid_one_is_released(ledger: Ledger, january: Warehouse) -> None:
    assert {one.state for one in decide(january, ledger, "2026-01").values()} == {"released"}


def test_one_that_breaks_a_rule_is_held_and_the_others_go_on(
    ledger: Ledger, january: Warehouse
) -> None:
    sell_from(january, "alpenland", **NOWHERE)
    releases = decide(january, ledger, "2026-01")
    assert releases["cascadia"].state == releases["sakura"].state == "released"
    assert releases["alpenland"].state == "held"
    (reason,) = releases["alpenland"].reasons
    assert reason.startswith(
        "Check e_invoice_is_valid failed: its e-invoice would break [BR-CL-14]"
    )
    assert "[BR-CO-09]" in reason
    assert reason.endswith(
        "Correct seeds/seller.csv, seeds/distributors.csv or seeds/tax_rates.csv, then close again."
    )
    written = documents.issue(january.conn, ledger, "2026-01")
    assert [one.distributor_id for one in written] == ["cascadia", "sakura"]
    sell_from(january, "alpenland")
    assert decide(january, ledger, "2026-01")["alpenland"].state == "released"


def test_a_note_that_goes_out_with_it_is_looked_at_too(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    correct_january(january)
    assert decide(january, ledger, "2026-02")["alpenland"].state == "released"
    january.conn.execute("update billing.draft_notes set tax_category = 'S', tax_rate = 0")
    (reason,) = decide(january, ledger, "2026-02")["alpenland"].reasons
    assert "[BR-S-" in reason


def test_what_is_drafted_is_what_is_issued(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    """The e-invoice that was looked at is, to the byte, the one that is sent."""
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    correct_january(january)
    (invoice,) = [
        one
        for one in gate.draft.invoices(january.conn, "2026-02")
        if one.distributor_id == "alpenland"
    ]
    drafted = documents.drafted(january.conn, ledger, invoice)
    issued = close(january, ledger, "2026-02")
    assert [one.kind for one in issued] == ["credit_note", "invoice"]
    for before, after in zip(drafted, issued, strict=True):
        sent = einvoices.ubl_xml(after.content, ("ALPENLAND-000001",)).body
        assert einvoices.ubl_xml(before.content, ("ALPENLAND-000001",)).body == sent
        assert before.content.items() >= {"kind": after.kind, "number": after.number}.items()


def test_a_draft_that_is_held_anyway_is_not_looked_at(ledger: Ledger, january: Warehouse) -> None:
    """Its figures may be ones no document can say; it is held for them, and the others go on."""
    sell_from(january, "cascadia", **NOWHERE)
    january.discrepancy("d1", "cascadia")
    (reason,) = decide(january, ledger, "2026-01")["cascadia"].reasons
    assert reason.startswith("unapproved_transfer")


def test_without_the_extra_nothing_is_looked_at(
    ledger: Ledger, january: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "find_spec", lambda name: None)
    sell_from(january, "alpenland", **NOWHERE)
    assert decide(january, ledger, "2026-01")["alpenland"].state == "released"
