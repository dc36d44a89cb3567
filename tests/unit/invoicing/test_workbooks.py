"""invoice.xlsx, notes and statements read back: the ledger's figures, text as text, same bytes."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from billing_marts import ALPHA, Warehouse, add_period, correct_january

from invoicing.canonical import JsonObject
from invoicing.content import SECOND_FORMAT, in_format
from invoicing.exports import render, xlsx
from invoicing.exports.exported import ExportedFile
from invoicing.exports.workbooks import invoice_xlsx, note_xlsx, statements_xlsx
from invoicing.exports.xlsx import LONGEST_TEXT, Page, Table, workbook
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]
ISSUED = date(2026, 2, 1)
HOSTILE = (
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "http://example.com/x",
    "mailto:a@b.c",
    "internal:Sheet1!A1",
    "{=SUM(A1)}",
    "007",
    "1e5",
    "2026-01-31",
    "TRUE",
    "&<b>\"'",
    "]]>",
    " kept spaces ",
    "two\nlines",
    "\u202egnp.exe",
    "\U0001f468\u200d\U0001f469",
)


def opened(file: ExportedFile | bytes) -> dict[str, list[list[Any]]]:
    """The values of every sheet by its name."""
    body = file.body if isinstance(file, ExportedFile) else file
    assert isinstance(body, bytes)
    book = openpyxl.load_workbook(io.BytesIO(body))
    return {sheet.title: [[cell.value for cell in row] for row in sheet] for sheet in book}


def records(rows: list[list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def form(rows: list[list[Any]]) -> dict[str, Any]:
    """Label and value of a page's first two columns; the last of a name counts."""
    return {row[0]: row[1] for row in rows if row[0] is not None}


def exact(value: Any) -> Decimal:
    """The decimal number that a cell shows."""
    assert type(value) in (int, float)
    return Decimal(repr(value))


def parts(file: ExportedFile) -> dict[str, str]:
    assert isinstance(file.body, bytes)
    with zipfile.ZipFile(io.BytesIO(file.body)) as archive:
        return {name: archive.read(name).decode("utf-8") for name in archive.namelist()}


@pytest.fixture
def contents(ledger: Ledger, january: Warehouse, close: Close) -> dict[str, JsonObject]:
    """EUR and USD invoices and a nil of January, a JPY invoice and a credit note of February."""
    close(january, ledger, "2026-01")
    correct_january(january)
    add_period(january, "2026-02")
    add_period(january, "2026-02", "sakura")
    close(january, ledger, "2026-02")
    found = {
        f"{one.kind} {one.distributor_id} {one.period}": one.content for one in ledger.documents()
    }
    assert sorted(found) == [
        "credit_note alpenland 2026-02",
        "invoice alpenland 2026-01",
        "invoice alpenland 2026-02",
        "invoice cascadia 2026-01",
        "invoice sakura 2026-02",
        "nil sakura 2026-01",
    ]
    return found


def every_workbook(content: JsonObject) -> Iterator[ExportedFile]:
    if content["kind"].endswith("note"):
        yield note_xlsx(content)
    else:
        yield invoice_xlsx(content)
        yield from statements_xlsx(content)


def test_every_workbook_says_the_dates_that_counted(contents: dict[str, JsonObject]) -> None:
    """R2: 30 dates up to 28 February begin on 30 January, before the period does."""
    content = contents["invoice sakura 2026-02"]
    for file in every_workbook(content):
        said = form(next(iter(opened(file).values())))
        days = [said[name].date() for name in ("Period begins", "Counted from", "Cut-off")]
        assert days == [date(2026, 2, 1), date(2026, 1, 30), date(2026, 2, 28)], file.path
        # What the distributor owes and when is not its partners' to know.
        assert ("Due" in said) == (file.path == "invoice.xlsx")
    (note,) = every_workbook(contents["credit_note alpenland 2026-02"])
    said = form(opened(note)["Note"])
    assert said["Counted from"].date() == date(2026, 1, 2)
    for file in every_workbook(in_format(content, SECOND_FORMAT)):
        said = form(next(iter(opened(file).values())))
        assert said["First day"].date() == date(2026, 2, 1)
        assert ("Counted from" in said) == (file.path == "invoice.xlsx"), "as they were"


