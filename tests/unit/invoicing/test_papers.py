"""invoice.pdf, notes and statements read back: the ledger's figures, names to the letter."""

from __future__ import annotations

import io
import random
import unicodedata
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from typing import Any

import pypdf
import pytest
from billing_marts import OUTSIDE, REVERSE_CHARGE, Warehouse, add_period, correct_january
from test_hostile_names import HOSTILE

from invoicing import notes
from invoicing.canonical import JsonObject
from invoicing.content import SECOND_FORMAT, WITHOUT_TAX, in_format
from invoicing.exports.exported import ExportedFile
from invoicing.exports.papers import day, figure, invoice_pdf, note_pdf, statements_pdf
from invoicing.exports.pdf import LONGEST_TEXT, pdf, printable
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]


def opened(file: ExportedFile) -> pypdf.PdfReader:
    assert isinstance(file.body, bytes)
    return pypdf.PdfReader(io.BytesIO(file.body))


def text_of(file: ExportedFile) -> str:
    """All words of all pages in reading order, one space between them."""
    return " ".join(" ".join(page.extract_text() for page in opened(file).pages).split())


def squeezed(text: str) -> str:
    """Without any space: where a line of a page was broken is no part of a name."""
    return "".join(text.split())


@pytest.fixture
def february(ledger: Ledger, january: Warehouse, close: Close) -> dict[str, JsonObject]:
    """Number and content of what was issued; the nil document of Sakura is `nil`."""
    close(january, ledger, "2026-01")
    correct_january(january)
    add_period(january, "2026-02")
    add_period(january, "2026-02", "sakura")
    close(january, ledger, "2026-02")
    return {one.number or "nil": one.content for one in ledger.documents()}


def test_an_invoice_in_euro(february: dict[str, JsonObject]) -> None:
    text = text_of(invoice_pdf(february["ALPENLAND-000001"]))
    # The figures are derived in billing_marts.
    for expected in (
        "Musterschild Security BV INVOICE",
        "Number ALPENLAND-000001 Issued 1 February 2026 Due 3 March 2026 Period 2026-01 "
        "Period begins 1 January 2026 Counted from 2 January 2026 Cut-off 31 January 2026 "
        "Purchase order PO-alpenland Currency EUR",
        "Alpha IT P0001 1 Endpoint Standard EPSTD MH-EPSTD-M 3 user 0.335 1.01 "
        "2 Firewall EnterpriseGuard FWENT MH-FWENT-M 1 to 3: 3 \u00d7 10.00; from 4: 2 \u00d7 8.00 "
        "5 firewall graduated 46.00 Subtotal P0001 8 47.01",
        "Beta Systems P0002 3 Endpoint Standard EPSTD MH-EPSTD-M 1 user 0.335 0.34 "
        "Subtotal P0002 1 0.34",
        "Payment Due 3 March 2026, 30 days after issue To Musterschild Security BV "
        "IBAN NL29BANK0000000024 Reference ALPENLAND-000001 Net amount EUR 47.35 "
        f"Tax 0.00% (AE) {REVERSE_CHARGE} 0.00 Payable EUR 47.35",
        "Page 1 of 1",
    ):
        assert expected in text


def test_every_paper_says_the_dates_that_counted(february: dict[str, JsonObject]) -> None:
    """R2: 30 dates up to 28 February begin on 30 January, before the period does."""
    for number, begins, first, last in (
        ("SAKURA-000001", "1 February 2026", "30 January 2026", "28 February 2026"),
        # A note speaks of the period it corrects.
        ("ALPENLAND-000002", "1 January 2026", "2 January 2026", "31 January 2026"),
    ):
        content = february[number]
        is_note = content["kind"].endswith("note")
        papers = [note_pdf(content)] if is_note else [invoice_pdf(content)]
        papers += [] if is_note else statements_pdf(content)
        for paper in papers:
            text = text_of(paper)
            said = f"Period begins {begins} Counted from {first} Cut-off {last}"
            assert said in text, paper.path
            assert "First day" not in text
            if paper.path.endswith("statement.pdf"):
                assert f"Units are those active from {first} to {last}, both included" in text


