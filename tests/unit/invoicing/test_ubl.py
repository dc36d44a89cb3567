"""E-invoices are valid by the official rules and say what the ledger says, to the cent."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from billing_marts import SELLER, Warehouse, add_period, correct_january
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from invoicing import notes
from invoicing.content import SECOND_FORMAT
from invoicing.exports import render_period
from invoicing.exports.ubl import obstacle, ubl_xml
from invoicing.ledger import Document, Ledger
from invoicing.validation import validate

Close = Callable[[Warehouse, Ledger, str], list[Document]]
Content = dict[str, Any]
UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
NAMES = {"cac": f"{UBL}CommonAggregateComponents-2", "cbc": f"{UBL}CommonBasicComponents-2"}
LINES = "cac:InvoiceLine | cac:CreditNoteLine"
MARCH = date(2026, 3, 5)


@pytest.fixture
def issued(january: Warehouse, ledger: Ledger, close: Close) -> dict[str, Document]:
    """EUR with reverse charge, USD and JPY not subject to tax, a credit note, a cancellation."""
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    add_period(january, "2026-02", "sakura")
    correct_january(january)
    close(january, ledger, "2026-02")
    notes.cancel(ledger, "ALPENLAND-000001", reason="wrong", by="Ada", on=MARCH)
    return {one.number: one for one in ledger.documents() if one.number}


def taxed(content: Content, category: str, rate: str, tax: str, payable: str) -> Content:
    said = {**content["tax"], "category": category, "rate": rate}
    said |= {"tax_amount": tax, "payable_amount": payable}
    said["reason"] = None if category == "S" else said["reason"]
    return {**content, "tax": said}


def domestic(content: Content) -> Content:
    """47.35 at 21 % is 9.9435, so 9.94; to a distributor in the seller's own country."""
    home = {"country": "NL", "tax_id": "NL000000099B01", "endpoint_id": "9944:NL000000099B01"}
    content = {**content, "distributor": {**content["distributor"], **home}}
    return taxed(content, "S", "21.00", "9.94", "57.29")


def note_with(note: Content, kind: str, figures: list[tuple[Any, ...]]) -> Content:
    """A note with these lines: quantity, amount, unit price as known, as billed."""
    lines = []
    for number, (quantity, amount, price, billed_price) in enumerate(figures, start=1):
        line = deepcopy(note["lines"][0])
        line |= {"line_number": number, "quantity": quantity, "amount": amount}
        line |= {"unit_price": price, "billed_unit_price": billed_price}
        lines.append(line)
    total = sum((Decimal(line["amount"]) for line in lines), Decimal(0))
    return {
        **note,
        "kind": kind,
        "lines": lines,
        "totals": {**note["totals"], "amount": f"{total}", "line_count": len(lines)},
        "tax": {**note["tax"], "taxable_amount": f"{total}", "payable_amount": f"{total}"},
    }


# What a note can correct: units at a price; units of graduated bands; a band that was crossed by
# the partner, so that the same units cost less; one more unit that makes all of them cheaper; a
# cent that moved between customers, so that the line's own figures stay.
MIXED = [
    (-2, "-0.67", "0.335", "0.335"),
    (-3, "-25.00", None, None),
    (0, "-33.50", "3.015", "3.35"),
    (1, "-2.10", "3.015", "3.35"),
    (0, "0.00", "3.35", "3.35"),
    (0, "0.00", None, None),
    (2, "6.70", "3.35", "3.35"),
    (-1, "4.20", None, None),
    (1, "0.00", None, None),
]


def contents(issued: dict[str, Document]) -> dict[str, Content]:
    invoice, note = issued["ALPENLAND-000001"].content, issued["ALPENLAND-000002"].content
    alpha = {**invoice, "tax": {**invoice["tax"], "reason": "Export"}}
    # -50.37 altogether; turned round it is a debit note.
    debit = [(-q, f"{-Decimal(amount):.2f}", one, two) for q, amount, one, two in MIXED]
    return {
        **{number: document.content for number, document in issued.items()},
        "domestic": domestic(invoice),
        "exempt": taxed(invoice, "E", "0.00", "0.00", "47.35"),
        "export": taxed(alpha, "G", "0.00", "0.00", "47.35"),
        "within": taxed(invoice, "K", "0.00", "0.00", "47.35"),
        "zero": taxed(
            {**invoice, "tax": {**invoice["tax"], "reason": None}}, "Z", "0.00", "0.00", "47.35"
        ),
        "mixed credit": note_with(note, "credit_note", MIXED),
        "mixed debit": note_with(note, "debit_note", debit),
        "nothing": note_with(
            note, "credit_note", [(1, "3.35", "3.35", None), (-1, "-3.35", "3.35", None)]
        ),
        "no order": {**invoice, "purchase_order": None},
    }