@pytest.mark.parametrize(
    ("name", "total", "decimals"),
    [
        # Derived in billing_marts.
        ("invoice alpenland 2026-01", "47.35", "#,##0.00"),
        ("invoice cascadia 2026-01", "4.62", "#,##0.00"),
        ("invoice sakura 2026-02", "300", "#,##0"),
        ("credit_note alpenland 2026-02", "-0.34", "#,##0.00"),
    ],
)
def test_every_figure_is_the_ledgers(
    contents: dict[str, JsonObject], name: str, total: str, decimals: str
) -> None:
    content = contents[name]
    is_note = content["kind"] == "credit_note"
    file = note_xlsx(content) if is_note else invoice_xlsx(content)
    sheets = opened(file)
    quantity, amount = ("Difference", "Difference amount") if is_note else ("Quantity", "Amount")

    lines = records(sheets["Lines"])
    assert [(r["Line"], r[quantity], exact(r[amount]), r["Currency"]) for r in lines] == [
        (line["line_number"], line["quantity"], Decimal(line["amount"]), content["currency"])
        for line in content["lines"]
    ]
    customers = records(sheets["Customers"])
    groups = [*content["lines"], *([] if is_note else content["unused"])]
    assert [(r["Line"], r["Customer ID"], r[quantity], exact(r[amount])) for r in customers] == [
        (group["line_number"], one["customer_id"], one["quantity"], Decimal(one["amount"]))
        for group in groups
        for one in group["customers"]
    ]
    page = form(sheets["Note" if is_note else "Invoice"])
    assert exact(page["Amount"]) == Decimal(total) == Decimal(content["totals"]["amount"])
    # Whoever selects the column sees the total of the page.
    for rows in (lines, customers):
        assert sum((exact(r[amount]) for r in rows), Decimal(0)) == Decimal(total)
    assert page["Issued"].date().isoformat() == content["dates"]["issue_on"]
    assert page["Number"] == content["number"]
    assert isinstance(file.body, bytes)
    book = openpyxl.load_workbook(io.BytesIO(file.body))
    column = [cell.value for cell in book["Lines"][1]].index(amount)
    assert {row[column].number_format for row in book["Lines"].iter_rows(min_row=2)} == {decimals}


def test_a_unit_price_keeps_its_decimals_and_bands_are_told(
    contents: dict[str, JsonObject],
) -> None:
    file = invoice_xlsx(contents["invoice alpenland 2026-01"])
    first, second, _ = records(opened(file)["Lines"])
    assert (first["Unit price"], second["Unit price"]) == (0.335, None)
    assert second["Price bands"] == "1 to 3: 3 \u00d7 10.00; from 4: 2 \u00d7 8.00"
    assert isinstance(file.body, bytes)
    (price,) = [
        cell
        for cell in openpyxl.load_workbook(io.BytesIO(file.body))["Lines"][2]
        if cell.value == 0.335
    ]
    assert price.number_format == "#,##0.000"


def test_an_invoice_shows_zero_use_what_was_not_billed_and_its_tax(
    contents: dict[str, JsonObject],
) -> None:
    content = contents["invoice alpenland 2026-01"]
    sheets = opened(invoice_xlsx(content))
    idle = [r for r in records(sheets["Customers"]) if r["Quantity"] == 0]
    assert [(r["Line"], r["Customer ID"], r["Amount"]) for r in idle] == [
        (1, "C003", 0),
        (None, "C004", 0),
    ]
    assert [list(r.values()) for r in records(sheets["Not billed"])] == [
        ["P0002", "C004", "SVADV", "trial", 4]
    ]
    page = form(sheets["Invoice"])
    assert (page["Tax category"], page["Tax amount"], page["Payable amount"]) == ("AE", 0, 47.35)
    before_taxes = {**content, "tax": None}
    assert "Payable amount" not in form(opened(invoice_xlsx(before_taxes))["Invoice"])
    # 21% of 47.35 is 9.9435, so 9.94; 47.35 + 9.94 = 57.29.
    tax = {"category": "S", "rate": "21.00", "reason": None}
    tax |= {"taxable_amount": "47.35", "tax_amount": "9.94", "payable_amount": "57.29"}
    page = form(opened(invoice_xlsx({**content, "tax": tax}))["Invoice"])
    assert (page["Tax rate percent"], page["Tax amount"], page["Payable amount"]) == (
        21,
        9.94,
        57.29,
    )


