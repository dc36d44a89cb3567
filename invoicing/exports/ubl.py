"""invoice.ubl.xml: the document as an EN 16931 invoice in UBL 2.1, for Peppol BIS Billing 3.0.

Only how a document is said there. Whether it is valid is checked by `invoicing.validation`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from lxml import etree

from invoicing.canonical import JsonObject
from invoicing.content import says_what_counted
from invoicing.exports.exported import ExportedFile

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
_NAMESPACES = {
    "cac": f"{_UBL}CommonAggregateComponents-2",
    "cbc": f"{_UBL}CommonBasicComponents-2",
}
_CUSTOMIZATION = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
_PROFILE = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
# UNCL 1001. A debit note is a document of its own that adds to the invoice it names.
_TYPE_CODES = {"invoice": "380", "debit_note": "383", "credit_note": "381"}
# What Germany and Iceland know instead: another invoice (DE-R-017, IS-R-001).
_INVOICE = "380"
_WITHOUT_DEBIT_NOTES = ("DE", "IS")
# UNCL 4461. Inside Denmark a transfer is 42, with the two parts of an account (DK-R-005, -006).
_NOT_DEFINED, _CREDIT_TRANSFER, _TO_BANK_ACCOUNT, _SEPA = "1", "30", "42", "58"
_DANISH_ACCOUNT = re.compile("DK[0-9]{2}([0-9]{4})([0-9]{10})")
# UN/ECE recommendation 20: one, and a lump sum.
_ONE, _LUMP_SUM = "C62", "LS"
_NOT_SUBJECT, _REVERSE_CHARGE, _INTRA_COMMUNITY = "O", "AE", "K"
_EXEMPTION_CODES = {
    "AE": "VATEX-EU-AE",
    "G": "VATEX-EU-G",
    "K": "VATEX-EU-IC",
    "O": "VATEX-EU-O",
}
_WITHOUT_REASON = ("S", "Z")
# Greece and Northern Ireland number otherwise than ISO 3166-1 calls them.
_VAT_PREFIXES = {"GR": ("EL",), "GB": ("GB", "XI")}
# An electronic address of this scheme is the number in the company register (IS-R-004).
_REGISTERS = {"IS": "0196"}
_ENDPOINT = re.compile(r"([0-9A-Z]{2,4}):(\S+)")
_FORBIDDEN_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def obstacle(content: JsonObject) -> str | None:
    """Why a document has no EN 16931 invoice, in words, or None where it has one.

    A nil document is no invoice and asks for none.
    """
    tax, seller, buyer = content.get("tax"), content["seller"], content["distributor"]
    if tax is None:
        return "it carries no tax, which every EN 16931 invoice has to state"
    if content["minor_units"] > 2:
        return f"amounts in {content['currency']} have three decimals, EN 16931 allows two"
    for whose, party in (("seller", seller), ("distributor", buyer)):
        missing = [one for one in (f"{whose}_name", "country") if not _text(party.get(one))]
        if missing:
            return f"the {whose} has no {missing[0].replace('_', ' ')}"
        if not _ENDPOINT.fullmatch(party.get("endpoint_id") or ""):
            return (
                f"the {whose}'s endpoint_id is {party.get('endpoint_id')!r}, and not an electronic "
                "address with its scheme, as in 9944:NL000000024B01"
            )
    if tax["category"] != _NOT_SUBJECT and not _vat_id(seller):
        return f"tax category {tax['category']} needs a VAT number of the seller"
    if tax["category"] == _INTRA_COMMUNITY and not _vat_id(buyer):
        return f"tax category {tax['category']} needs a VAT number of the distributor"
    if tax["category"] == _REVERSE_CHARGE and not _text(buyer.get("tax_id")):
        return "reverse charge needs a tax number of the distributor"
    return None


def ubl_xml(content: JsonObject, preceding: tuple[str, ...] = ()) -> ExportedFile:
    """An invoice or note without an `obstacle`, as `invoice.ubl.xml` or `note.ubl.xml`.

    A credit note has positive amounts for what is credited; a debit note is of type 383. Each line
    has the net amount of the document's line. `preceding` are the numbers a note refers to.
    """
    is_credit = content["kind"] == "credit_note"
    root_name = "CreditNote" if is_credit else "Invoice"
    namespaces: dict[str | None, str] = {None: f"{_UBL}{root_name}-2"}
    namespaces.update(_NAMESPACES)
    root = etree.Element(f"{{{namespaces[None]}}}{root_name}", nsmap=namespaces)
    _head(root, content, preceding)
    _party(root, "cac:AccountingSupplierParty", "seller", content)
    _party(root, "cac:AccountingCustomerParty", "distributor", content)
    _payment(root, content)
    _totals(root, content)
    for line in content["lines"]:
        _line(root, line, content)
    body = etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
    totals, tax = content["totals"], content["tax"]
    return ExportedFile(
        path="invoice.ubl.xml" if content["kind"] == "invoice" else "note.ubl.xml",
        body=body,
        rows=totals["line_count"],
        totals={
            "amount": totals["amount"],
            "tax_amount": tax["tax_amount"],
            "payable_amount": tax["payable_amount"],
        },
    )


def _head(root: etree._Element, content: JsonObject, preceding: tuple[str, ...]) -> None:
    is_credit = content["kind"] == "credit_note"
    _add(root, "cbc:CustomizationID", _CUSTOMIZATION)
    _add(root, "cbc:ProfileID", _PROFILE)
    _add(root, "cbc:ID", content["number"])
    _add(root, "cbc:IssueDate", content["dates"]["issue_on"])
    if not is_credit:
        _add(root, "cbc:DueDate", content["dates"]["due_on"])
    type_code = "cbc:CreditNoteTypeCode" if is_credit else "cbc:InvoiceTypeCode"
    is_plain = content["kind"] == "debit_note" and _home(content) in _WITHOUT_DEBIT_NOTES
    _add(root, type_code, _INVOICE if is_plain else _TYPE_CODES[content["kind"]])
    _add(root, "cbc:Note", _note(content))
    _add(root, "cbc:DocumentCurrencyCode", content["currency"])
    if _is_national(content):
        _add(root, "cbc:BuyerReference", content["buyer_reference"])
    elif not _text(content["purchase_order"]):
        # Peppol wants a reference of the buyer's; what it is called with us is the one there is.
        _add(root, "cbc:BuyerReference", content["distributor"]["distributor_id"])
    _period(root, content)
    if _text(content["purchase_order"]):
        _add(_group(root, "cac:OrderReference"), "cbc:ID", content["purchase_order"])
    for number in preceding:
        reference = _group(_group(root, "cac:BillingReference"), "cac:InvoiceDocumentReference")
        _add(reference, "cbc:ID", number)


def _is_national(content: JsonObject) -> bool:
    """Documents of format 3 and later follow the rules of the seller's country, beside Peppol's.

    Earlier ones give the bytes that were sent.
    """
    return "buyer_reference" in content


def _home(content: JsonObject) -> str | None:
    """The country whose rules a document follows, the seller's."""
    return content["seller"]["country"] if _is_national(content) else None


