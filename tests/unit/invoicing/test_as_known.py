"""What changed since an invoice was issued: lines, customers and units, by hand-derived figures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from billing_marts import ALPHA, Warehouse

from invoicing.as_known import AsKnown, as_known, is_recomputed
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]


def compared(warehouse: Warehouse, ledger: Ledger, document: Document) -> AsKnown:
    roster = ledger.roster_path(document.distributor_id, document.sequence)
    return as_known(warehouse.conn, document, roster)


def test_right_after_issuing_nothing_differs(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    for document in close(january, ledger, "2026-01"):
        assert is_recomputed(january.conn, document)
        today = compared(january, ledger, document)
        assert today.is_same
        assert today.total_now == today.total_issued == document.content["totals"]["amount"]


def test_a_late_user_and_one_taken_back_are_named_with_why_and_where(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    """Endpoint Standard of Alpha IT: u-late arrives at C001, C002's u-c is gone, C003's u-z was
    inactive and counts now: 3 + 1 - 1 + 1 = 4 users at 0.335 = 1.34; C001 3 of them, C003 1.
    """
    document = close(january, ledger, "2026-01")[0]
    late = {"source_snapshot_date": date(2026, 1, 9), "source_row": 7}
    january.unit(ALPHA, "EPSTD", "C001", "u-late", **late)
    conn = january.conn
    conn.execute("delete from billing.draft_roster where unit_id = 'u-c'")
    conn.execute(
        "update billing.draft_roster set is_counted = true, reason = null where unit_id = 'u-z'"
    )
    for customer_id, quantity, amount in (
        ("C001", 3, "1.00"),
        ("C002", 0, "0"),
        ("C003", 1, "0.34"),
    ):
        conn.execute(
            "update billing.draft_invoice_customers set quantity = ?, amount = ? "
            "where customer_id = ? and product_code = 'EPSTD'",
            [quantity, Decimal(amount), customer_id],
        )
    conn.execute(
        "update billing.draft_invoice_lines set quantity = 4, amount = 1.34 "
        "where distributor_id = 'alpenland' and line_number = 1"
    )
    conn.execute(
        "update billing.draft_invoices set total_amount = 47.68 where distributor_id = 'alpenland'"
    )
    today = compared(january, ledger, document)
    assert (today.total_issued, today.total_now) == ("47.35", "47.68")
    (line,) = today.lines
    assert (line.partner_id, line.product_code, line.customer_id) == ("P0001", "EPSTD", None)
    assert (line.units_issued, line.units_now) == (3, 4)
    assert (line.amount_issued, line.amount_now) == ("1.01", "1.34")
    assert (line.price_issued, line.price_now) == ("0.335", "0.335")
    assert [
        (c.customer_id, c.units_issued, c.units_now, c.amount_issued, c.amount_now)
        for c in today.customers
    ] == [
        ("C001", 2, 3, "0.67", "1.00"),
        ("C002", 1, 0, "0.34", "0.00"),
        ("C003", 0, 1, "0.00", "0.34"),
    ]
    assert [(u.unit_id, u.is_counted_now, u.why, u.source) for u in today.units] == [
        ("u-late", True, "then not known", "usage/2026-01-09/eu-central data row 7"),
        ("u-c", False, "now in no file of the window", "usage/2026-01-21/eu-central data row 12"),
        ("u-z", True, "then inactive", "usage/2026-01-21/eu-central data row 12"),
    ]


def test_a_unit_that_is_known_and_not_counted_has_its_reason(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    document = close(january, ledger, "2026-01")[0]
    january.conn.execute(
        "update billing.draft_roster set is_counted = false, reason = 'trial' where unit_id = 'u-a'"
    )
    (unit,) = compared(january, ledger, document).units
    assert (unit.unit_id, unit.is_counted_now, unit.why) == ("u-a", False, "now trial")


def test_a_line_that_is_gone_has_no_units_now(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    document = close(january, ledger, "2026-01")[0]
    for table in ("draft_invoice_lines", "draft_invoice_customers"):
        january.conn.execute(f"delete from billing.{table} where partner_id = 'P0002'")
    today = compared(january, ledger, document)
    assert [(c.product_code, c.units_now, c.amount_now, c.price_now) for c in today.lines] == [
        ("EPSTD", 0, "0", None)
    ]
    # Server Advanced had no units then either.
    assert [(c.customer_id, c.product_code) for c in today.customers] == [("C004", "EPSTD")]


def test_a_period_past_correcting_is_not_in_the_marts(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    document = close(january, ledger, "2026-01")[0]
    january.conn.execute("delete from billing.draft_invoices where distributor_id = 'alpenland'")
    assert not is_recomputed(january.conn, document)
