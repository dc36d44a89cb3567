"""A document made again is compared whole, and what cannot be made again is told in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from billing_marts import Warehouse, add_period, correct_january

from invoicing import documents, gate, notes, reproduce
from invoicing.content import SECOND_FORMAT, WITHOUT_TAX
from invoicing.ledger import Document, Ledger
from invoicing.reproduce import Difference, NotReproducibleError, UnknownDocumentError

Close = Callable[[Warehouse, Ledger, str], list[Document]]


@pytest.fixture
def other(tmp_path: Path) -> Ledger:
    """The ledger of a scratch home."""
    return Ledger(tmp_path / "other", is_partial=True)


def again(warehouse: Warehouse, ledger: Ledger, other: Ledger, document: Document) -> Any:
    made = reproduce.reissue(warehouse.conn, other, reproduce.of_the_same_run(ledger, document))
    place = (document.distributor_id, document.sequence)
    return reproduce.compare(document, ledger.roster_path(*place), made, other.roster_path(*place))


def test_each_kind_of_document_is_made_again_with_its_recorded_dates(
    ledger: Ledger, other: Ledger, january: Warehouse, close: Close
) -> None:
    invoice, _, nil = close(january, ledger, "2026-01")
    assert (invoice.content["kind"], nil.content["kind"]) == ("invoice", "nil")
    # Today's policy would print other dates; the release said these.
    january.conn.execute("update billing.draft_invoices set issue_on = '2031-01-01'")
    for document in (invoice, nil):
        made = again(january, ledger, other, document)
        assert made.is_identical
        assert made.content_sha256_found == document.provenance["content_sha256"]
        assert (made.first_difference, made.roster_rows_different) == (None, 0)
    # Nobody else was issued on the way.
    assert other.distributors() == ["alpenland", "sakura"]


def test_a_second_document_continues_the_chain_it_was_in(
    ledger: Ledger, other: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    (second,) = close(january, ledger, "2026-02")
    for name in ("000001.json", "000001.roster.parquet"):
        path = other.root / "alpenland" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(ledger.root / "alpenland" / name)
    assert again(january, ledger, other, second).is_identical


def test_notes_are_made_again_with_their_run_and_a_cancellation_from_the_ledger(
    ledger: Ledger, other: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    correct_january(january)
    january.conn.execute("update billing.issued_invoices set period = '2026-01'")
    note, invoice = close(january, ledger, "2026-02")
    assert note.provenance["ledger"] == invoice.provenance["ledger"] == {"alpenland": 1}
    _lend(ledger, other, 1)
    for document in (note, invoice):
        assert again(january, ledger, other, document).is_identical
        shutil.rmtree(other.root)
        _lend(ledger, other, 1)
    cancelled = notes.cancel(
        ledger, "ALPENLAND-000001", reason="wrong", by="Ada", on=date(2026, 3, 5)
    )
    _lend(ledger, other, 3)
    made = reproduce.take_back_again(Ledger(other.root, is_partial=True), cancelled)
    assert made.content == cancelled.content


@pytest.mark.parametrize("name", [SECOND_FORMAT, WITHOUT_TAX])
def test_what_was_issued_before_firewall_policies_is_made_again_without_them(
    ledger: Ledger, other: Ledger, january: Warehouse, name: str
) -> None:
    """R9, R26: its drafts name them by now; the other policies stay, in their order."""
    january.conn.execute(
        """
        update billing.draft_invoices
        set policies = '{"active_window_days":30,"firewall_evidence":"latest",'
            || '"replaced_hardware":"each","release":"automatic"}'
        """
    )
    gate.decide(january.conn, ledger, "2026-01", [])
    invoice, *_ = documents.issue(january.conn, ledger, "2026-01", {1: name})
    assert invoice.content["policies"] == {"active_window_days": 30, "release": "automatic"}
    assert ("tax" in invoice.content) == (name == SECOND_FORMAT)
    assert again(january, ledger, other, invoice).is_identical


def test_what_was_issued_before_tax_is_made_again_without_it(
    ledger: Ledger, other: Ledger, january: Warehouse
) -> None:
    """Format 1, though its drafts have a tax by now; its cancellation was written then too."""
    gate.decide(january.conn, ledger, "2026-01", [])
    invoice, *_ = documents.issue(january.conn, ledger, "2026-01", {1: WITHOUT_TAX})
    assert "tax" not in invoice.content
    assert again(january, ledger, other, invoice).is_identical
    on = date(2026, 3, 5)
    cancelled = notes.cancel(
        ledger, "ALPENLAND-000001", reason="x", by="Ada", on=on, format_=WITHOUT_TAX
    )
    made = reproduce.take_back_again(Ledger(other.root, is_partial=True), cancelled)
    assert made.content == cancelled.content
    assert "tax" not in made.content


def test_what_was_issued_in_format_2_is_made_again_in_it(
    ledger: Ledger, other: Ledger, january: Warehouse
) -> None:
    """Its papers do not say which dates counted, so its format may not change."""
    gate.decide(january.conn, ledger, "2026-01", [])
    invoice, *_ = documents.issue(january.conn, ledger, "2026-01", {1: SECOND_FORMAT})
    assert invoice.content["format"] == SECOND_FORMAT
    assert invoice.content["tax"] is not None
    assert again(january, ledger, other, invoice).is_identical


def _lend(ledger: Ledger, other: Ledger, last: int) -> None:
    """Alpenland's documents up to this sequence, in the other ledger too."""
    for sequence in range(1, last + 1):
        for path, target in (
            (ledger.roster_path, other.roster_path),
            (ledger.document_path, other.document_path),
        ):
            to = target("alpenland", sequence)
            to.parent.mkdir(parents=True, exist_ok=True)
            if not to.exists():
                to.symlink_to(path("alpenland", sequence))


