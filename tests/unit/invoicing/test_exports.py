"""The folder a distributor receives: figures, bytes, manners towards spreadsheets, nobody else."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pypdf
import pytest
from billing_marts import BETA, DISTRIBUTORS, GAMMA, PARTNERS, YAMA, Warehouse, add_period

from invoicing.canonical import canonical_json
from invoicing.exports import render
from invoicing.exports.exported import csv_bytes
from invoicing.ledger import Document, Ledger, LedgerError

Close = Callable[[Warehouse, Ledger, str], list[Document]]
# The vendor's usage feed, in its order.
VENDOR_COLUMNS = [
    "partnerAccountId",
    "partnerEdiAccountNumber",
    "partnerAccountName",
    "billingStartDate",
    "billingEndDate",
    "orderNumber",
    "orderLineItemNumber",
    "accountNumberOrSerialNumber",
    "productDescription",
    "productGroup",
    "sku",
    "billableQuantity",
    "externalId",
    "accountId",
    "accountStatus",
    "actualQuantity",
    "productCode",
]


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8"), newline="")))


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return tmp_path / "exports"


def render_all(ledger: Ledger, exports: Path) -> list[bool]:
    return [render(ledger, document, exports).is_changed for document in ledger.documents()]


def test_a_folder_holds_these_files(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    assert sorted(tree(exports / "2026-01" / "alpenland")) == [
        "discrepancies.csv",
        "focus_billing_period.csv",
        "focus_invoice_detail.csv",
        "invoice.csv",
        "invoice.json",
        "invoice.pdf",
        "invoice.ubl.xml",
        "invoice.xlsx",
        "managed_customer_usage.csv",
        "managed_customer_usage.html",
        "manifest.json",
        "partners/P0001/managed_customer_usage.csv",
        "partners/P0001/managed_customer_usage.html",
        "partners/P0001/statement.csv",
        "partners/P0001/statement.pdf",
        "partners/P0001/statement.xlsx",
        "partners/P0002/managed_customer_usage.csv",
        "partners/P0002/managed_customer_usage.html",
        "partners/P0002/statement.csv",
        "partners/P0002/statement.pdf",
        "partners/P0002/statement.xlsx",
        "roster.parquet",
        "usage.csv",
    ]
    # Only finished folders: nothing under a temporary name.
    assert sorted(p.name for p in (exports / "2026-01").iterdir()) == sorted(DISTRIBUTORS)


def test_invoice_csv_has_one_row_per_line(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    rows = table(exports / "2026-01" / "alpenland" / "invoice.csv")
    assert [(r["line_number"], r["quantity"], r["unit_price"], r["amount"]) for r in rows] == [
        ("1", "3", "0.335", "1.01"),
        ("2", "5", "", "46.00"),
        ("3", "1", "0.335", "0.34"),
    ]
    assert {(r["number"], r["currency"], r["due_on"]) for r in rows} == {
        ("ALPENLAND-000001", "EUR", "2026-03-03")
    }


def test_usage_csv_speaks_the_vendors_columns_and_shows_zero_usage(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    january.customer(BETA, None, "FWENT", "C004", 0, "0")
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    rows = table(exports / "2026-01" / "alpenland" / "usage.csv")
    assert list(rows[0]) == [*VENDOR_COLUMNS, "unitPrice", "netPrice", "currency"]
    assert rows[0] == {
        "partnerAccountId": "P0001",
        "partnerEdiAccountNumber": "9914:ATU00000024",
        "partnerAccountName": "Alpha IT",
        "billingStartDate": "2026-01-01",
        "billingEndDate": "2026-01-31",
        "orderNumber": "ALPENLAND-000001",
        "orderLineItemNumber": "ALPENLAND-000001-1",
        "accountNumberOrSerialNumber": "C001",
        "productDescription": "Endpoint Standard",
        "productGroup": "User",
        "sku": "MH-EPSTD-M",
        "billableQuantity": "2",
        "externalId": "2026-01/C001/EPSTD",
        "accountId": "C001",
        "accountStatus": "active",
        "actualQuantity": "3",  # one more was active on the 1st, outside the window
        "productCode": "EPSTD",
        "unitPrice": "0.335",
        "netPrice": "0.67",
        "currency": "EUR",
    }
    # Partner, then product listing: Endpoint 1, Server 4, Firewall 8, which is not alphabetical.
    assert [
        (r["accountId"], r["productCode"], r["billableQuantity"], r["accountStatus"]) for r in rows
    ] == [
        ("C001", "EPSTD", "2", "active"),
        ("C002", "EPSTD", "1", "active"),
        ("C003", "EPSTD", "0", "idle"),
        ("C001", "FWENT", "5", "active"),
        ("C004", "EPSTD", "1", "active"),
        ("C004", "SVADV", "0", "idle"),
        ("C004", "FWENT", "0", "idle"),
    ]
    assert (rows[5]["orderLineItemNumber"], rows[5]["netPrice"]) == ("", "0.00")


def test_a_statement_is_the_partners_part(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    rows = table(exports / "2026-01" / "alpenland" / "partners" / "P0001" / "statement.csv")
    assert [
        (r["record"], r["product_code"], r["customer_id"], r["quantity"], r["amount"]) for r in rows
    ] == [
        ("product", "EPSTD", "", "3", "1.01"),
        ("customer", "EPSTD", "C001", "2", "0.67"),
        ("customer", "EPSTD", "C002", "1", "0.34"),
        ("customer", "EPSTD", "C003", "0", "0.00"),
        ("product", "FWENT", "", "5", "46.00"),
        ("customer", "FWENT", "C001", "5", "46.00"),
        ("total", "", "", "8", "47.01"),
    ]
    # Since last month C002 joined with 1 unit, C003 left with 2; 100 - 3 = 97 to the next band.
    assert (rows[0]["joined"], rows[0]["left_since"]) == ("1", "2")
    assert rows[0]["units_to_next_band"] == "97"
    assert {r["partner_id"] for r in rows} == {"P0001"}


def test_a_statement_follows_the_product_listing(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    january.customer(BETA, None, "FWENT", "C004", 0, "0")
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    rows = table(exports / "2026-01" / "alpenland" / "partners" / "P0002" / "statement.csv")
    products = [r["product_code"] for r in rows if r["record"] == "product"]
    assert products == ["EPSTD", "SVADV", "FWENT"]  # listing order 1, 4, 8


def test_a_nil_document_is_published_without_a_number(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    folder = exports / "2026-01" / "sakura"
    assert table(folder / "invoice.csv") == []
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (document,) = manifest["documents"]
    assert (document["kind"], document["number"], document["sequence"]) == ("nil", None, 1)
    (row,) = table(folder / "usage.csv")
    assert (row["accountId"], row["billableQuantity"], row["orderNumber"]) == ("C700", "0", "")


def test_the_manifest_controls_every_other_file(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    add_period(january, "2026-02")
    first = close(january, ledger, "2026-01")[0]
    close(january, ledger, "2026-02")
    render_all(ledger, exports)
    for period in ("2026-01", "2026-02"):
        folder = exports / period / "alpenland"
        manifest = json.loads((folder / "manifest.json").read_bytes())
        assert {f["file"] for f in manifest["files"]} == set(tree(folder)) - {"manifest.json"}
        for entry in manifest["files"]:
            data = (folder / entry["file"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry["sha256"]
            if entry["file"].endswith(".csv"):
                assert len(table(folder / entry["file"])) == entry["rows"]
            if entry["file"].endswith(".parquet"):
                assert len(pl.read_parquet(folder / entry["file"])) == entry["rows"]
        # The JSON invoice is the chained content itself, so anybody can check the chain.
        invoice = next(f for f in manifest["files"] if f["file"] == "invoice.json")
        (document,) = manifest["documents"]
        assert invoice["sha256"] == document["content_sha256"]
    assert document["previous_content_sha256"] == first.provenance["content_sha256"]


def test_money_agrees_across_the_files(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    folder = exports / "2026-01" / "alpenland"

    def cents(text: str) -> int:
        return int(text.replace(".", ""))

    total = cents(json.loads((folder / "invoice.json").read_bytes())["totals"]["amount"])
    assert total == 4735
    assert sum(cents(r["amount"]) for r in table(folder / "invoice.csv")) == total
    assert sum(cents(r["netPrice"]) for r in table(folder / "usage.csv")) == total
    statements = [r for p in folder.glob("partners/*/statement.csv") for r in table(p)]
    for record in ("product", "customer", "total"):
        assert sum(cents(r["amount"]) for r in statements if r["record"] == record) == total


def test_rendering_again_touches_nothing(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    close(january, ledger, "2026-01")
    assert render_all(ledger, exports) == [True, True, True]
    folder = exports / "2026-01" / "alpenland"
    inode, before = folder.stat().st_ino, tree(exports)
    assert render_all(ledger, exports) == [False, False, False]
    assert folder.stat().st_ino == inode
    assert tree(exports) == before
    shutil.rmtree(exports)
    render_all(ledger, exports)
    assert tree(exports) == before


@pytest.mark.parametrize("damage", ["edited", "extra", "manifest gone", "interrupted"])
def test_a_damaged_folder_is_put_right(
    damage: str, ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    before = tree(exports)
    folder = exports / "2026-01" / "alpenland"
    if damage == "edited":
        (folder / "usage.csv").write_bytes(b"mine\r\n")
    elif damage == "extra":
        (folder / "notes.txt").write_bytes(b"mine")
    elif damage == "manifest gone":
        (folder / "manifest.json").unlink()
    else:
        # As a kill between the two renames leaves it: the old folder aside, a new one half built.
        folder.rename(folder.with_name(".alpenland.old"))
        folder.with_name(".alpenland.new").mkdir()
        (folder.with_name(".alpenland.new") / "usage.csv").write_bytes(b"half")
    assert render_all(ledger, exports) == [True, False, False]
    assert tree(exports) == before


def test_a_second_currency_gets_a_sub_folder_and_moves_nothing(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    folder = exports / "2026-01" / "alpenland"
    before = tree(folder)
    january.invoice("alpenland", "2", 1, currency="USD")
    january.line(BETA, 1, "EPSTD", 2, "1.000000", "2", currency="USD")
    january.customer(BETA, 1, "EPSTD", "C005", 2, "2", currency="USD")
    january.unit(BETA, "EPSTD", "C005", "u-1", currency="USD")
    (document,) = close(january, ledger, "2026-01")
    render(ledger, document, exports)
    after = tree(folder)
    both = {"manifest.json", "focus_invoice_detail.csv"}  # they speak for both
    before = {name: body for name, body in before.items() if name not in both}
    assert {name: after[name] for name in before} == before
    assert sorted(set(after) - set(before) - both) == [
        "USD/discrepancies.csv",
        "USD/invoice.csv",
        "USD/invoice.json",
        "USD/invoice.pdf",
        "USD/invoice.ubl.xml",
        "USD/invoice.xlsx",
        "USD/managed_customer_usage.csv",
        "USD/managed_customer_usage.html",
        "USD/partners/P0002/managed_customer_usage.csv",
        "USD/partners/P0002/managed_customer_usage.html",
        "USD/partners/P0002/statement.csv",
        "USD/partners/P0002/statement.pdf",
        "USD/partners/P0002/statement.xlsx",
        "USD/roster.parquet",
        "USD/usage.csv",
    ]
    assert render_all(ledger, exports) == [False, False, False, False]


def test_a_wrong_roster_is_not_published(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    document = close(january, ledger, "2026-01")[0]
    ledger.roster_path("alpenland", 1).write_bytes(b"PAR1")
    with pytest.raises(LedgerError, match="Restore the ledger from its backup"):
        render(ledger, document, exports)
    assert not (exports / "2026-01").exists()


def test_a_path_never_leaves_its_folder(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    for name in (
        "draft_invoice_lines",
        "draft_invoice_customers",
        "draft_managed_customers",
        "draft_roster",
    ):
        january.conn.execute(
            f"update billing.{name} set partner_id = '../../../x' where partner_id = 'P0009'"
        )
    close(january, ledger, "2026-01")
    with pytest.raises(ValueError, match="would leave the export folder"):
        render_all(ledger, exports)
    assert not (exports / "2026-01" / "cascadia").exists()


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", '"\'\rx"'),
        ('=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"'),
        ("-12.50", "-12.50"),  # a number is harmless and stays one
        ("+3", "+3"),
        ("-1+2", "'-1+2"),
        ("-5\n=1", "\"'-5\n'=1\""),
        # Where a spreadsheet splits at semicolons, what follows one begins a cell.
        ("A;=1+1", "A;'=1+1"),
        ("A\t@x", "A\t'@x"),
        ("A = B - C; D", "A = B - C; D"),
        (" =1+1", "' =1+1"),
        ("\nx", '"\'\nx"'),
        ("\uff1d1+1", "'\uff1d1+1"),
        # One more than there was, so that taking one away gives the text back.
        ("'=1+1", "''=1+1"),
        ("'quoted'", "'quoted'"),
        ("-٣", "'-٣"),  # only ASCII digits make a number
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ("two\nlines", '"two\nlines"'),
        ("<b>Zoë</b>", "<b>Zoë</b>"),
    ],
)
def test_cells_are_literal_text(text: str, cell: str) -> None:
    assert csv_bytes(["h"], [[text]]) == f"h\r\n{cell}\r\n".encode()


def test_nulls_are_empty_and_csv_reads_back() -> None:
    data = csv_bytes(["a", "b", "c"], [[None, 7, 'x,"y"\r\nz']])
    assert list(csv.reader(io.StringIO(data.decode(), newline=""))) == [
        ["a", "b", "c"],
        ["", "7", 'x,"y"\r\nz'],
    ]


def test_a_name_that_is_a_formula_is_neutralised_in_every_csv(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    january.conn.execute("update billing.draft_invoice_lines set partner_name = '=cmd|calc'")
    for mart in ("draft_invoice_customers", "draft_managed_customers"):
        january.conn.execute(
            f"update billing.{mart} set partner_name = '=cmd|calc', customer_name = '@x'"
        )
    january.discrepancy("d1", "alpenland", severity="info", evidence="=evil", found="-1")
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    for path in exports.rglob("*.csv"):
        for row in table(path):
            for value in row.values():
                assert not value.startswith(("=", "+", "@", "\t", "\r")), (path, value)
    rows = table(exports / "2026-01" / "alpenland" / "discrepancies.csv")
    assert (rows[0]["evidence"], rows[0]["found"]) == ("'=evil", "-1")
    # Only spreadsheets need that: the JSON keeps the name as it is.
    assert b'"=cmd|calc"' in (exports / "2026-01" / "alpenland" / "invoice.json").read_bytes()


def everything_in(folder: Path) -> str:
    """All text of a folder, with Parquet, XLSX and PDF unpacked, and its file names."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(str(path.relative_to(folder)))
        if path.suffix == ".parquet":
            parts.append(str(pl.read_parquet(path).rows()))
            parts.append(path.read_bytes().decode("latin-1"))
        elif path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as archive:
                parts += (archive.read(name).decode("utf-8") for name in archive.namelist())
        elif path.suffix == ".pdf":
            parts += (page.extract_text() for page in pypdf.PdfReader(path).pages)
            # Not compressed: what a reader of the page does not see, titles among them.
            parts.append(path.read_bytes().decode("latin-1"))
        elif path.is_file():
            parts.append(path.read_text("utf-8"))
    return "\n".join(parts)