def _is_danish(content: JsonObject) -> bool:
    return _home(content) == "DK" and content["distributor"]["country"] == "DK"


def _note(content: JsonObject) -> str | None:
    """One note a document: what it corrects or takes back, and why; else the dates that counted.

    Those may begin before the invoicing period does (R2), which has no room for them.
    """
    corrects = content.get("corrects")
    if corrects is None:
        dates = content["dates"]
        counted = f"Counted: active from {dates['window_starts_on']} to {dates['cutoff_on']}, UTC"
        return counted if says_what_counted(content) else None
    if content["cancels"]:
        return f"Cancels {content['cancels']}: {content['reason']}"
    number = f", {corrects['number']}" if corrects["number"] else ""
    return f"Corrects {corrects['period']}{number}"


def _party(root: etree._Element, element: str, whose: str, content: JsonObject) -> None:
    value, category = content[whose], content["tax"]["category"]
    party = _group(_group(root, element), "cac:Party")
    scheme, address = _ENDPOINT.fullmatch(value["endpoint_id"]).groups()  # type: ignore[union-attr]
    _add(party, "cbc:EndpointID", address, schemeID=scheme)
    if not _is_danish(content):  # our ids have no scheme, and DK-R-013 wants one
        _add(_group(party, "cac:PartyIdentification"), "cbc:ID", value[f"{whose}_id"])
    postal = _group(party, "cac:PostalAddress")
    _add(postal, "cbc:StreetName", value.get("street"))
    _add(postal, "cbc:CityName", value.get("city"))
    _add(postal, "cbc:PostalZone", value.get("postal_code"))
    _add(_group(postal, "cac:Country"), "cbc:IdentificationCode", value["country"])
    # What is not subject to VAT must not carry VAT numbers (BR-O-02).
    vat_id = _vat_id(value) if category != _NOT_SUBJECT else None
    if vat_id:
        scheme_of_tax = _group(party, "cac:PartyTaxScheme")
        _add(scheme_of_tax, "cbc:CompanyID", vat_id)
        _add(_group(scheme_of_tax, "cac:TaxScheme"), "cbc:ID", "VAT")
    legal = _group(party, "cac:PartyLegalEntity")
    _add(legal, "cbc:RegistrationName", value[f"{whose}_name"])
    registration = _registration(value, content)
    if registration:
        scheme, number = registration
        _add(legal, "cbc:CompanyID", number, **({"schemeID": scheme} if scheme else {}))
    elif whose == "distributor" and category == _REVERSE_CHARGE and not vat_id:
        _add(legal, "cbc:CompanyID", value["tax_id"])
    contact = [value.get(f"contact_{one}") for one in ("name", "phone", "email")]
    if any(contact):
        group = _group(party, "cac:Contact")
        for name, text in zip(("Name", "Telephone", "ElectronicMail"), contact, strict=True):
            _add(group, f"cbc:{name}", text)


