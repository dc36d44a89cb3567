"""What a partner is shown: all of its own, nothing of anybody else."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from billing_marts import Warehouse

from invoicing.preview import Preview, UnknownPartnerError, previews


def preview(warehouse: Warehouse, partner_id: str) -> Preview:
    ((_, found),) = previews(warehouse.conn, "2026-01", partner_id)
    return found


def test_a_partner_sees_its_lines_with_its_customers_under_them(january: Warehouse) -> None:
    alpha = preview(january, "P0001")
    # 1.01 + 46.00 and 3 + 5 units, derived in billing_marts.fill_january.
    assert (alpha.amount, alpha.units, alpha.currency) == ("47.01", 8, "EUR")
    assert (alpha.window_starts_on, alpha.cutoff_on) == ("2026-01-02", "2026-01-31")
    assert [
        (line["product_code"], line["quantity"], line["unit_price"], line["amount"])
        for line in alpha.lines
    ] == [("EPSTD", 3, "0.335", "1.01"), ("FWENT", 5, None, "46.00")]
    assert alpha.lines[0]["units_to_next_band"] == 97
    assert [
        (c["customer_id"], c["quantity"], c["joined"], c["left_since"], c["amount"])
        for c in alpha.lines[0]["customers"]
    ] == [("C001", 2, 0, 0, "0.67"), ("C002", 1, 1, 0, "0.34"), ("C003", 0, 0, 2, "0.00")]
    # Used by nobody, shown with 0.
    assert [(g["product_code"], g["quantity"]) for g in preview(january, "P0002").lines] == [
        ("EPSTD", 1),
        ("SVADV", 0),
    ]


def test_a_line_without_a_price_is_shown_without_one(january: Warehouse) -> None:
    january.conn.execute(
        "update billing.draft_invoice_lines set pricing_model = null, unit_price = null, "
        "bands = null, amount = 0 where product_code = 'EPSTD' and partner_id = 'P0001'"
    )
    line, _ = preview(january, "P0001").lines
    assert (line["quantity"], line["unit_price"], line["bands"]) == (3, None, [])


def test_warnings_are_sentences_about_its_own_customers(january: Warehouse) -> None:
    own = {"partner_id": "P0001", "customer_id": "C001", "severity": "warning"}
    january.discrepancy(
        "d1",
        "alpenland",
        kind="portal_mismatch",
        product_code="EPSTD",
        expected="2 units",
        found="portal shows 5 on 2026-01-31",
        **own,
    )
    # Names the partner at the other end and the clerk's file: neither may be passed on.
    january.discrepancy(
        "d2",
        "alpenland",
        kind="partner_resale",
        found="resells under partner P0002",
        action="Register them, or waive in seeds/waivers.csv.",
        **{**own, "severity": "blocking"},
    )
    january.discrepancy("d3", "alpenland", kind="made_up_later", found="P0009 did it", **own)
    january.discrepancy("d4", "alpenland", kind="swing", **{**own, "severity": "info"})
    january.discrepancy("d5", "alpenland", kind="swing", state="waived", **own)
    january.discrepancy("d6", "alpenland", kind="stale_trial", **{**own, "partner_id": "P0002"})
    alpha = preview(january, "P0001")
    assert alpha.warnings == (
        "Customer C001: made up later is being checked.",
        "Customer C001: a product: a customer has to be registered with the partner that buys for "
        "it. The invoice waits until this is settled.",
        "Customer C001: Endpoint Standard: portal shows 5 on 2026-01-31, counted here are 2 units.",
    )
    told = json.dumps(asdict(alpha))
    for foreign in ("P0002", "P0009", "Beta", "C004", "alpenland", "Alpenland", "seeds", "d1"):
        assert foreign not in told


def test_a_partner_in_no_draft_is_told_so(january: Warehouse) -> None:
    with pytest.raises(UnknownPartnerError, match="No draft of 2026-01 has a partner P0404"):
        previews(january.conn, "2026-01", "P0404")