def test_the_first_difference_and_the_rosters_are_told(
    ledger: Ledger, other: Ledger, january: Warehouse, close: Close
) -> None:
    document = close(january, ledger, "2026-01")[0]
    january.conn.execute(
        "update billing.draft_roster set source_row = 13 where unit_id in ('u-a', 'u-b')"
    )
    made = again(january, ledger, other, document)
    assert not made.is_identical
    assert made.first_difference.path == "$.roster.sha256"
    # Two rows as they were, two as they are.
    assert made.roster_rows_different == 4


def test_policies_are_those_computed_not_those_issued(
    ledger: Ledger, other: Ledger, january: Warehouse, close: Close
) -> None:
    document = close(january, ledger, "2026-01")[0]
    january.conn.execute(
        "update billing.draft_invoices set policies = replace(policies, '30', '31')"
    )
    made = again(january, ledger, other, document)
    assert made.first_difference == Difference("$.policies.active_window_days", "30", "31")


def test_versions_that_give_no_such_document_say_so(
    ledger: Ledger, other: Ledger, january: Warehouse, close: Close
) -> None:
    document = close(january, ledger, "2026-01")[0]
    january.conn.execute("delete from billing.draft_invoices where distributor_id = 'alpenland'")
    with pytest.raises(NotReproducibleError, match="nothing is drafted for 2026-01 alpenland EUR"):
        reproduce.reissue(january.conn, other, [document])


def test_other_package_versions_are_named(ledger: Ledger, january: Warehouse, close: Close) -> None:
    document = close(january, ledger, "2026-01")[0]
    assert reproduce.other_versions(document) == []
    versions = {**document.provenance["versions"], "duckdb": "1.9.9"}
    older = replace(document, provenance={**document.provenance, "versions": versions})
    (told,) = reproduce.other_versions(older)
    assert told.startswith("made with duckdb 1.9.9, this is ")


def test_a_document_must_say_which_documents_its_draft_knew(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    document = close(january, ledger, "2026-01")[0]
    assert reproduce.documents_known(document) == {}
    without = {name: value for name, value in document.provenance.items() if name != "ledger"}
    with pytest.raises(NotReproducibleError, match="does not record which documents"):
        reproduce.documents_known(replace(document, provenance=without))
    # Else it would be compared with itself.
    known = {**document.provenance, "ledger": {"alpenland": 1}}
    with pytest.raises(NotReproducibleError, match="came no earlier than itself"):
        reproduce.documents_known(replace(document, provenance=known))


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("ALPENLAND-000001", "ALPENLAND-000001"),
        ("2026-01 alpenland", "ALPENLAND-000001"),
        ("2026-01 alpenland EUR", "ALPENLAND-000001"),
        ("2026-01 sakura", "sakura 000001 (nil)"),
    ],
)
def test_a_document_is_found_by_number_or_by_whose_period_it_is(
    reference: str, name: str, ledger: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    assert reproduce.find(ledger, reference).name == name


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("ALPENLAND-000009", "No document has the number"),
        ("2026-01 alpenland USD", "is not issued"),
        ("2026-02 alpenland", "is not issued"),
        ("2026-01 alpenland EUR 1", "names no document"),
    ],
)
def test_a_document_that_is_not_there_is_told(
    reference: str, why: str, ledger: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    with pytest.raises(UnknownDocumentError, match=why):
        reproduce.find(ledger, reference)


@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, None),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ("$.a[1].b", "2", "3")),
        ({"a": 1, "b": 2}, {"a": 1}, ("$.b", "2", "missing")),
        ({"a": [1]}, {"a": [1, 2]}, ("$.a[1]", "missing", "2")),
        # Canonical bytes hold keys in order, and tell text, number, null and truth apart.
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ("$", 'keys ["a", "b"]', 'keys ["b", "a"]')),
        ({"a": 1}, {"a": 1, "b": 2}, ("$", 'keys ["a"]', 'keys ["a", "b"]')),
        ({"a": 1}, {"a": "1"}, ("$.a", "1", '"1"')),
        ({"a": 1}, {"a": True}, ("$.a", "1", "true")),
        ({"a": None}, {"a": []}, ("$.a", "null", "[]")),
        # The first in the order of the document.
        ({"a": 1, "b": 1}, {"a": 2, "b": 2}, ("$.a", "1", "2")),
    ],
)
def test_the_first_difference_of_two_documents(
    expected: Any, found: Any, difference: tuple[str, str, str] | None
) -> None:
    told = reproduce.first_difference(expected, found)
    assert told == (difference and Difference(*difference))
    # A difference is told exactly when the bytes differ.
    assert (told is None) == (json.dumps(expected) == json.dumps(found))
