"""The page of managed customers as a file: its figures, its bytes, whose it is, and how big."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from billing_marts import ALPHA, Warehouse, add_period, correct_january
from usage_months import NAMES, fill_usage

from invoicing import documents, gate, notes
from invoicing.content import WITHOUT_TAX
from invoicing.exports import managed_customer_usage as pages
from invoicing.exports import render
from invoicing.ledger import Document, Ledger, LedgerError
from invoicing.roster_summary import Seen, Summary

Close = Callable[[Warehouse, Ledger, str], list[Document]]


@pytest.fixture
def february(ledger: Ledger, warehouse: Warehouse, close: Close) -> Document:
    fill_usage(warehouse)
    close(warehouse, ledger, "2026-01")
    (document,) = close(warehouse, ledger, "2026-02")
    return document


def table(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode("utf-8"), newline="")))


def files(ledger: Ledger, document: Document) -> dict[str, bytes]:
    found = {}
    for file in pages.managed_customer_usage(ledger, document):
        assert isinstance(file.body, bytes)
        found[file.path] = file.body
    return found


def data_of(body: bytes) -> Any:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', body.decode(), re.DOTALL
    )
    assert found
    return json.loads(found[1])


def test_the_table_has_every_managed_customer_whatever_its_licence(
    ledger: Ledger, february: Document
) -> None:
    rows = table(files(ledger, february)["partners/P0001/managed_customer_usage.csv"])
    assert list(rows[0]) == list(pages.HEADER)
    columns = ("customer_id", "product_code", "licence_type", "owner", "licensed_quantity")
    figures = ("active_units", "billed_units", "joined", "left_since")
    # By customer, then in the products' listing order. Of what is not on the invoice the rosters
    # say who came and went: January had neither the servers nor the trial.
    assert [tuple(row[name] for name in (*columns, *figures)) for row in rows] == [
        ("C001", "EPSTD", "monthly", "partner", "", "3", "3", "1", "1"),
        ("C001", "SVADV", "term", "customer", "10", "2", "0", "2", "0"),
        ("C001", "FWENT", "monthly", "partner", "", "2", "1", "0", "0"),
        ("C002", "EPSTD", "monthly", "partner", "", "1", "1", "0", "0"),
        ("C003", "EPSTD", "monthly", "partner", "", "1", "1", "0", "0"),
        ("C004", "EPSTD", "monthly", "partner", "", "0", "0", "0", "0"),
        ("C005", "EPSTD", "trial", "partner", "", "1", "0", "1", "0"),
        ("C006", "EPSTD", "monthly", "partner", "", "0", "0", "0", "0"),
        ("C007", "EPSTD", "monthly", "partner", "", "2", "2", "0", "0"),
        ("C008", "EPSTD", "monthly", "partner", "", "11", "11", "0", "0"),
    ]
    assert {(row["state"], row["as_of"], row["number"]) for row in rows} == {
        ("final", "2026-02-28", "ALPENLAND-000002")
    }


def test_figures_are_the_documents(ledger: Ledger, february: Document) -> None:
    content = february.content
    found = pages.managed_customer_usage(ledger, february)
    (whole, *_) = found
    assert whole.totals == {"active_units": 27, "billed_units": content["totals"]["units"]}
    billed = {
        (customer["customer_id"], line["product_code"]): customer["quantity"]
        for line in (*content["lines"], *content["unused"])
        for customer in line["customers"]
    }
    rows = table(files(ledger, february)["managed_customer_usage.csv"])
    shown = {(r["customer_id"], r["product_code"]): int(r["billed_units"]) for r in rows}
    assert {key: units for key, units in shown.items() if key in billed} == billed
    assert {units for key, units in shown.items() if key not in billed} == {0}
    assert {file.rows for file in found if file.path.startswith("managed")} == {len(rows)}


def test_the_roster_behind_a_number(ledger: Ledger, february: Document) -> None:
    usage = pages.of_document(ledger, february)
    use = next(u for u in usage.uses if (u.customer_id, u.product_code) == ("C001", "EPSTD"))
    assert use.roster.seen == (
        Seen("u-a", date(2026, 2, 27), None),
        Seen("u-b", date(2026, 2, 2), None),
        Seen("u-c", date(2026, 2, 28), None),
    )
    assert (use.roster.joiners, use.roster.leavers) == (("u-c",), ("u-old",))
    data = data_of(files(ledger, february)["managed_customer_usage.html"])
    # The window has 30 dates from 30 January; two users on the 1st and 2nd, then one.
    assert data["uses"][0][11:13] == [
        "00" + "22" + "1" * 26,
        ["u-a", 28, -1, "u-b", 3, -1, "u-c", 29, -1],
    ]
    firewalls = next(u for u in usage.uses if u.product_code == "FWENT")
    assert [(one.unit_id, one.reason) for one in firewalls.roster.seen] == [
        ("FW1", None),
        ("FW2", "ha_member"),
    ]
    # The passive member counts through the other one, and so did not join.
    assert firewalls.roster.joiners == ("FW1",)


def test_who_left_is_asked_of_what_was_last_said_of_the_month_before(
    ledger: Ledger, warehouse: Warehouse, close: Close
) -> None:
    """The invoice that was in force when this one was issued, whatever became of it later."""
    fill_usage(warehouse)
    add_period(warehouse, "2026-03")
    (january,) = close(warehouse, ledger, "2026-01")
    (february,) = close(warehouse, ledger, "2026-02")
    assert pages.before(ledger, january) is None
    assert pages.before(ledger, february) == january
    cancelled = notes.cancel(ledger, "ALPENLAND-000002", reason="x", by="Ada", on=date(2026, 3, 2))
    (again,) = close(warehouse, ledger, "2026-02")
    assert (february.sequence, cancelled.sequence, again.sequence) == (2, 3, 4)
    assert pages.before(ledger, again) == january
    (march,) = close(warehouse, ledger, "2026-03")
    assert pages.before(ledger, march) == again
    # C004 is Beta's in March, with a user February does not know.
    assert [
        (use.customer_id, use.roster.joiners, use.roster.left)
        for use in pages.of_document(ledger, march).uses
    ] == [("C004", ("u-d",), 0)]


def test_a_note_says_who_was_there_after_all(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    """January's note does not count u-b any more: in February it has not left."""
    add_period(january, "2026-02")
    january.unit(ALPHA, "EPSTD", "C001", "u-a", period="2026-02")
    january.managed(ALPHA, "EPSTD", "C001", 1, 1, period="2026-02")
    gate.decide(january.conn, ledger, "2026-01", [])
    documents.issue(january.conn, ledger, "2026-01")
    correct_january(january)
    january.conn.execute("delete from billing.draft_roster where unit_id = 'u-b'")
    note, february = close(january, ledger, "2026-02")
    assert pages.before(ledger, february) == note
    (use,) = (u for u in pages.of_document(ledger, february).uses if u.customer_id == "C001")
    assert (use.roster.joiners, use.roster.leavers) == ((), ())