@pytest.mark.parametrize("name", [SECOND_FORMAT, WITHOUT_TAX])
def test_papers_of_an_earlier_format_are_as_they_were(
    february: dict[str, JsonObject], name: str
) -> None:
    content = in_format(february["SAKURA-000001"], name)
    for paper in (invoice_pdf(content), *statements_pdf(content)):
        text = text_of(paper)
        assert "First day 1 February 2026 Cut-off 28 February 2026" in text
        assert "30 January" not in text
        if paper.path.endswith("statement.pdf"):
            assert "Units are those counted in the days above. Joined" in text


def test_a_document_from_before_taxes_shows_its_net_total(february: dict[str, JsonObject]) -> None:
    for number, shown in (("ALPENLAND-000001", "47.35"), ("ALPENLAND-000002", "\u22120.34")):
        content = {name: value for name, value in february[number].items() if name != "tax"}
        for before in (content, {**content, "tax": None}):
            make = note_pdf if content["kind"] == "credit_note" else invoice_pdf
            text = text_of(make(before))
            assert f"Net total EUR {shown}" in text
            assert "Payable" not in text
            assert "Credited" not in text


def test_an_invoice_in_dollars_and_one_in_yen(february: dict[str, JsonObject]) -> None:
    text = text_of(invoice_pdf(february["CASCADIA-000001"]))
    assert "2 user 2.31 4.62 Subtotal P0009 2 4.62" in text
    assert f"Net amount USD 4.62 Tax 0.00% (O) {OUTSIDE} 0.00 Payable USD 4.62" in text
    content = deepcopy(february["SAKURA-000001"])
    text = text_of(invoice_pdf(content))
    assert "3 user 100 300 Subtotal P0021 3 300" in text
    assert "Payable JPY 300 " in text
    content["lines"][0]["amount"] = "1234567"
    assert "3 user 100 1,234,567" in text_of(invoice_pdf(content))


def test_tax_and_what_is_payable(february: dict[str, JsonObject]) -> None:
    # 21% of 47.35 is 9.9435, so 9.94; 47.35 + 9.94 = 57.29.
    tax = {"category": "S", "rate": "21.00", "reason": None, "taxable_amount": "47.35"}
    tax |= {"tax_amount": "9.94", "payable_amount": "57.29"}
    text = text_of(invoice_pdf({**february["ALPENLAND-000001"], "tax": tax}))
    assert "Net amount EUR 47.35 Tax 21.00% (S) 9.94 Payable EUR 57.29" in text
    # 21% of 0.34 is 0.0714, so 0.07; the note credits 0.41.
    tax = {"category": "S", "rate": "21.00", "reason": None, "taxable_amount": "-0.34"}
    tax |= {"tax_amount": "-0.07", "payable_amount": "-0.41"}
    text = text_of(note_pdf({**february["ALPENLAND-000002"], "tax": tax}))
    assert "Net amount EUR \u22120.34 Tax 21.00% (S) \u22120.07 Credited EUR \u22120.41" in text


