"""E-invoices of drafts, held to the official rules before anything is issued.

Only who is held, and by which rule. The rules are run by `invoicing.validation`.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import duckdb

from invoicing import documents, validation
from invoicing.checks import CheckResult
from invoicing.draft import DraftInvoice
from invoicing.exports.folder import preceding
from invoicing.exports.ubl import obstacle, ubl_xml
from invoicing.ledger import Ledger

CHECK = "e_invoice_is_valid"
_RULES_SHOWN = 5


def validate_drafts(
    conn: duckdb.DuckDBPyConnection, ledger: Ledger, drafts: Sequence[DraftInvoice]
) -> list[CheckResult]:
    """A blocking result for each distributor with a draft whose documents would break a rule.

    A document that has no e-invoice is not looked at; without the extra `einvoice` none is.
    """
    if not validation.is_installed():
        return []
    with tempfile.TemporaryDirectory(prefix="musterhouse-einvoices-") as folder:
        owners = _written(conn, ledger, drafts, Path(folder))
        if not owners:
            return []
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for one in validation.validate(list(owners)).errors:
            found[owners[one.file]].setdefault(one.rule, one.text)
    return [
        CheckResult(
            name=CHECK,
            success=not found[distributor_id],
            severity="blocking",
            distributors=(distributor_id,),
            detail=_told(found[distributor_id]),
        )
        for distributor_id in sorted(set(owners.values()))
    ]


def _written(
    conn: duckdb.DuckDBPyConnection, ledger: Ledger, drafts: Sequence[DraftInvoice], folder: Path
) -> dict[Path, str]:
    """The e-invoices that issuing the drafts would send, as files, and whose each is."""
    owners: dict[Path, str] = {}
    for invoice in drafts:
        for document in documents.drafted(conn, ledger, invoice):
            if document.kind == "nil" or obstacle(document.content):
                continue
            before = preceding(ledger, document) if document.is_note else ()
            body = ubl_xml(document.content, before).body
            assert isinstance(body, bytes)
            path = folder / f"{len(owners):06d}.ubl.xml"
            path.write_bytes(body)
            owners[path] = invoice.distributor_id
    return owners


def _told(rules: dict[str, str]) -> str:
    """Each rule in its own words, which begin with its id or are given it."""
    if not rules:
        return ""
    said = [text if rule in text else f"[{rule}] {text}" for rule, text in sorted(rules.items())]
    more = len(said) - _RULES_SHOWN
    listed = "; ".join(said[:_RULES_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return (
        f"its e-invoice would break {listed}. Correct seeds/seller.csv, seeds/distributors.csv or "
        "seeds/tax_rates.csv, then close again."
    )
