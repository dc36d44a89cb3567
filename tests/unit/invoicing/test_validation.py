"""The official rules are really run: each way of breaking an invoice is told by its rule's id."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from billing_marts import Warehouse
from lxml import etree
from test_ubl import NAMES, domestic

from invoicing.exports.ubl import ubl_xml
from invoicing.ledger import Document, Ledger
from invoicing.validation import RulesError, ValidatorMissingError, documents, validate

Close = Callable[[Warehouse, Ledger, str], list[Document]]


@pytest.fixture
def invoice(january: Warehouse, ledger: Ledger, close: Close) -> Any:
    """Alpenland's 47.35 EUR with reverse charge, as XML."""
    return etree.fromstring(body(close(january, ledger, "2026-01")[0].content))


@pytest.fixture
def taxed(january: Warehouse, ledger: Ledger, close: Close) -> Any:
    """The same to a distributor at home, with 9.94 of tax."""
    return etree.fromstring(body(domestic(close(january, ledger, "2026-01")[0].content)))


def body(content: dict[str, Any]) -> bytes:
    made = ubl_xml(content).body
    assert isinstance(made, bytes)
    return made


def at(root: Any, path: str) -> Any:
    return root.xpath(path, namespaces=NAMES)[0]


def put(path: str, value: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        at(root, path).text = value

    return change


def drop(*paths: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        for path in paths:
            element = at(root, path)
            element.getparent().remove(element)

    return change


def unknown_unit(root: Any) -> None:
    at(root, "//cbc:InvoicedQuantity").set("unitCode", "USER")


def unknown_scheme(root: Any) -> None:
    at(root, "//cbc:EndpointID").set("schemeID", "1234")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (put("//cac:LegalMonetaryTotal/cbc:LineExtensionAmount", "47.36"), "BR-CO-10"),
        (put("//cac:LegalMonetaryTotal/cbc:PayableAmount", "47.34"), "BR-CO-16"),
        (drop("//cac:AccountingCustomerParty//cbc:RegistrationName"), "BR-07"),
        (put("//cbc:DocumentCurrencyCode", "EURO"), "BR-CL-04"),
        (put("//cbc:PriceAmount", "-0.335"), "BR-27"),
        (drop("//cbc:TaxExemptionReason", "//cbc:TaxExemptionReasonCode"), "BR-AE-10"),
        (put("/*/cac:InvoicePeriod/cbc:EndDate", "2025-12-31"), "BR-29"),
        (unknown_scheme, "BR-CL-25"),
        (unknown_unit, "BR-CL-23"),
        (
            put("//cac:AccountingCustomerParty//cac:PartyTaxScheme/cbc:CompanyID", "00000024"),
            "BR-CO-09",
        ),
        (drop("//cac:AccountingSupplierParty"), "UBL"),
        (put("//cbc:IssueDate", "31.1.2026"), "UBL"),
        (drop("//cac:InvoiceLine[1]/cac:Item/cbc:Name"), "BR-25"),
    ],
)
def test_a_broken_invoice_is_told_by_its_rule(
    invoice: Any, change: Callable[[Any], None], rule: str, tmp_path: Path
) -> None:
    change(invoice)
    assert rule in broken(invoice, tmp_path)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        # 9.94 of tax, and a unit more than the rule's own tolerance of 1.
        (put("//cac:TaxTotal/cbc:TaxAmount", "9.95"), "BR-CO-14"),
        (put("//cac:TaxSubtotal/cbc:TaxAmount", "11.00"), "BR-S-09"),
        (put("//cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount", "57.30"), "BR-CO-15"),
        (drop("//cac:AccountingSupplierParty//cac:PartyTaxScheme"), "BR-S-02"),
    ],
)
def test_wrong_tax_is_told_by_its_rule(
    taxed: Any, change: Callable[[Any], None], rule: str, tmp_path: Path
) -> None:
    change(taxed)
    assert rule in broken(taxed, tmp_path)


def broken(root: Any, folder: Path, more_rules: Path | None = None) -> set[str]:
    path = folder / "one.ubl.xml"
    path.write_bytes(etree.tostring(root))
    return {one.rule for one in validate([path], more_rules).errors}