def test_a_credit_note_says_what_it_corrects_and_why(february: dict[str, JsonObject]) -> None:
    text = text_of(note_pdf(february["ALPENLAND-000002"]))
    for expected in (
        "CREDIT NOTE",
        "Number ALPENLAND-000002 Issued 1 March 2026 Corrects invoice ALPENLAND-000001 "
        "Corrected period 2026-01",
        "corrects line 1 Reported after the invoice: \u22121 units, \u22120.34 "
        "3 1.01 2 0.67 \u22121 \u22120.34",
        "Customer C001 C001 Reported after the invoice: \u22121 units, \u22120.34 "
        "Rounding between customers: +0 units, +0.01 2 0.67 1 0.34 \u22121 \u22120.33",
        "Customer C002 C002 Rounding between customers: +0 units, \u22120.01 "
        "1 0.34 1 0.33 0 \u22120.01",
        "Credited EUR \u22120.34",
    ):
        assert expected in text
    assert "Payment" not in text
    passed_over = deepcopy(february["ALPENLAND-000002"])
    passed_over["corrects"] |= {"number": None, "sequence": None}
    text = text_of(note_pdf(passed_over))
    assert "Corrects 2026-01, which has no invoice, to what is known now." in text
    assert "None" not in text


def test_a_cancellation_gives_its_reason(
    february: dict[str, JsonObject], ledger: Ledger, close: Close
) -> None:
    note = notes.cancel(
        ledger, "CASCADIA-000001", reason="wrong prices", by="Ada", on=date(2026, 3, 5)
    )
    text = text_of(note_pdf(note.content))
    assert "Takes back invoice CASCADIA-000001 of 2026-01 whole. Reason: wrong prices" in text
    assert "Taken back: \u22122 units, \u22124.62 2 4.62 0 0.00 \u22122 \u22124.62" in text
    assert "Ada" not in text


def test_a_nil_document_asks_for_nothing(february: dict[str, JsonObject]) -> None:
    text = text_of(invoice_pdf(february["nil"]))
    assert "NOTHING TO INVOICE" in text
    assert "Nothing is due." in text
    assert "Payment" not in text


def test_a_statement_is_the_partners_part(february: dict[str, JsonObject]) -> None:
    files = statements_pdf(february["ALPENLAND-000001"])
    assert [file.path for file in files] == [
        "partners/P0001/statement.pdf",
        "partners/P0002/statement.pdf",
    ]
    first, second = map(text_of, files)
    for expected in (
        "For Alpha IT Partner ID P0001",
        "Invoice ALPENLAND-000001",
        # C002 joined with 1 unit, C003 left with 2; 100 - 3 units to the next band.
        "Endpoint Standard EPSTD 3 user 1 2 0.335 1 to 99 97 1.01",
        "5 firewall 0 0 graduated from 4 \u2013 46.00 Total EUR 8 1 2 47.01",
        "Customer C001 C001 monthly 2 0 0 3 0.67 Customer C002 C002 monthly 1 1 0 1 0.34 "
        "Customer C003 C003 monthly 0 0 2 0 0.00",
    ):
        assert expected in first
    assert (
        "Server Advanced SVADV 0 device 0 0 \u2013 \u2013 \u2013 0.00 Total EUR 1 0 0 0.34"
        in second
    )
    for own, other in ((first, "Beta Systems P0002"), (second, "Alpha IT P0001")):
        name, partner_id = other.rsplit(" ", 1)
        assert name not in own
        assert partner_id not in own


def test_in_a_first_period_nobody_knows_who_joined(february: dict[str, JsonObject]) -> None:
    content = deepcopy(february["CASCADIA-000001"])
    for group in (*content["lines"], *content["totals"]["partners"]):
        group["joined"] = group["left_since"] = None
    (file,) = statements_pdf(content)
    assert "Total USD 2 \u2013 \u2013 4.62" in text_of(file)


def test_many_lines_repeat_the_header_and_count_the_pages(
    february: dict[str, JsonObject],
) -> None:
    content = deepcopy(february["CASCADIA-000001"])
    (line,) = content["lines"]
    content["lines"] = [{**line, "line_number": number} for number in range(1, 301)]
    pages = [page.extract_text() for page in opened(invoice_pdf(content)).pages]
    assert len(pages) > 5
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
    # The last page may hold nothing but the amounts.
    for page in pages[:-1]:
        assert "Unit price" in page
        assert "Gamma Security" in page
    words = " ".join(" ".join(pages).split())
    for number in range(1, 301):
        assert f" {number} Endpoint Standard" in words
    assert pages[-1].count("Payable USD") == 1


