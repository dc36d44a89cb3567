"""What the content of every document is made of: totals, bands, proof and provenance.

No kind of document of its own belongs here; those are `documents` and `notes`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import duckdb

from invoicing import draft, durable, gate, roster
from invoicing.canonical import JsonObject, canonical_json, money_text, price_text, sha256
from invoicing.draft import DraftInvoice, Row, Tax
from invoicing.ledger import FOLLOWS, Head

# Documents of format 1 carry no tax and of the customers only those that are billed, and up to
# format 2 none says how firewalls are counted; they are verified, rendered and made again as they
# were.
FORMAT = "musterhouse-document/3"
WITHOUT_FIREWALL_POLICIES = "musterhouse-document/2"
WITHOUT_TAX = "musterhouse-document/1"
_SINCE_2 = ("managed_customers", "psa_changes", "tax")
_POLICIES_SINCE_3 = ("firewall_evidence", "replaced_hardware")
_PACKAGES = ("musterhouse", "duckdb", "dbt-core", "dbt-duckdb")
RATE_DECIMALS = 2
PRODUCT = ("product_code", "product_name", "category", "billing_unit", "sku", "listing_order")
PARTNER = ("partner_id", "partner_name")


def roster_proof(size: roster.RosterSize, path: Path) -> JsonObject:
    return {"rows": size.rows, "counted": size.counted, "sha256": durable.file_sha256(path)}


def provenance_of(
    conn: duckdb.DuckDBPyConnection,
    invoice: DraftInvoice,
    release: gate.Release,
    head: Head,
    content: JsonObject,
    found: list[Row],
) -> JsonObject:
    """What a document was computed from, and the link to the one before it."""
    return {
        "content_sha256": sha256(canonical_json(content)),
        "previous_document_sha256": head.document_sha256,
        FOLLOWS: head.ledger_sha256,
        "version_set_sha256": invoice.version_set_sha256,
        # Issued periods lend cut-offs and policies to those after them (R26).
        "ledger": draft.ledger_state(conn, invoice),
        "released_by": release.released_by,
        # Who decided is for our own auditors; the distributor reads the decision and its reason.
        "waivers": [
            {"discrepancy_id": row["discrepancy_id"], "decided_by": row["decided_by"]}
            for row in found
            if row["state"] == "waived"
        ],
        "versions": installed_versions(),
    }


def band_in_text(band: JsonObject, minor_units: int) -> JsonObject:
    return {
        "min_quantity": band["min_quantity"],
        "max_quantity": band["max_quantity"],
        "unit_price": price_text(Decimal(str(band["unit_price"])), minor_units),
        "quantity": band["quantity"],
    }


def totals_of(
    amount: Decimal, places: int, lines: list[JsonObject], unused: list[JsonObject]
) -> JsonObject:
    """The header amount is the mart's; the ledger refuses it unless the lines add up to it."""
    groups = [*lines, *unused]
    return {
        "line_count": len(lines),
        "usage_rows": sum(len(group["customers"]) for group in groups),
        "units": sum(group["quantity"] for group in groups),
        "amount": money_text(amount, places),
        "partners": _totals_by(groups, ("partner_id", "partner_name"), places),
        "products": _totals_by(groups, ("product_code", "product_name"), places),
        "categories": _totals_by(groups, ("category",), places),
    }


def tax_of(amount: Decimal, tax: Tax | None, places: int) -> JsonObject | None:
    """What a document says of tax on its total (R20); figures have the sign of the total."""
    if tax is None:
        return None
    return {
        "category": tax.category,
        "rate": price_text(tax.rate, RATE_DECIMALS),
        "reason": tax.reason,
        "taxable_amount": money_text(amount, places),
        "tax_amount": money_text(tax.tax_amount, places),
        "payable_amount": money_text(tax.payable_amount, places),
    }


def in_format(content: JsonObject, name: str) -> JsonObject:
    """The content as a document of an earlier format has it, key for key (R26)."""
    if name == FORMAT:
        return content
    if name not in (WITHOUT_FIREWALL_POLICIES, WITHOUT_TAX):
        raise ValueError(f"{name} is no format of documents this version knows")
    policies = content["policies"]
    found = {
        **content,
        "format": name,
        "policies": {key: policies[key] for key in policies if key not in _POLICIES_SINCE_3},
    }
    if name == WITHOUT_TAX:
        found = {key: value for key, value in found.items() if key not in _SINCE_2}
    return found


def _totals_by(
    groups: Iterable[JsonObject], names: tuple[str, ...], minor_units: int
) -> list[JsonObject]:
    """Sums of licence units (R7: not of people) and money, one entry per key in order of the key.

    The first of `names` is the key.
    """
    members: dict[Any, list[JsonObject]] = defaultdict(list)
    for group in groups:
        members[group[names[0]]].append(group)
    return [
        {
            **{name: of_key[0][name] for name in names},
            "line_count": sum(group["line_number"] is not None for group in of_key),
            "units": sum(group["quantity"] for group in of_key),
            "joined": sum_if_known(group["joined"] for group in of_key),
            "left_since": sum_if_known(group["left_since"] for group in of_key),
            "amount": money_text(
                sum((Decimal(group["amount"]) for group in of_key), Decimal(0)), minor_units
            ),
        }
        for _, of_key in sorted(members.items())
    ]


def sum_if_known(values: Iterable[int | None]) -> int | None:
    """Null for a first period: it has no window before, so who joined or left is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def installed_versions() -> dict[str, str | None]:
    """The packages whose code makes a document, with the versions that are installed."""
    return {package: _installed(package) for package in _PACKAGES}


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
