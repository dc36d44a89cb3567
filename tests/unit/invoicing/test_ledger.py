"""The ledger: what is appended stays, what is changed is noticed, what crashed is invisible."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from billing_marts import Warehouse, add_period

from invoicing import documents, gate
from invoicing.canonical import canonical_json, sha256
from invoicing.ledger import Document, Ledger, LedgerError

Close = Callable[[Warehouse, Ledger, str], list[Document]]


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a ledger file as a careful forger would: canonical bytes, content hash renewed."""
    value = json.loads(path.read_bytes())
    change(value["content"])
    value["provenance"]["content_sha256"] = sha256(canonical_json(value["content"]))
    path.write_bytes(canonical_json(value))


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_new_ledger_is_empty_and_verifies(ledger: Ledger, warehouse: Warehouse) -> None:
    assert list(ledger.documents()) == []
    assert ledger.verify() is None
    ledger.load_into(warehouse.conn)
    for table in ("documents", "lines", "customers"):
        assert warehouse.conn.execute(f"select count(*) from ledger.{table}").fetchall() == [(0,)]


def test_numbers_are_gapless_and_a_nil_document_takes_a_sequence_but_no_number(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    add_period(january, "2026-02", "sakura")
    add_period(january, "2026-02", "alpenland")
    close(january, ledger, "2026-01")
    close(january, ledger, "2026-02")
    # Sakura used nothing in January: sequence 1 without number, and February is its number 1.
    assert [(d.distributor_id, d.sequence, d.number) for d in ledger.documents()] == [
        ("alpenland", 1, "ALPENLAND-000001"),
        ("alpenland", 2, "ALPENLAND-000002"),
        ("cascadia", 1, "CASCADIA-000001"),
        ("sakura", 1, None),
        ("sakura", 2, "SAKURA-000001"),
    ]
    assert [d.content["kind"] for d in ledger.documents("sakura")] == ["nil", "invoice"]
    assert ledger.verify() is None


def test_each_document_carries_the_hashes_of_the_one_before(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    add_period(january, "2026-02")
    close(january, ledger, "2026-01")
    close(january, ledger, "2026-02")
    first, second = ledger.documents("alpenland")
    first_file = ledger.document_path("alpenland", 1).read_bytes()
    assert first.content["previous_content_sha256"] is None
    assert second.content["previous_content_sha256"] == sha256(canonical_json(first.content))
    assert second.provenance["previous_document_sha256"] == sha256(first_file)


def test_the_same_period_is_not_appended_twice(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    document = close(january, ledger, "2026-01")[0]
    before = tree(ledger.root)
    with pytest.raises(LedgerError, match=r"already issued as ALPENLAND-000001"):
        ledger.append(document)
    assert tree(ledger.root) == before


def test_a_document_whose_lines_do_not_add_up_is_refused(
    ledger: Ledger, january: Warehouse
) -> None:
    # 1.01 + 46.00 + 0.34 = 47.35, so a header of 47.36 is wrong by a cent.
    january.conn.execute(
        "update billing.draft_invoices set total_amount = 47.36 where currency = 'EUR'"
    )
    gate.decide(january.conn, ledger, "2026-01", [])
    with pytest.raises(LedgerError, match=r"lines add up to 47.35, not 47.36"):
        documents.issue(january.conn, ledger, "2026-01")
    assert list(ledger.documents("alpenland")) == []


def test_customers_that_do_not_add_up_to_their_line_are_refused(
    ledger: Ledger, january: Warehouse
) -> None:
    january.conn.execute(
        "update billing.draft_invoice_customers set quantity = 3 where customer_id = 'C002'"
    )
    gate.decide(january.conn, ledger, "2026-01", [])
    with pytest.raises(LedgerError, match=r"line 1: customers add up to 5 quantity, not 3"):
        documents.issue(january.conn, ledger, "2026-01")


def set_total(content: dict[str, Any]) -> None:
    content["totals"]["amount"] = "99.99"


def set_customer(content: dict[str, Any]) -> None:
    content["lines"][0]["customers"][0]["amount"] = "0.68"


def set_number(content: dict[str, Any]) -> None:
    content["number"] = "ALPENLAND-000007"


def set_name(content: dict[str, Any]) -> None:
    content["lines"][0]["partner_name"] = "Somebody else"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        # 0.68 + 0.34 + 0.00 = 1.02 on a line of 1.01
        (set_customer, "alpenland/000001.json: line 1: customers add up to 1.02 amount, not 1.01"),
        (set_total, "alpenland/000001.json: lines add up to 47.35, not 99.99"),
        (set_number, "alpenland/000001.json: number is ALPENLAND-000007"),
        # Nothing inside the first file betrays a changed name: the next link does.
        (set_name, "alpenland/000002.json: previous content hash"),
    ],
)
def test_verify_names_the_first_broken_link(
    change: Callable[[dict[str, Any]], None],
    fault: str,
    ledger: Ledger,
    january: Warehouse,
    close: Close,
) -> None:
    add_period(january, "2026-02")
    close(january, ledger, "2026-01")
    close(january, ledger, "2026-02")
    assert ledger.verify() is None
    rewrite(ledger.document_path("alpenland", 1), change)
    assert (ledger.verify() or "").startswith(fault)


def test_verify_notices_a_flipped_bit_a_changed_roster_and_a_missing_document(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    add_period(january, "2026-02")
    close(january, ledger, "2026-01")
    close(january, ledger, "2026-02")
    path, roster = ledger.document_path("alpenland", 1), ledger.roster_path("alpenland", 1)
    good, good_roster = path.read_bytes(), roster.read_bytes()

    path.write_bytes(good.replace(b"Alpha IT", b"Alpha IU", 1))
    assert "content hash" in (ledger.verify() or "")
    path.write_bytes(good + b" ")
    assert "canonical" in (ledger.verify() or "")
    path.write_bytes(good[: len(good) // 2])
    assert "not a ledger document" in (ledger.verify() or "")
    path.write_bytes(good)

    roster.write_bytes(good_roster[:-1] + b"?")
    assert "bytes of its roster 000001.roster.parquet" in (ledger.verify() or "")
    roster.unlink()
    assert "is missing" in (ledger.verify() or "")
    roster.write_bytes(good_roster)
    assert ledger.verify() is None

    path.unlink()
    assert "000002.json: sequence is 2, should be 1" in (ledger.verify() or "")


def test_nothing_is_read_from_a_changed_document(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    """Status, explanations and exports read documents one by one, without walking the chain."""
    close(january, ledger, "2026-01")
    path = ledger.document_path("alpenland", 1)
    changed = path.read_bytes().replace(b"Alpha IT", b"Alpha IU", 1)
    path.write_bytes(changed)
    for read in (
        lambda one: list(one.documents()),
        lambda one: one.issued("2026-01", "alpenland", "EUR"),
        lambda one: one.numbered("ALPENLAND-000001"),
    ):
        with pytest.raises(LedgerError, match="changed after it was issued"):
            read(Ledger(ledger.root))
    with pytest.raises(LedgerError, match=r"damaged: alpenland/000001.json: content hash"):
        Ledger(ledger.root).check()


def test_verify_notices_a_changed_provenance(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    """The distributor never sees the version set, so only the hash of the whole file covers it."""
    add_period(january, "2026-02")
    close(january, ledger, "2026-01")
    close(january, ledger, "2026-02")
    path = ledger.document_path("alpenland", 1)
    path.write_bytes(path.read_bytes().replace(b"a" * 64, b"b" * 64))
    assert (ledger.verify() or "").startswith("alpenland/000002.json: previous document hash")


def test_verify_notices_a_document_in_a_wrong_folder(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    source, target = ledger.root / "sakura", ledger.root / "nobody"
    source.rename(target)
    assert ledger.verify() == "nobody/000001.json: belongs to sakura"


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {repository!r}]
from billing_marts import Warehouse, fill_january
from invoicing import documents, gate
from invoicing.ledger import Ledger

warehouse, ledger = Warehouse(), Ledger(Path({root!r}))
fill_january(warehouse)
gate.decide(warehouse.conn, ledger, "2026-01", [])
renames, rename = 0, Path.replace


def rename_or_die(self, target):
    global renames
    if renames == {allowed}:
        os.kill(os.getpid(), signal.SIGKILL)
    renames += 1
    return rename(self, target)


Path.replace = rename_or_die
documents.issue(warehouse.conn, ledger, "2026-01")
"""


@pytest.mark.parametrize("allowed", [0, 1, 2, 3])
def test_a_kill_between_roster_and_document_leaves_whole_documents_only(
    allowed: int, ledger: Ledger, tmp_path: Path, january: Warehouse, close: Close
) -> None:
    """Renames are roster 1, document 1, roster 2, ...; `allowed` of them happen before SIGKILL."""
    tests = Path(__file__).parent
    script = KILLED.format(
        tests=str(tests),
        repository=str(tests.parents[2]),
        root=str(ledger.root),
        allowed=allowed,
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert len(list(ledger.documents())) == allowed // 2
    assert ledger.verify() is None
    assert list(ledger.root.rglob("*.tmp"))

    # Run again: the rest is written, nothing is left over, and the bytes are those of a clean run.
    close(january, ledger, "2026-01")
    clean = Ledger(tmp_path / "clean")
    close(january, clean, "2026-01")
    assert ledger.verify() is None
    assert tree(ledger.root) == tree(clean.root)
    assert not list(ledger.root.rglob("*.tmp"))


def test_a_full_disk_names_the_path_and_the_bytes_needed(
    ledger: Ledger, january: Warehouse
) -> None:
    gate.decide(january.conn, ledger, "2026-01", [])
    # A directory where the temporary file goes is as good as a disk that refuses the write.
    blocker = ledger.root / "alpenland" / ".000001.json.tmp"
    blocker.mkdir(parents=True)
    with pytest.raises(OSError, match=r"bytes needed.*000001\.json"):
        documents.issue(january.conn, ledger, "2026-01")
    assert list(ledger.documents()) == []


def test_an_id_that_collides_or_leaves_the_ledger_is_refused(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    document = close(january, ledger, "2026-01")[0]
    for distributor_id, message in (
        ("ALPENLAND", "differ only in case"),
        ("../x", "cannot be the name"),
        ("releases", "choose an id"),
        ("Disputes.jsonl", "choose an id"),
    ):
        content = {**document.content, "distributor": {"distributor_id": distributor_id}}
        with pytest.raises(LedgerError, match=message):
            ledger.append(Document(content, document.provenance))


def test_the_warehouse_holds_what_the_documents_say(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    close(january, ledger, "2026-01")
    conn = january.conn
    ledger.load_into(conn)
    ledger.load_into(conn)  # a full replacement, so twice is once
    assert conn.execute(
        """
        select distributor_id, number, kind, cutoff_on::varchar, total_amount
        from ledger.documents order by 1
        """
    ).fetchall() == [
        ("alpenland", "ALPENLAND-000001", "invoice", "2026-01-31", Decimal("47.350")),
        ("cascadia", "CASCADIA-000001", "invoice", "2026-01-25", Decimal("4.620")),
        ("sakura", None, "nil", "2026-01-31", Decimal("0.000")),
    ]
    assert conn.execute(
        "select line_number, unit_price, amount from ledger.lines "
        "where distributor_id = 'alpenland' order by 1"
    ).fetchall() == [
        (1, Decimal("0.335000"), Decimal("1.010")),
        (2, None, Decimal("46.000")),
        (3, Decimal("0.335000"), Decimal("0.340")),
    ]
    # Six customer rows of Alpenland (two of them zero), one each of Cascadia and Sakura.
    assert conn.execute(
        "select count(*), sum(quantity), sum(amount) from ledger.customers"
    ).fetchall() == [(8, 11, Decimal("51.970"))]  # 47.35 + 4.62
    types = conn.execute(
        "select distinct data_type from duckdb_columns() "
        "where schema_name = 'ledger' and column_name like '%amount'"
    ).fetchall()
    assert types == [("DECIMAL(18,3)",)]


def test_money_reaches_the_warehouse_digit_by_digit(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    # 999999999999.99 has more digits than a double can be trusted with in thousandths.
    large = "999999999999.99"
    for table, column in (
        ("draft_invoices", "total_amount"),
        ("draft_invoices", "payable_amount"),
        ("draft_invoice_lines", "amount"),
        ("draft_invoice_customers", "amount"),
    ):
        january.conn.execute(
            f"update billing.{table} set {column} = {large} where distributor_id = 'cascadia'"
        )
    close(january, ledger, "2026-01")
    ledger.load_into(january.conn)
    assert january.conn.execute(
        "select amount from ledger.lines where distributor_id = 'cascadia'"
    ).fetchall() == [(Decimal(large),)]