@pytest.mark.parametrize(
    "name",
    [
        *HOSTILE,
        '#read("/etc/passwd")',
        "#{panic()} $x^2$ *b* _e_ `c` <label> @ref \\ // /* -- ~ ...",
        "https://example.com/x",
        "x" * 150,
        "Donaudampfschifffahrtsgesellschaftskapit\u00e4nsm\u00fctzenabzeichen GmbH & Co. KG",
        "\u60c5\u5831\u30b5\u30fc\u30d3\u30b9 \u82b1\u7b4f\u88fd\u4f5c\u6240",
        "\uc11c\uc6b8 \ubcf4\uc548",
        "\u0394\u03b9\u03b1\u03bd\u03bf\u03bc\u03ae \u0416\u0443\u043a\u043e\u0432",
        "a\x00b\ud800",
    ],
    ids=ascii,
)
def test_a_name_is_printed_to_the_letter(february: dict[str, JsonObject], name: str) -> None:
    content = deepcopy(february["ALPENLAND-000001"])
    partner = content["totals"]["partners"][0]
    partner["partner_name"] = content["distributor"]["distributor_name"] = name
    for line in content["lines"]:
        line["product_name"] = name
        for customer in line["customers"]:
            customer["customer_name"] = name
    note = deepcopy(february["ALPENLAND-000002"])
    note["lines"][0]["customers"][0]["customer_name"] = name
    note["reason"], note["cancels"] = name, "ALPENLAND-000001"
    # Text written from right to left is extracted in another order, so it is not in here.
    expected = squeezed(printable(name))
    for file in (invoice_pdf(content), statements_pdf(content)[0], note_pdf(note)):
        assert expected in squeezed(text_of(file)), file.path
        reader = opened(file)
        assert reader.attachments == {}
        for page in reader.pages:
            assert "/Annots" not in page  # no link, no script
        assert "/OpenAction" not in reader.root_object
        assert "/JavaScript" not in reader.root_object.get("/Names", {})


def test_writing_from_right_to_left_is_printed(february: dict[str, JsonObject]) -> None:
    content = deepcopy(february["ALPENLAND-000001"])
    arabic, hebrew = "\u0634\u0631\u0643\u0629", "\u05d7\u05d1\u05e8\u05d4"
    content["totals"]["partners"][0]["partner_name"] = f"{arabic} {hebrew}"
    text = unicodedata.normalize("NFKC", text_of(invoice_pdf(content)))
    assert sorted(set(text) & set(arabic + hebrew)) == sorted(set(arabic + hebrew))
    # The figures of the row keep their order.
    assert "3 user 0.335 1.01" in text


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (
            "Zo\u00eb & \u0416 \u03a9 \u82b1 \ud55c <b>",
            "Zo\u00eb & \u0416 \u03a9 \u82b1 \ud55c <b>",
        ),
        ("a\x00b\x1bc\x85d\te", "a\ufffdb\ufffdc\ufffdd\ufffde"),
        ("two\nlines", "two\nlines"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),  # would be shown as exe.png
        ("\U0001f468 \u0e01", "\ufffd \ufffd"),  # no glyph: an emoji, Thai
        ("e\u0301", "e\u0301"),
        ("\u82b1\u036b", "\u82b1\ufffd"),  # the font of the character has no such accent
        ("0\u064b", "0\ufffd"),
        ("e\u0301\u0302\u0303", "e\u0301\u0302\ufffd"),
        ("\u845b\U000e0100", "\u845b\U000e0100"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
    ],
    ids=ascii,
)
def test_what_cannot_be_printed_is_replaced_visibly(text: str, printed: str) -> None:
    assert printable(text) == printed