def test_a_file_holds_one_tenant_only(ledger: Ledger, february: Document) -> None:
    found = files(ledger, february)
    assert sorted(found) == [
        *(f"managed_customer_usage.{suffix}" for suffix in ("csv", "html")),
        *(
            f"partners/{partner_id}/managed_customer_usage.{suffix}"
            for partner_id in ("P0001", "P0002")
            for suffix in ("csv", "html")
        ),
    ]
    foreign = {
        "P0001": ("P0002", "Beta Systems", "C009", "Beta's customer", "u-9-0"),
        "P0002": ("P0001", "Alpha IT", "C001", "Zoë", "u-a", "Server Advanced", "term"),
    }
    for partner_id, texts in foreign.items():
        for suffix in ("csv", "html"):
            text = found[f"partners/{partner_id}/managed_customer_usage.{suffix}"].decode()
            data = (
                json.dumps(data_of(text.encode()), ensure_ascii=False) if suffix == "html" else text
            )
            for one in texts:
                assert one not in data, (partner_id, suffix, one)
            # Nor outside the data; words of the page itself may be anybody's.
            for one in texts[:5]:
                assert one not in text, (partner_id, suffix, one)
            assert "Alpenland Distribution" not in text


def test_the_policy_names_the_very_script_and_style_and_nothing_else(
    ledger: Ledger, february: Document
) -> None:
    for path, body in files(ledger, february).items():
        if not path.endswith(".html"):
            continue
        text = body.decode()
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        hashes = [
            base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
            for part in (script, style)
        ]
        assert policy
        assert policy[1].replace("&#39;", "'") == (
            f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
            "base-uri 'none'; form-action 'none'"
        )
        data = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
        assert data
        assert not set("<>&\u2028\u2029") & set(data[1])
        # No address, no attribute that would run something or bring its own style.
        address = r"https?:(?!//www\.w3\.org/2000/svg)|\ssrc=|\son\w+=|\sstyle=|url\("
        assert not re.search(address, text.replace(data[1], ""))


def test_the_same_bytes_every_time(ledger: Ledger, february: Document) -> None:
    assert files(ledger, february) == files(Ledger(ledger.root), february)