def test_nobody_elses_id_or_name_is_in_a_folder(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    for distributor_id in DISTRIBUTORS:
        january.discrepancy(
            f"d-{distributor_id[0]}",
            distributor_id,
            severity="warning",
            partner_id="P0009",
            expected="approved by P0001 and P0009",
            found="Alpha IT, Gamma Security, Yama",
            evidence="cascadia, sakura and alpenland disagree; C900 (Niner LLC), C700, C001",
            action="ask Cascadia Channel Partners Inc, Sakura Shoji KK, "
            "Alpenland Distribution GmbH",
        )
    january.unit(GAMMA, "EPSTD", "C900", "u-q", is_counted=False, reason="other_partner_of_record")
    add_period(january, "2026-02", "sakura")
    close(january, ledger, "2026-01")
    render_all(ledger, exports)
    own = {
        "alpenland": {"alpenland", "P0001", "P0002", "C001", "C002", "C003", "C004"},
        "cascadia": {"cascadia", GAMMA[1], "C900"},
        "sakura": {"sakura", YAMA[1], "C700"},
    }
    names = {i: name for i, (name, *_) in DISTRIBUTORS.items()} | PARTNERS | {"C900": "Niner LLC"}
    for distributor_id, ids in own.items():
        text = everything_in(exports / "2026-01" / distributor_id)
        foreign = set().union(*own.values()) - ids
        for name in foreign | {names[i] for i in foreign if i in names}:
            assert name not in text, (distributor_id, name)
            assert name.upper() not in text, (distributor_id, name)
        for name in ids:
            assert name in text


def test_exports_show_content_hashes_only(
    ledger: Ledger, january: Warehouse, close: Close, exports: Path
) -> None:
    for document in close(january, ledger, "2026-01"):
        folder = render(ledger, document, exports).folder
        text = everything_in(folder)
        assert document.provenance["version_set_sha256"] not in text
        assert (folder / "invoice.json").read_bytes() == canonical_json(document.content)