def test_a_text_that_is_too_long_says_so() -> None:
    assert printable("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT
    assert printable("x" * (LONGEST_TEXT + 1)).startswith("x" * LONGEST_TEXT + " [cut here:")


def page_with(names: list[str]) -> dict[str, Any]:
    party = {"name": "n", "lines": names}
    return {
        **{"title": "T", "number": None, "from": party, "to": party, "to_label": "To"},
        **{"facts": [], "currency": "EUR", "footer": names[:1], "groups": [], "remark": None},
        **{"totals": [], "payment": []},
    }


def test_no_text_fails(february: dict[str, JsonObject]) -> None:
    """PDF/A refuses a page with a character that no font has; what is left must have one."""
    draw = random.Random(26)
    marks = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)).startswith("M")]
    odd = "\u200c\u200d\ufe0f\U000e0100\u064b\u05b0\u0301 \n0a\u0627\u05e9\uac00\u1100\u82b1\u00ad"
    names = []
    for _ in range(2_000):
        letters = [
            draw.choice(
                (draw.choice(odd), draw.choice(marks), chr(draw.randrange(0x110000))),
            )
            for _ in range(draw.randint(1, 8))
        ]
        names.append("".join(letters))
    assert pdf("invoice", page_with(names), on=date(2026, 2, 1)).startswith(b"%PDF-1.7")


def test_the_file_is_for_keeping_and_for_everybody(february: dict[str, JsonObject]) -> None:
    reader = opened(invoice_pdf(february["ALPENLAND-000001"]))
    xmp = reader.root_object["/Metadata"].get_object().get_data().decode("utf-8")
    assert "<pdfaid:part>3</pdfaid:part>" in xmp
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in xmp
    assert "<pdfuaid:part>1</pdfuaid:part>" in xmp
    assert reader.root_object["/MarkInfo"]["/Marked"]
    assert reader.root_object["/Lang"] == "en"
    assert reader.metadata is not None
    assert reader.metadata.title == "Invoice ALPENLAND-000001"
    # The day of issue, whatever the clock says.
    assert reader.metadata.creation_date is not None
    assert reader.metadata.creation_date.date() == date(2026, 2, 1)
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            (drawn,) = font["/DescendantFonts"]
            descriptor = drawn.get_object()["/FontDescriptor"]
            assert {"/FontFile2", "/FontFile3"} & set(descriptor), "embedded"


def test_an_electronic_invoice_travels_with_the_page(february: dict[str, JsonObject]) -> None:
    xml = "<?xml version='1.0' encoding='UTF-8'?><a>Zo\u00eb &#0; #x \ufffd</a>\r\n".encode()
    file = invoice_pdf(february["ALPENLAND-000001"], {"invoice.ubl.xml": xml})
    reader = opened(file)
    assert reader.attachments == {"invoice.ubl.xml": [xml]}
    (attached,) = reader.root_object["/AF"]
    assert attached.get_object()["/AFRelationship"] == "/Alternative"
    assert attached.get_object()["/EF"]["/F"].get_object()["/Subtype"] == "/text/xml"
    assert text_of(file) == text_of(invoice_pdf(february["ALPENLAND-000001"]))


def test_rendering_other_pages_in_between_changes_nothing(february: dict[str, JsonObject]) -> None:
    first = invoice_pdf(february["ALPENLAND-000001"])
    invoice_pdf(february["SAKURA-000001"])
    assert invoice_pdf(february["ALPENLAND-000001"]) == first


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.00", "0.00"),
        ("-0.34", "\u22120.34"),
        ("1234.5", "1,234.5"),
        ("-1234567", "\u22121,234,567"),
        ("999.999", "999.999"),
        (12345, "12,345"),
    ],
)
def test_figures_are_grouped(value: str | int, shown: str) -> None:
    assert figure(value) == shown


def test_days_are_written_out() -> None:
    assert (day("2026-01-31"), day("2026-12-01")) == ("31 January 2026", "1 December 2026")