def test_a_missing_endpoint_is_seen_by_the_rules_of_peppol(invoice: Any, tmp_path: Path) -> None:
    """EN 16931 asks for none. The rules are written as Peppol's are: let, function, contexts."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "PEPPOL.sch").write_text(PEPPOL)
    assert broken(invoice, tmp_path, rules) == set()
    drop("//cac:AccountingCustomerParty//cbc:EndpointID")(invoice)
    put("//cac:InvoiceLine[3]/cac:Price/cbc:PriceAmount", "0.365")(invoice)
    assert broken(invoice, tmp_path) == set()
    assert broken(invoice, tmp_path, rules) == {"PEPPOL-EN16931-R010", "PEPPOL-EN16931-R120"}
    (found, _) = validate([tmp_path / "one.ubl.xml"], rules).errors
    assert found.location == "/Invoice[1]/AccountingCustomerParty[1]/Party[1]"
    assert found.text == "Buyer electronic address MUST be provided"


PEPPOL = """
<schema xmlns="http://purl.oclc.org/dsdl/schematron" queryBinding="xslt2"
    xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:u="utils">
  <ns uri="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2" prefix="cbc"/>
  <ns uri="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2" prefix="cac"/>
  <ns uri="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" prefix="ubl-invoice"/>
  <ns uri="http://www.w3.org/2001/XMLSchema" prefix="xs"/>
  <ns uri="utils" prefix="u"/>
  <let name="slack" value="0.02"/>
  <function xmlns="http://www.w3.org/1999/XSL/Transform" name="u:near" as="xs:boolean">
    <param name="one" as="xs:decimal"/>
    <param name="other" as="xs:decimal"/>
    <value-of select="abs($one - $other) &lt;= $slack"/>
  </function>
  <pattern>
    <rule context="cac:AccountingCustomerParty/cac:Party">
      <assert id="PEPPOL-EN16931-R010" test="cbc:EndpointID" flag="fatal">Buyer electronic
        address MUST be provided</assert>
    </rule>
    <rule context="cac:Party">
      <assert id="PEPPOL-EN16931-R020" test="cbc:EndpointID" flag="fatal">Seller</assert>
    </rule>
    <rule context="cac:InvoiceLine">
      <let name="per" value="(cac:Price/cbc:BaseQuantity, 1)[1]"/>
      <assert id="PEPPOL-EN16931-R120" flag="fatal" test="u:near(cbc:LineExtensionAmount,
        xs:decimal(cbc:InvoicedQuantity) * (xs:decimal(cac:Price/cbc:PriceAmount) div $per))">Net
      </assert>
      <report id="A-WARNING" test="cbc:Note" flag="warning">There is a note</report>
    </rule>
  </pattern>
</schema>
"""


def test_a_warning_is_told_and_breaks_nothing(invoice: Any, tmp_path: Path) -> None:
    (tmp_path / "PEPPOL.sch").write_text(PEPPOL)
    assert broken(invoice, tmp_path, tmp_path) == set()
    found = validate([tmp_path / "one.ubl.xml"], tmp_path)
    assert [(one.rule, one.is_error) for one in found.findings] == [("A-WARNING", False)]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "holds no .sch or .xslt file"),
        ({"a.sch": PEPPOL.replace("<pattern>", "<pattern><include href='x'/>")}, "has <include>"),
        ({"a.sch": PEPPOL.replace("cbc:EndpointID", "cbc:(")}, "does not compile"),
        ({"a.xslt": "<not"}, "is no XML"),
    ],
)
def test_rules_that_cannot_run_are_named(
    invoice: Any, tmp_path: Path, rules: dict[str, str], said: str
) -> None:
    for name, text in rules.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(RulesError, match=said):
        broken(invoice, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("<Invoice", "XML"),
        ("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "XML"),
        ("<Order/>", "UBL"),
    ],
)
def test_what_is_no_invoice_is_told(text: str, rule: str, tmp_path: Path) -> None:
    path = tmp_path / "one.ubl.xml"
    path.write_text(text)
    (found,) = validate([path]).errors
    assert (found.rule, found.file) == (rule, path)
    assert "root:" not in found.text


def test_files_and_folders_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b/x.ubl.xml", "a/y.ubl.xml", "a/other.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    other = tmp_path / "a/other.xml"
    assert documents([other, tmp_path, tmp_path / "b"]) == [
        other,
        tmp_path / "a/y.ubl.xml",
        tmp_path / "b/x.ubl.xml",
    ]
    with pytest.raises(FileNotFoundError, match="gone is not there"):
        documents([tmp_path / "gone"])


@pytest.mark.parametrize("package", ["facturx", "saxonche"])
def test_what_to_install_is_told(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValidatorMissingError, match=r"pip install 'musterhouse\[einvoice\]'"):
        validate([])