def _registration(party: JsonObject, content: JsonObject) -> tuple[str | None, str] | None:
    """A party's number in the company register, and its scheme where it has one."""
    registration = _text(party.get("legal_registration"))
    if registration:
        found = _ENDPOINT.fullmatch(registration)
        return (found[1], found[2]) if found else (None, registration)
    scheme, address = _ENDPOINT.fullmatch(party["endpoint_id"]).groups()  # type: ignore[union-attr]
    is_register = _is_national(content) and _REGISTERS.get(party["country"]) == scheme
    return (scheme, address) if is_register else None


def _vat_id(party: JsonObject) -> str | None:
    """The tax number where it is a VAT number, that is one with its country before it."""
    country, tax_id = party["country"], _text(party.get("tax_id")) or ""
    return tax_id if tax_id.startswith(_VAT_PREFIXES.get(country, (country,))) else None


def _payment(root: etree._Element, content: JsonObject) -> None:
    if content["tax"]["category"] == _INTRA_COMMUNITY:
        address = _group(
            _group(_group(root, "cac:Delivery"), "cac:DeliveryLocation"), "cac:Address"
        )
        country = _group(address, "cac:Country")
        _add(country, "cbc:IdentificationCode", content["distributor"]["country"])
    iban = _text(content["seller"].get("iban"))
    if content["kind"] == "credit_note":
        if _home(content) == "DE":  # how is always to be said there, also of a credit (BR-DE-1)
            means = _group(root, "cac:PaymentMeans")
            _add(means, "cbc:PaymentMeansCode", _NOT_DEFINED)
        # UBL 2.1 has no due date for a credit note.
        terms = f"Due on {content['dates']['due_on']}"
        _add(_group(root, "cac:PaymentTerms"), "cbc:Note", terms)
    elif iban:
        means = _group(root, "cac:PaymentMeans")
        danish = _DANISH_ACCOUNT.fullmatch(iban) if _is_danish(content) else None
        abroad = _SEPA if _is_danish(content) else _CREDIT_TRANSFER
        _add(means, "cbc:PaymentMeansCode", _TO_BANK_ACCOUNT if danish else abroad)
        _add(means, "cbc:PaymentID", content["number"])
        account = _group(means, "cac:PayeeFinancialAccount")
        _add(account, "cbc:ID", danish[2] if danish else iban)
        if danish:
            _add(_group(account, "cac:FinancialInstitutionBranch"), "cbc:ID", danish[1])


def _totals(root: etree._Element, content: JsonObject) -> None:
    tax = content["tax"]
    net, charged, payable = (
        _oriented(tax[name], content) for name in ("taxable_amount", "tax_amount", "payable_amount")
    )
    total = _group(root, "cac:TaxTotal")
    _amount(total, "cbc:TaxAmount", charged, content)
    subtotal = _group(total, "cac:TaxSubtotal")
    _amount(subtotal, "cbc:TaxableAmount", net, content)
    _amount(subtotal, "cbc:TaxAmount", charged, content)
    _tax_category(subtotal, "cac:TaxCategory", content, is_total=True)
    money = _group(root, "cac:LegalMonetaryTotal")
    _amount(money, "cbc:LineExtensionAmount", net, content)
    _amount(money, "cbc:TaxExclusiveAmount", net, content)
    _amount(money, "cbc:TaxInclusiveAmount", payable, content)
    _amount(money, "cbc:PayableAmount", payable, content)


def _line(root: etree._Element, line: JsonObject, content: JsonObject) -> None:
    is_credit = content["kind"] == "credit_note"
    element = _group(root, "cac:CreditNoteLine" if is_credit else "cac:InvoiceLine")
    priced = _priced(line, content)
    _add(element, "cbc:ID", str(line["line_number"]))
    _add(element, "cbc:Note", _line_note(line, content))
    quantity = "cbc:CreditedQuantity" if is_credit else "cbc:InvoicedQuantity"
    _add(element, quantity, str(priced.quantity), unitCode=priced.unit)
    _amount(element, "cbc:LineExtensionAmount", _oriented(line["amount"], content), content)
    _period(element, content)
    item = _group(element, "cac:Item")
    _add(item, "cbc:Description", f"{_text(line['partner_name']) or ''} ({line['partner_id']})")
    _add(item, "cbc:Name", _text(line["product_name"]) or line["product_code"])
    if _text(line["sku"]):
        _add(_group(item, "cac:SellersItemIdentification"), "cbc:ID", line["sku"])
    _tax_category(item, "cac:ClassifiedTaxCategory", content, is_total=False)
    for name in ("partner_id", "product_code", "billing_unit"):
        attribute = _group(item, "cac:AdditionalItemProperty")
        _add(attribute, "cbc:Name", name)
        _add(attribute, "cbc:Value", line[name])
    price = _group(element, "cac:Price")
    _amount(price, "cbc:PriceAmount", priced.price, content)
    if priced.base_quantity is not None:
        _add(price, "cbc:BaseQuantity", str(priced.base_quantity), unitCode=priced.unit)