def test_a_note_tells_billed_known_difference_and_cause(contents: dict[str, JsonObject]) -> None:
    sheets = opened(note_xlsx(contents["credit_note alpenland 2026-02"]))
    page = form(sheets["Note"])
    assert sheets["Note"][0][0] == "Credit note ALPENLAND-000002"
    assert (page["Corrected invoice"], page["Corrected period"]) == ("ALPENLAND-000001", "2026-01")
    columns = ("Corrects line", "Billed quantity", "Billed amount", "Known quantity")
    (line,) = records(sheets["Lines"])
    assert [line[c] for c in (*columns, "Known amount", "Difference", "Difference amount")] == [
        *(1, 3, 1.01, 2),
        *(0.67, -1, -0.34),
    ]
    assert line["Causes"] == "Reported after the invoice: -1 units, -0.34"
    first, second = records(sheets["Customers"])
    assert first["Causes"] == (
        "Reported after the invoice: -1 units, -0.34; Rounding between customers: +0 units, +0.01"
    )
    assert (first["Difference amount"], second["Difference amount"]) == (-0.33, -0.01)


def test_a_statement_is_the_partners_part(contents: dict[str, JsonObject]) -> None:
    first, second = statements_xlsx(contents["invoice alpenland 2026-01"])
    assert [first.path, second.path] == [
        "partners/P0001/statement.xlsx",
        "partners/P0002/statement.xlsx",
    ]
    sheets = opened(first)
    # 1.01 + 46.00; C002 joined with 1 unit, C003 left with 2; 100 - 3 units to the next band.
    page = form(sheets["Statement"])
    assert (page["Units"], page["Amount"], page["Joined"], page["Left"]) == (8, 47.01, 1, 2)
    products = records(sheets["Products"])
    assert [(r["Product code"], r["Quantity"], r["Amount"]) for r in products] == [
        ("EPSTD", 3, 1.01),
        ("FWENT", 5, 46),
    ]
    assert [r["Units to next price band"] for r in products] == [97, None]
    assert [(r["Customer ID"], r["Amount"]) for r in records(sheets["Customers"])] == [
        ("C001", 0.67),
        ("C002", 0.34),
        ("C003", 0),
        ("C001", 46),
    ]
    for own, other in ((first, "Beta Systems"), (second, "Alpha IT")):
        assert not any(other in text for text in parts(own).values())
        assert not any(("P0002" if own is first else "P0001") in t for t in parts(own).values())


def test_a_table_can_be_filtered_and_printed(contents: dict[str, JsonObject]) -> None:
    file = invoice_xlsx(contents["invoice alpenland 2026-01"])
    assert isinstance(file.body, bytes)
    book = openpyxl.load_workbook(io.BytesIO(file.body))
    assert book.sheetnames == ["Invoice", "Lines", "Customers", "Not billed", "Discrepancies"]
    for sheet in book.worksheets[1:]:
        assert sheet.freeze_panes == "A2"
        assert sheet.auto_filter.ref == sheet.dimensions
        assert sheet.print_title_rows == "$1:$1"
        # One page wide, as many high as it takes.
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (None, 0)
    assert book.properties.created.isoformat() == "2026-02-01T00:00:00"
    assert book.properties.title == "Invoice ALPENLAND-000001"


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_is_text_to_the_letter(
    ledger: Ledger, january: Warehouse, close: Close, name: str
) -> None:
    for mart in ("draft_invoice_lines", "draft_invoice_customers"):
        january.conn.execute(f"update billing.{mart} set partner_name = ?", [name])
    january.conn.execute("update billing.draft_invoice_customers set customer_name = ?", [name])
    january.discrepancy("d1", "alpenland", severity="info", evidence=name, found=name)
    for document in close(january, ledger, "2026-01"):
        for file in every_workbook(document.content):
            assert isinstance(file.body, bytes)
            for sheet in openpyxl.load_workbook(io.BytesIO(file.body)):
                named = [cell for row in sheet for cell in row if cell.value == name]
                assert all(cell.data_type == "s" for cell in named)
                assert {cell.number_format for cell in named} <= {"@"}
                assert named or sheet.title in ("Not billed", "Lines", "Discrepancies", "Products")
            no_code(file)


def no_code(file: ExportedFile) -> None:
    for name, text in parts(file).items():
        assert not re.search(r"<f[ >]|<hyperlink|<ddeLink|<oleLink|TargetMode", text), name
        assert "externalLink" not in name