def test_every_kind_of_document_is_valid(issued: dict[str, Document], tmp_path: Path) -> None:
    paths = []
    for name, content in contents(issued).items():
        assert obstacle(content) is None, name
        paths.append(tmp_path / f"{name}.ubl.xml")
        body = ubl_xml(content, preceding(content)).body
        assert isinstance(body, bytes)
        paths[-1].write_bytes(body)
    found = validate(paths)
    assert found.findings == ()
    assert (found.documents, found.rules > 200) == (len(paths), True)


def preceding(content: Content) -> tuple[str, ...]:
    return (content["corrects"]["number"],) if "corrects" in content else ()


def parsed(content: Content) -> Any:
    body = ubl_xml(content, preceding(content)).body
    assert isinstance(body, bytes)
    return etree.fromstring(body)


def texts(element: Any, path: str) -> list[str]:
    return [str(one) for one in element.xpath(path, namespaces=NAMES)]


def text(element: Any, path: str) -> str:
    (one,) = texts(element, f"{path}/text()")
    return one


def test_it_says_what_the_ledger_says(issued: dict[str, Document]) -> None:
    for name, content in contents(issued).items():
        root = parsed(content)
        sign = -1 if content["kind"] == "credit_note" else 1
        lines = root.xpath(LINES, namespaces=NAMES)
        assert [
            (text(one, "cbc:ID"), sign * Decimal(text(one, "cbc:LineExtensionAmount")))
            for one in lines
        ] == [(str(one["line_number"]), Decimal(one["amount"])) for one in content["lines"]], name
        tax = content["tax"]
        assert [
            sign * Decimal(text(root, path))
            for path in (
                "cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount",
                "cac:TaxTotal/cac:TaxSubtotal/cbc:TaxableAmount",
                "cac:TaxTotal/cbc:TaxAmount",
                "cac:LegalMonetaryTotal/cbc:PayableAmount",
            )
        ] == [
            Decimal(tax[key])
            for key in ("taxable_amount", "taxable_amount", "tax_amount", "payable_amount")
        ], name
        assert text(root, "cbc:ID") == content["number"]
        assert text(root, "cbc:IssueDate") == content["dates"]["issue_on"]
        assert set(texts(root, "//@currencyID")) == {content["currency"]}


def test_peppol_rules_that_no_package_ships_hold(issued: dict[str, Document]) -> None:
    """R003, R008, R010, R020, R110, R111, R120 to the cent, R121, R130; BR-27; the Dutch ones."""
    for name, content in contents(issued).items():
        root = parsed(content)
        assert texts(root, "cbc:BuyerReference/text() | cac:OrderReference/cbc:ID/text()"), name
        assert not [one for one in root.iter() if not len(one) and not (one.text or "").strip()]
        assert len(texts(root, "//cac:Party/cbc:EndpointID/@schemeID")) == 2
        starts = set(texts(root, "//cac:InvoicePeriod/cbc:StartDate/text()"))
        ends = set(texts(root, "//cac:InvoicePeriod/cbc:EndDate/text()"))
        assert (len(starts), len(ends)) == (1, 1)
        for line in root.xpath(LINES, namespaces=NAMES):
            check_line(line, content["minor_units"])
        seller = "cac:AccountingSupplierParty/cac:Party"
        assert not texts(root, f"{seller}/cac:PartyLegalEntity/cbc:CompanyID/text()")  # NL-R-003
        if content["kind"] == "credit_note":
            reference = "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID"
            assert text(root, reference) == content["corrects"]["number"]  # NL-R-001
        else:
            assert text(root, "cac:PaymentMeans/cbc:PaymentMeansCode") == "30"  # NL-R-007, -008


def check_line(line: Any, minor_units: int) -> None:
    (quantity,) = line.xpath("cbc:InvoicedQuantity | cbc:CreditedQuantity", namespaces=NAMES)
    price = Decimal(text(line, "cac:Price/cbc:PriceAmount"))
    base = line.xpath("cac:Price/cbc:BaseQuantity", namespaces=NAMES)
    per = Decimal(base[0].text) if base else Decimal(1)
    assert price >= 0
    assert per > 0
    assert not base or base[0].get("unitCode") == quantity.get("unitCode")
    exact = Decimal(quantity.text) * price / per
    rounded = exact.quantize(Decimal(1).scaleb(-minor_units), ROUND_HALF_UP)
    assert rounded == Decimal(text(line, "cbc:LineExtensionAmount"))