def _line_note(line: JsonObject, content: JsonObject) -> str | None:
    if content["kind"] == "invoice":
        bands = line["bands"] if len(line["bands"]) > 1 else []
        return ", ".join(f"{band['quantity']} x {band['unit_price']}" for band in bands) or None
    causes = ", ".join(cause["cause"] for cause in line["causes"])
    where = f"Line {line['corrects_line']}" if line["corrects_line"] else "New line"
    return (
        f"{where}: {line['billed_quantity']} for {line['billed_amount']} was billed, "
        f"{line['known_quantity']} for {line['known_amount']} is right ({causes})"
    )


@dataclass(frozen=True)
class _Priced:
    """quantity x price / base quantity is the line's amount, to the minor unit; price >= 0."""

    quantity: int
    price: Decimal | str
    unit: str = _ONE
    base_quantity: int | None = None


def _priced(line: JsonObject, content: JsonObject) -> _Priced:
    """How EN 16931, which knows one price a line and none below 0, says what a line costs.

    At its unit price, where that gives the amount. Else (graduated bands, shares of a note) the
    amount is the price of that many units. Where units and amount go different ways, or only the
    amount moves (a band that was crossed), it is a lump sum, and the line's note tells the units.
    """
    cent = Decimal(1).scaleb(-content["minor_units"])
    sign = -1 if content["kind"] == "credit_note" else 1
    quantity, amount = sign * line["quantity"], sign * Decimal(line["amount"])
    for price in (line["unit_price"], line.get("billed_unit_price")):
        if price and (quantity * Decimal(price)).quantize(cent, ROUND_HALF_UP) == amount:
            return _Priced(quantity, price)
    if quantity * amount > 0:
        return _Priced(quantity, abs(amount), base_quantity=abs(quantity))
    if amount == 0:
        return _Priced(quantity, Decimal(0))
    return _Priced(1 if amount > 0 else -1, abs(amount), _LUMP_SUM)


def _tax_category(
    parent: etree._Element, element: str, content: JsonObject, *, is_total: bool
) -> None:
    tax, category = content["tax"], _group(parent, element)
    _add(category, "cbc:ID", tax["category"])
    # Germany wants a rate of every total (BR-DE-14), EN 16931 none of a line that is not subject.
    if tax["category"] != _NOT_SUBJECT or (is_total and _home(content) == "DE"):
        _add(category, "cbc:Percent", tax["rate"])
    if is_total and tax["category"] not in _WITHOUT_REASON:
        _add(category, "cbc:TaxExemptionReasonCode", _EXEMPTION_CODES.get(tax["category"]))
        _add(category, "cbc:TaxExemptionReason", tax["reason"])
    _add(_group(category, "cac:TaxScheme"), "cbc:ID", "VAT")


def _period(parent: etree._Element, content: JsonObject) -> None:
    period = _group(parent, "cac:InvoicePeriod")
    _add(period, "cbc:StartDate", content["dates"]["period_starts_on"])
    _add(period, "cbc:EndDate", content["dates"]["cutoff_on"])


def _oriented(amount: str, content: JsonObject) -> Decimal:
    """What a credit note takes back is positive in UBL and negative in the document."""
    value = Decimal(amount)
    return (0 - value) if content["kind"] == "credit_note" else value


def _amount(
    parent: etree._Element, element: str, amount: Decimal | str, content: JsonObject
) -> None:
    _add(parent, element, f"{amount}", currencyID=content["currency"])


def _group(parent: etree._Element, element: str) -> etree._Element:
    return etree.SubElement(parent, _name(element))


def _add(parent: etree._Element, element: str, text: str | None, **attributes: str) -> None:
    """An element with text; left out where nothing of the text shows (PEPPOL-EN16931-R008)."""
    shown = _text(text)
    if shown:
        etree.SubElement(parent, _name(element), attributes).text = shown


def _name(element: str) -> str:
    prefix, _, name = element.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{name}"


def _text(value: str | None) -> str | None:
    """Text XML 1.0 can hold; None when nothing of it shows."""
    shown = _FORBIDDEN_IN_XML.sub("\ufffd", value or "").strip()
    return shown or None