def test_an_invoice_of_format_1_shows_what_it_has(
    ledger: Ledger, warehouse: Warehouse, tmp_path: Path
) -> None:
    """No names and owners of term and trial customers, and it says so; the figures are the same."""
    fill_usage(warehouse)
    gate.decide(warehouse.conn, ledger, "2026-01", [])
    documents.issue(warehouse.conn, ledger, "2026-01", {1: WITHOUT_TAX})
    gate.decide(warehouse.conn, ledger, "2026-02", [])
    (document,) = documents.issue(warehouse.conn, ledger, "2026-02", {2: WITHOUT_TAX})
    assert "managed_customers" not in document.content
    usage = pages.of_document(ledger, document)
    assert [
        (u.customer_name, u.licence_type, u.owner, u.active_units, u.billed_units)
        for u in usage.uses
        if u.billed_units < u.active_units
    ] == [
        (NAMES["C001"], "monthly", "partner", 2, 1),
        (NAMES["C001"], "term", None, 2, 0),
        ("C005", "trial", None, 1, 0),
    ]
    assert sum(u.active_units for u in usage.uses) == 27
    assert b"before names, owners and bought quantities" in pages.page(usage)
    assert usage.products[-1].product_name == "SVADV"  # nothing in the document names it


def test_a_cancelled_invoice_has_no_page(
    ledger: Ledger, warehouse: Warehouse, close: Close, tmp_path: Path
) -> None:
    fill_usage(warehouse)
    (document,) = close(warehouse, ledger, "2026-01")
    notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=date(2026, 2, 2))
    folder = render(ledger, document, tmp_path / "exports").folder
    assert not [path for path in folder.rglob("*") if "usage.html" in path.name]


def test_a_damaged_roster_of_the_month_before_is_told(ledger: Ledger, february: Document) -> None:
    ledger.roster_path("alpenland", 1).write_bytes(b"PAR1")
    with pytest.raises(LedgerError, match="not the roster ALPENLAND-000001 was issued with"):
        pages.managed_customer_usage(ledger, february)


def big(customers: int, products: int = 3, units: int = 12) -> pages.Usage:
    """A tenant of this size: every customer has every product, with as many units."""
    named = [pages.Product(f"P{at}", f"Product {at}", "user", at) for at in range(products)]
    starts_on = date(2026, 1, 2)
    uses = []
    for customer in range(customers):
        for product in named:
            ids = [f"u-{customer:06x}{at:010x}" for at in range(units)]
            last = [(customer + at) % 30 for at in range(units)]
            daily = {
                starts_on + timedelta(days=at): 1 + (customer + at) % units for at in range(30)
            }
            seen = tuple(
                Seen(one, starts_on + timedelta(days=at), None)
                for one, at in zip(ids, last, strict=True)
            )
            uses.append(
                pages.ProductUse(
                    partner_id="P0001",
                    partner_name="Alpha IT",
                    customer_id=f"C{customer:06d}",
                    customer_name=f"Kunde {customer} Gebäudetechnik Ges.m.b.H.",
                    product_code=product.product_code,
                    licence_type=("monthly", "term")[customer % 7 == 0],
                    owner=("partner", "customer")[customer % 7 == 0],
                    licensed_quantity=None,
                    active_units=units,
                    billed_units=units,
                    joined=units if customer % 5 == 0 else 0,
                    left_since=0,
                    not_billed={},
                    roster=Summary(seen, daily, tuple(ids[:3]), (), units, 0),
                )
            )
    return pages.Usage(
        state="final",
        as_of="2026-01-31",
        period="2026-01",
        number="ALPENLAND-000001",
        window_starts_on="2026-01-02",
        window_ends_on="2026-01-31",
        currency="EUR",
        owner_kind="partner",
        owner_id="P0001",
        owner_name="Alpha IT",
        rest="in roster.parquet at your distributor",
        products=tuple(named),
        uses=tuple(uses),
        lines=(),
    )


def test_a_page_of_500_customers_can_be_mailed() -> None:
    assert len(pages.page(big(500))) < 500_000
    assert len(pages.page(big(500, products=6, units=40))) < 500_000


def test_a_page_lists_fewer_units_the_bigger_it_is() -> None:
    """At most 200 behind a figure, and 6,000 on the page."""
    one = data_of(pages.page(big(1, products=1, units=300)))["uses"][0]
    assert (one[5], len(one[12]) // 3) == (300, 200)
    # 500 customers x 3 products, 12 units and 3 joiners each: with 3 listed, 1,500 x (3 + 3) is
    # 9,000 and too much; with 2 it is 6,000.
    many = data_of(pages.page(big(500)))["uses"]
    assert {(len(use[12]) // 3, len(use[13])) for use in many} == {(2, 2)}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0, 1, 35, 63], "01z_"),
        ([0, 64, 4095], "0010__"),  # 64 is 1 x 64 + 0, 4095 is 63 x 64 + 63
        ([4096], "100"),
        ([0, 0], "00"),
    ],
)
def test_numbers_of_one_width_in_base_64(values: list[int], text: str) -> None:
    assert pages.digits(values) == text
