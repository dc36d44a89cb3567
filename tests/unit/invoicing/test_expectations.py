"""The suite on a draft: each check turns red for its fault alone and names who is affected."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from billing_marts import Warehouse

from invoicing.checks import CheckResult
from invoicing.expectations import EXPECTATIONS, validate_draft
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]
ALPENLAND_LINE_1 = "where distributor_id = 'alpenland' and line_number = 1"


def failures(warehouse: Warehouse, period: str = "2026-01") -> dict[str, CheckResult]:
    return {r.name: r for r in validate_draft(warehouse.conn, period) if not r.success}


def test_a_sound_draft_passes_and_nothing_is_skipped(january: Warehouse) -> None:
    results = validate_draft(january.conn, "2026-01")
    assert all(result.success is True for result in results)
    assert {result.severity for result in results} == {"blocking"}
    assert results[0] == CheckResult(
        "line_quantity_within_bounds", True, "blocking", (), "4 lines checked."
    )
    # Results use exactly the declared names, in their order.
    assert [result.name for result in results] == list(EXPECTATIONS)


def test_an_empty_period_passes(warehouse: Warehouse) -> None:
    assert failures(warehouse) == {}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            # Bound 1,000; the customers still add up to 3.
            f"update billing.draft_invoice_lines set quantity = 1001 {ALPENLAND_LINE_1}",
            {"line_quantity_within_bounds", "line_customers_add_up_to_quantity"},
        ),
        (
            f"update billing.draft_invoice_lines set quantity = 0 {ALPENLAND_LINE_1}",
            {"line_quantity_within_bounds", "line_customers_add_up_to_quantity"},
        ),
        (
            f"update billing.draft_invoice_lines set quantity = null {ALPENLAND_LINE_1}",
            {"line_quantity_present", "line_customers_add_up_to_quantity"},
        ),
        (
            # Bound 5,000 for a line and for the invoice.
            f"update billing.draft_invoice_lines set amount = 5000.01 {ALPENLAND_LINE_1}",
            {
                "line_amount_within_bounds",
                "line_customers_add_up_to_amount",
                "invoice_total_is_sum_of_lines",
            },
        ),
        (
            # A cent off in the third decimal, which EUR does not have.
            f"update billing.draft_invoice_lines set amount = 1.005 {ALPENLAND_LINE_1}",
            {
                "line_amount_in_whole_minor_units",
                "line_customers_add_up_to_amount",
                "invoice_total_is_sum_of_lines",
            },
        ),
        (
            f"update billing.draft_invoice_lines set unit_price = null {ALPENLAND_LINE_1}",
            {"line_unit_price_present"},
        ),
        (
            f"update billing.draft_invoice_lines set partner_name = null {ALPENLAND_LINE_1}",
            {"line_partner_name_present"},
        ),
        (
            "update billing.draft_invoice_customers set amount = 0.66 "
            "where customer_id = 'C001' and line_number = 1",
            {"line_customers_add_up_to_amount"},
        ),
        (
            "update billing.draft_invoices set total_amount = 47.36 "
            "where distributor_id = 'alpenland'",
            {"invoice_total_is_sum_of_lines"},
        ),
        (
            "update billing.draft_invoices set total_amount = -0.01 "
            "where distributor_id = 'alpenland'",
            {"invoice_amount_within_bounds", "invoice_total_is_sum_of_lines"},
        ),
        (
            "update billing.draft_invoices set line_count = 4 where distributor_id = 'alpenland'",
            {"invoice_counts_its_lines"},
        ),
        (
            "update billing.draft_invoices set distributor_name = null "
            "where distributor_id = 'alpenland'",
            {"invoice_distributor_name_present"},
        ),
    ],
)
def test_a_fault_is_found_and_its_distributor_named(
    fault: str, expected: set[str], january: Warehouse
) -> None:
    january.conn.execute(fault)
    found = failures(january)
    assert set(found) == expected
    assert {result.distributors for result in found.values()} == {("alpenland",)}


def test_the_detail_is_a_sentence_a_clerk_can_act_on(january: Warehouse) -> None:
    january.conn.execute(
        f"update billing.draft_invoice_lines set quantity = 1001 {ALPENLAND_LINE_1}"
    )
    assert failures(january)["line_quantity_within_bounds"].detail == (
        "1 of 4 lines checked. alpenland EUR 1 P0001 EPSTD has the quantity 1001, "
        "allowed are 1 to 1000. Check the usage files; if the figure is right, raise "
        "largest_quantity in seeds/safety_bounds.csv."
    )


def test_a_double_line_is_found(january: Warehouse) -> None:
    january.conn.execute(
        f"insert into billing.draft_invoice_lines from billing.draft_invoice_lines "
        f"{ALPENLAND_LINE_1}"
    )
    found = failures(january)
    assert found["line_unique_per_partner_and_product"].distributors == ("alpenland",)


def test_a_cent_counts_where_a_double_would_round_it_away(january: Warehouse) -> None:
    # 99999999999999.99 and .98 are the same number for a 32-bit float and one ulp for a double.
    january.conn.execute("update billing.draft_safety_bounds set value = 999999999999")
    for table, column in (
        ("draft_invoices", "total_amount"),
        ("draft_invoice_lines", "amount"),
        ("draft_invoice_customers", "amount"),
    ):
        january.conn.execute(
            f"update billing.{table} set {column} = 99999999999.999 "
            "where distributor_id = 'cascadia'"
        )
    january.conn.execute(
        "update billing.draft_invoices set total_amount = 99999999999.998 "
        "where distributor_id = 'cascadia'"
    )
    found = failures(january)
    assert set(found) == {"line_amount_in_whole_minor_units", "invoice_total_is_sum_of_lines"}
    assert "99999999999.998, its lines 99999999999.999" in (
        found["invoice_total_is_sum_of_lines"].detail
    )


def test_a_missing_bound_is_an_error(january: Warehouse) -> None:
    january.conn.execute("delete from billing.draft_safety_bounds where bound = 'largest_amount'")
    with pytest.raises(ValueError, match="no value for largest_amount"):
        validate_draft(january.conn, "2026-01")


def test_the_package_imports_without_great_expectations() -> None:
    """It takes seconds, so only the check itself may import it."""
    code = (
        "import json, sys; import invoicing.expectations, invoicing.gate, invoicing.documents, "
        "invoicing.exports, invoicing.explain; "
        "print(json.dumps([m for m in ('great_expectations', 'pandas', 'dagster', 'dbt', 'ingest')"
        " if m in sys.modules]))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root
    )
    assert json.loads(done.stdout) == []