@given(
    kind=st.sampled_from(["credit_note", "debit_note"]),
    minor_units=st.sampled_from([0, 2]),
    figures=st.lists(
        st.tuples(
            st.integers(-500, 500),
            st.integers(-(10**9), 10**9),
            st.none() | st.integers(1, 10**7),
            st.none() | st.integers(1, 10**7),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_any_line_of_a_note_can_be_said(kind: str, minor_units: int, figures: Any) -> None:
    """Whatever units and amount do, the line's amount is kept and the price is not negative."""
    cent = Decimal(1).scaleb(-minor_units)
    lines = [
        (quantity, f"{amount * cent:f}", *(one and f"{one / Decimal(1000)}" for one in prices))
        for quantity, amount, *prices in figures
    ]
    content = note_with({**BARE_NOTE, "minor_units": minor_units}, kind, lines)
    root = parsed(content)
    sign = -1 if kind == "credit_note" else 1
    found = root.xpath(LINES, namespaces=NAMES)
    for line, (_, amount, *_) in zip(found, lines, strict=True):
        check_line(line, minor_units)
        assert sign * Decimal(text(line, "cbc:LineExtensionAmount")) == Decimal(amount)


BARE_NOTE: Content = {
    "number": "ALPENLAND-000002",
    "currency": "EUR",
    "minor_units": 2,
    "purchase_order": None,
    "seller": SELLER,
    "distributor": {
        "distributor_id": "alpenland",
        "distributor_name": "Alpenland",
        "country": "AT",
        "tax_id": "ATU00000024",
        "endpoint_id": "9914:ATU00000024",
    },
    "dates": {
        "period_starts_on": "2026-01-01",
        "cutoff_on": "2026-01-31",
        "issue_on": "2026-03-01",
        "due_on": "2026-03-31",
    },
    "corrects": {"period": "2026-01", "number": "ALPENLAND-000001"},
    "cancels": None,
    "totals": {},
    "tax": {"category": "AE", "rate": "0.00", "reason": "Reverse charge", "tax_amount": "0.00"},
    "lines": [
        {
            "corrects_line": 1,
            "partner_id": "P1",
            "partner_name": "Alpha IT",
            "product_code": "EPSTD",
            "product_name": "Endpoint",
            "billing_unit": "user",
            "sku": "MH",
            "billed_quantity": 1,
            "billed_amount": "1.00",
            "known_quantity": 1,
            "known_amount": "1.00",
            "causes": [{"cause": "late_data"}],
        }
    ],
}


def test_how_each_line_is_said(issued: dict[str, Document]) -> None:
    """Quantity, unit, price and base quantity; a credit note turns the signs round."""
    invoice = parsed(issued["ALPENLAND-000001"].content)
    # 3 x 0.335 = 1.005, so 1.01; graduated: 5 units for 3 x 10 + 2 x 8 = 46.
    assert said(invoice)[:2] == [("3", "C62", "0.335", None), ("5", "C62", "46.00", "5")]
    assert texts(invoice, "cac:InvoiceLine/cbc:Note/text()") == ["3 x 10.00, 2 x 8.00"]
    mixed = note_with(issued["ALPENLAND-000002"].content, "credit_note", MIXED)
    assert said(parsed(mixed)) == [
        ("2", "C62", "0.335", None),  # 2 x 0.335 = 0.67
        ("3", "C62", "25.00", "3"),
        ("1", "LS", "33.50", None),  # no unit changed: a lump sum
        ("1", "LS", "2.10", None),  # a unit more for less money
        ("0", "C62", "3.35", None),
        ("0", "C62", "0", None),
        ("-2", "C62", "3.35", None),  # billed in a credit note: less is credited
        ("-1", "LS", "4.20", None),
        ("-1", "C62", "0", None),
    ]


def said(root: Any) -> list[tuple[str | None, ...]]:
    found = []
    for line in root.xpath(LINES, namespaces=NAMES):
        (quantity,) = line.xpath("cbc:InvoicedQuantity | cbc:CreditedQuantity", namespaces=NAMES)
        base = texts(line, "cac:Price/cbc:BaseQuantity/text()")
        price = text(line, "cac:Price/cbc:PriceAmount")
        found.append((quantity.text, quantity.get("unitCode"), price, base[0] if base else None))
    return found


def test_what_kind_of_document_it_is(issued: dict[str, Document]) -> None:
    both = "cbc:InvoiceTypeCode/text() | cbc:CreditNoteTypeCode/text()"
    kinds = {name: texts(parsed(content), both) for name, content in contents(issued).items()}
    assert kinds["ALPENLAND-000001"] == ["380"]
    assert kinds["ALPENLAND-000002"] == kinds["mixed credit"] == ["381"]
    assert kinds["mixed debit"] == ["383"]
    cancellation = parsed(issued["ALPENLAND-000004"].content)
    assert text(cancellation, "cbc:Note") == "Cancels ALPENLAND-000001: wrong"
    # What is left of 47.35 after the note of -0.34, taken back: positive.
    assert text(cancellation, "cac:LegalMonetaryTotal/cbc:PayableAmount") == "47.01"


def test_the_dates_that_counted_are_in_the_note_of_an_invoice(issued: dict[str, Document]) -> None:
    """R2: 30 dates up to 31 January, in a period that begins a day earlier."""
    content = issued["ALPENLAND-000001"].content
    invoice = parsed(content)
    assert text(invoice, "cac:InvoicePeriod/cbc:StartDate") == "2026-01-01"
    assert text(invoice, "cbc:Note") == "Counted: active from 2026-01-02 to 2026-01-31, UTC"
    before = parsed({**content, "format": SECOND_FORMAT})
    assert texts(before, "cbc:Note/text()") == []


def test_not_subject_to_vat_carries_no_vat_number(issued: dict[str, Document]) -> None:
    root = parsed(issued["CASCADIA-000001"].content)
    assert not texts(root, "//cac:PartyTaxScheme")
    assert text(root, "//cac:TaxSubtotal//cbc:TaxExemptionReasonCode") == "VATEX-EU-O"
    assert not texts(root, "//cbc:Percent")


def test_documents_without_an_e_invoice_are_told_in_the_manifest(
    january: Warehouse, ledger: Ledger, close: Close, tmp_path: Path
) -> None:
    # Dinars: 4.62 is paid as 4.620.
    january.conn.execute(
        "update billing.draft_invoices set minor_units = 3 where distributor_id = 'cascadia'"
    )
    close(january, ledger, "2026-01")
    render_period(ledger, "2026-01", tmp_path / "exports")

    def told(distributor_id: str) -> tuple[list[Content], bool]:
        folder = tmp_path / f"exports/2026-01/{distributor_id}"
        manifest = json.loads((folder / "manifest.json").read_bytes())
        return manifest["not_representable"], (folder / "invoice.ubl.xml").is_file()

    assert told("alpenland") == ([], True)
    assert told("sakura") == ([], False)  # nil: there is no invoice to say it of
    assert told("cascadia") == (
        [
            {
                "document": "CASCADIA-000001",
                "reason": "amounts in USD have three decimals, EN 16931 allows two",
            }
        ],
        False,
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tax": None}, "it carries no tax"),
        ({"seller": {**SELLER, "endpoint_id": "nowhere"}}, "the seller's endpoint_id is 'nowhere'"),
        ({"seller": {**SELLER, "seller_name": "\t "}}, "the seller has no seller name"),
        ({"seller": {**SELLER, "tax_id": "0815"}}, "category AE needs a VAT number of the seller"),
    ],
)
def test_why_a_document_has_none(issued: dict[str, Document], change: Content, reason: str) -> None:
    assert reason in (obstacle({**issued["ALPENLAND-000001"].content, **change}) or "")


def test_a_note_on_a_period_billed_with_nothing_names_the_notes_before_it(
    january: Warehouse, ledger: Ledger, close: Close, tmp_path: Path
) -> None:
    """What a Dutch seller's credit note must refer to is then a debit note (NL-R-001)."""
    from invoicing.exports.folder import preceding as of_ledger

    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    correct_january(january)
    note, _ = close(january, ledger, "2026-02")
    assert of_ledger(ledger, note) == ("ALPENLAND-000001",)
    nothing = {"period": "2026-01", "number": None, "sequence": None}
    late = Document({**note.content, "corrects": nothing, "sequence": 9}, note.provenance)
    assert of_ledger(ledger, late) == ("ALPENLAND-000001", "ALPENLAND-000002")


def test_a_name_written_to_do_harm_is_text(issued: dict[str, Document], tmp_path: Path) -> None:
    name = "]]><x/>&amp;<!--\x00\x0b\x1f\ufffe <script>alert(1)</script> \u202eevil"
    content = deepcopy(issued["ALPENLAND-000001"].content)
    content["seller"]["seller_name"] = content["distributor"]["distributor_name"] = name
    content["purchase_order"] = content["lines"][0]["partner_name"] = name
    content["lines"][0]["product_name"] = content["lines"][0]["sku"] = name
    root = parsed(content)
    shown = name.translate(dict.fromkeys([0, 0x0B, 0x1F, 0xFFFE], "\ufffd"))
    assert set(texts(root, "//cbc:RegistrationName/text()")) == {shown}
    assert texts(root, "cac:InvoiceLine[1]/cac:Item/cbc:Name/text()") == [shown]
    path = tmp_path / "hostile.ubl.xml"
    path.write_bytes(ubl_xml(content).body)  # type: ignore[arg-type]
    assert validate([path]).findings == ()


def test_the_same_document_gives_the_same_bytes(issued: dict[str, Document]) -> None:
    for content in contents(issued).values():
        again = json.loads(json.dumps(content))
        assert ubl_xml(content).body == ubl_xml(again).body
