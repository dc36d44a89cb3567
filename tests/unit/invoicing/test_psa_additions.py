"""What a partner changes in its PSA: per addition, from and to, and nobody else's."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from billing_marts import Warehouse

from invoicing.content import WITHOUT_TAX, in_format
from invoicing.exports import render
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]


def _addition(warehouse: Warehouse, **values: Any) -> None:
    warehouse.put(
        "draft_psa_changes",
        **{
            "period": "2026-01",
            "distributor_id": "alpenland",
            "currency": "EUR",
            "partner_id": "P0001",
            "customer_id": "C001",
            "customer_name": "One",
            "product_code": "EPSTD",
            "psa": "connectwise",
            "company_id": "K1",
            "agreement_id": "A1",
            "addition_id": "1",
            "product_id": "PE",
            "unit_price": Decimal("4.5"),
            "counted_on": date(2026, 1, 30),
            "from_quantity": 2,
            "to_quantity": 2,
            "action": "keep",
            **values,
        },
    )


@pytest.fixture
def folder(ledger: Ledger, january: Warehouse, close: Close, tmp_path: Path) -> Path:
    _addition(january, addition_id="2", agreement_id="A2", to_quantity=5, action="change")
    _addition(january)
    new = {"addition_id": None, "agreement_id": None, "unit_price": None, "from_quantity": 0}
    _addition(january, **new, product_code="FWENT", to_quantity=5, action="add")
    _addition(
        january,
        partner_id="P0002",
        customer_id="C004",
        customer_name="=1+1",
        company_id="K4",
        to_quantity=0,
        action="remove",
    )
    issued, *_ = close(january, ledger, "2026-01")
    return render(ledger, issued, tmp_path / "exports").folder


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8"), newline="")))


def test_each_addition_says_from_what_to_what(folder: Path) -> None:
    found = _rows(folder / "partners/P0001/psa_additions.csv")
    columns = ("agreement_id", "addition_id", "product_code", "action", "unit_price")
    figures = ("from_quantity", "to_quantity")
    assert [tuple(row[name] for name in (*columns, *figures)) for row in found] == [
        ("A1", "1", "EPSTD", "keep", "4.50", "2", "2"),
        ("A2", "2", "EPSTD", "change", "4.50", "2", "5"),
        ("", "", "FWENT", "add", "", "0", "5"),
    ]
    assert {row["counted_on"] for row in found} == {"2026-01-30"}
    assert {row["number"] for row in found} == {"ALPENLAND-000001"}


def test_a_partner_sees_its_own_and_no_formula(folder: Path) -> None:
    own = (folder / "partners/P0001/psa_additions.csv").read_text(encoding="utf-8")
    assert "K4" not in own
    assert "C004" not in own
    (row,) = _rows(folder / "partners/P0002/psa_additions.csv")
    assert (row["customer_name"], row["action"], row["to_quantity"]) == ("'=1+1", "remove", "0")


def test_without_a_known_psa_there_is_no_file(
    ledger: Ledger, january: Warehouse, close: Close, tmp_path: Path
) -> None:
    for document in close(january, ledger, "2026-01"):
        assert document.content["psa_changes"] == []
        render(ledger, document, tmp_path)
    assert not list(tmp_path.rglob("psa_additions.csv"))


def test_documents_of_the_first_format_do_not_have_it(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    issued, *_ = close(january, ledger, "2026-01")
    assert not {"psa_changes", "tax"} & set(in_format(issued.content, WITHOUT_TAX))
