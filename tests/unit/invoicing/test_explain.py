"""From a line to its roster, issued or drafted, by any of the names a line has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date

import duckdb
import pytest
from billing_marts import BETA, Warehouse

from invoicing.explain import Explanation, UnknownLineError, explain
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]


def units(explanation: Explanation) -> list[tuple[str, str]]:
    return [(unit.customer_id, unit.unit_id) for unit in explanation.counted]


@pytest.mark.parametrize(
    "reference", ["2026-01 alpenland 1", "ALPENLAND-000001 1", "ALPENLAND-000001-1"]
)
def test_an_issued_line_shows_who_was_counted_and_who_nearly(
    reference: str, ledger: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    explanation = explain(ledger, None, reference)
    assert (explanation.state, explanation.number) == ("issued", "ALPENLAND-000001")
    assert explanation.line["amount"] == "1.01"
    # Three users make the quantity of three.
    assert units(explanation) == [("C001", "u-a"), ("C001", "u-b"), ("C002", "u-c")]
    assert len(explanation.counted) == explanation.line["quantity"]
    first = explanation.counted[0]
    assert (first.customer_name, first.last_device_id) == ("Customer C001", "D-u-a")
    assert first.active_on == ("2026-01-05", "2026-01-20")
    assert first.source == "usage/2026-01-21/eu-central data row 12"
    (missed,) = explanation.not_counted
    assert (missed.unit_id, missed.reason) == ("u-z", "inactive")
    json.dumps(asdict(explanation))  # plain data


def test_a_draft_line_is_explained_alike(ledger: Ledger, january: Warehouse, close: Close) -> None:
    drafted = explain(ledger, january.conn, "2026-01 alpenland 1")
    assert (drafted.state, drafted.number) == ("draft", None)
    close(january, ledger, "2026-01")
    issued = explain(ledger, january.conn, "2026-01 alpenland 1")
    assert (issued.state, issued.counted) == ("issued", drafted.counted)
    assert (issued.line, issued.total_amount) == (drafted.line, drafted.total_amount)


def test_an_issued_line_is_explained_by_its_own_roster_not_by_todays_draft(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    january.unit(BETA, "EPSTD", "C004", "u-late", line_number=3, last_active_on=date(2026, 1, 31))
    assert units(explain(ledger, january.conn, "2026-01 alpenland 3")) == [("C004", "u-d")]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("2026-01 alpenland 9", "no line 9. Give one of 1 to 3"),
        ("2026-01 nobody 1", "neither issued nor drafted"),
        ("2027-01 alpenland 1", "muster draft 2027-01"),
        ("NOBODY-000001 1", "No document has the number NOBODY-000001"),
        ("alpenland", "names no line"),
        ("2026-01 alpenland x", "names no line"),
        ("", "names no line"),
        ("a b c d e", "names no line"),
    ],
)
def test_an_unknown_line_is_an_answer_in_words(
    reference: str, message: str, ledger: Ledger, january: Warehouse
) -> None:
    with pytest.raises(UnknownLineError, match=message):
        explain(ledger, january.conn, reference)


def test_a_document_alone_is_asked_for_a_line(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    with pytest.raises(
        UnknownLineError, match=r"has 1 to \d+: `muster explain ALPENLAND-000001 1`"
    ):
        explain(ledger, january.conn, "ALPENLAND-000001")


def test_a_warehouse_without_any_draft_is_an_answer_too(ledger: Ledger) -> None:
    with pytest.raises(UnknownLineError, match="neither issued nor drafted"):
        explain(ledger, duckdb.connect(), "2026-01 alpenland 1")


def test_two_currencies_ask_for_one(ledger: Ledger, january: Warehouse) -> None:
    january.invoice("alpenland", "2", 1, currency="USD")
    january.line(BETA, 1, "EPSTD", 2, "1.000000", "2", currency="USD")
    with pytest.raises(UnknownLineError, match="EUR and USD: add the currency"):
        explain(ledger, january.conn, "2026-01 alpenland 1")
    assert explain(ledger, january.conn, "2026-01 alpenland 1 USD").line["quantity"] == 2