def test_what_xml_cannot_hold_is_replaced_visibly() -> None:
    bad = "a\x00b\x08c\x1bd\x85e\rf\ufffeg\ud800h\ttab"
    (sheet,) = opened(workbook([Table("T", ("Name",), [[bad]])], title=bad, on=ISSUED)).values()
    assert sheet == [["Name"], ["a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg\ufffdh\ttab"]]
    # The escape of the format is escaped itself, or spreadsheets would show an A.
    body = workbook([Table("T", ("Name",), [["_x0041_"]])], title="t", on=ISSUED)
    assert "_x005F_x0041_" in parts(ExportedFile("t.xlsx", body, 1))["xl/sharedStrings.xml"]


def test_a_text_that_is_too_long_says_so() -> None:
    # Two units of UTF-16 each, so 16,383 would fit; the cut may not fall between the two.
    long = "x" + "\U0001f600" * 20_000
    ((_, (cell,)),) = opened(
        workbook([Table("T", ("N",), [[long]])], title="t", on=ISSUED)
    ).values()
    assert len(cell.encode("utf-16-le")) // 2 <= LONGEST_TEXT
    head, _, told = cell.partition(" [")
    assert long.startswith(head)
    assert told.startswith("cut here")
    fits = "y" * LONGEST_TEXT
    ((_, (cell,)),) = opened(
        workbook([Table("T", ("N",), [[fits]])], title="t", on=ISSUED)
    ).values()
    assert cell == fits


def test_a_table_longer_than_a_sheet_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MOST_ROWS", 4)
    rows = [[number] for number in range(7)]
    sheets = opened(workbook([Table("Customers", ("N",), rows)], title="t", on=ISSUED))
    # A header and three rows each.
    assert sheets == {
        "Customers": [["N"], [0], [1], [2]],
        "Customers 2": [["N"], [3], [4], [5]],
        "Customers 3": [["N"], [6]],
    }


def test_a_number_with_more_digits_than_a_cell_shows_is_text() -> None:
    rows = [[Decimal("999999999999.999")], [Decimal("9999999999999.999")], [Decimal("-0.10")]]
    (sheet,) = opened(workbook([Table("T", ("N",), rows)], title="t", on=ISSUED)).values()
    assert sheet[1:] == [[999999999999.999], ["9999999999999.999"], [-0.1]]


def test_the_zip_depends_on_no_clock_and_no_compressor(contents: dict[str, JsonObject]) -> None:
    body = invoice_xlsx(contents["invoice alpenland 2026-01"]).body
    assert isinstance(body, bytes)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.compress_type == zipfile.ZIP_STORED


def test_the_same_bytes_in_another_process_zone_locale_and_folder(
    ledger: Ledger, january: Warehouse, close: Close, tmp_path: Path
) -> None:
    january.conn.execute(
        "update billing.draft_invoice_customers set customer_name = 'Zoë 花 \U0001f600'"
    )
    document = close(january, ledger, "2026-01")[0]
    here = render(ledger, document, tmp_path / "here").folder
    code = (
        "import sys; from pathlib import Path; from invoicing.exports import render;"
        "from invoicing.ledger import Ledger; ledger = Ledger(Path(sys.argv[1]));"
        "render(ledger, next(iter(ledger.documents('alpenland'))), Path(sys.argv[2]))"
    )
    root = str(Path(__file__).parents[3])
    subprocess.run(
        [sys.executable, "-c", code, str(ledger.root), str(tmp_path / "there")],
        check=True,
        cwd="/",
        env={
            **os.environ,
            **{"PYTHONPATH": root, "TZ": "Pacific/Kiritimati", "LC_ALL": "C"},
            **{"PYTHONHASHSEED": "7", "PYTHONUTF8": "0"},
        },
    )
    there = tmp_path / "there" / "2026-01" / "alpenland"
    names = sorted(p.relative_to(here) for p in here.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(there) for p in there.rglob("*") if p.is_file())
    assert [(here / name).read_bytes() for name in names] == [
        (there / name).read_bytes() for name in names
    ]


def test_a_page_has_no_filter_and_its_tables_keep_their_order() -> None:
    page = Page("P", "Title", (Table("A", (), [["k", 1]]), Table("B", ("H",), [["v"]])))
    (rows,) = opened(workbook([page], title="t", on=ISSUED)).values()
    assert [row[0] for row in rows] == ["Title", None, "A", "k", None, "B", "H", "v"]


def test_the_customers_of_one_partner_only_under_its_line(contents: dict[str, JsonObject]) -> None:
    rows = records(opened(invoice_xlsx(contents["invoice alpenland 2026-01"]))["Customers"])
    assert {r["Customer ID"] for r in rows if r["Partner ID"] == ALPHA[1]} == {
        "C001",
        "C002",
        "C003",
    }
