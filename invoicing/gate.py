"""The gate: decides per distributor whether a draft is released or held, and records it (R22).

It judges what it is given. It computes no figure of an invoice and writes no document.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Literal

import duckdb

from invoicing import approval, draft, durable
from invoicing.approval import AUTOMATIC, Approval, ApprovalError
from invoicing.canonical import JsonObject, canonical_json, price_text, sha256
from invoicing.checks import CheckResult
from invoicing.draft import DraftInvoice, DraftNote, Row, rows
from invoicing.ledger import RELEASES, Document, Ledger, LedgerError

FORMAT = "musterhouse-release/1"
_IDS_SHOWN = 5
# A line without one price has no amount that could be billed: only a price helps (R18).
_NO_WAIVER_HELPS = ("price_missing", "price_ambiguous")
_PRICE_CHECK = "line_unit_price_present"


class StaleDraftError(RuntimeError):
    """The draft was computed from other file versions than those now in force."""


@dataclass(frozen=True)
class Release:
    """The decision on one distributor, currency and period.

    `held` carries the reasons, sentences for a clerk; `waiting` lacks nothing but a second
    person's approval; `released` pins the version set, the policies and the dates its document
    will have; `issued` says the document exists already. `released_by` is `automatic` or the
    person whose approval this record is. `dated_on` is the date a person chose for the document,
    None where it follows from the cut-off and the document before it.
    Dates are ISO text, the amount is decimal text in the currency's minor units. `notes` holds the
    totals of the credit and debit notes that go out with the invoice, by corrected period and
    currency.
    """

    period: str
    distributor_id: str
    currency: str
    state: Literal["held", "waiting", "released", "issued"]
    reasons: tuple[str, ...]
    total_amount: str
    version_set_sha256: str
    policies: JsonObject
    issue_on: str
    due_on: str
    released_by: str | None
    notes: JsonObject = field(default_factory=dict)
    dated_on: str | None = None


def decide(
    conn: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    period: str,
    check_failures: Sequence[CheckResult],
    approvals: Sequence[Approval] = (),
    last_check: Callable[[Sequence[DraftInvoice]], Sequence[CheckResult]] = lambda drafts: (),
    on: date | None = None,
) -> list[Release]:
    """Decide on every draft of `period` and write one release record each.

    `check_failures` may contain passed checks and warnings; only failed blocking ones hold.
    `last_check` is asked about the drafts that nothing else holds: it may take them for whole.
    `approvals` are those policy `release` = `approved` asks for; one in a record still counts as
    long as it was given for the draft as it is. `on` is the date a person chose for what is issued
    now (R20); it stays in the record, so that a run that ended before its document, or an approval
    that comes later, keeps it. What is already issued keeps its record. A period
    that was passed over is not decided on: what it owes goes into a note (R25). Ordered by
    distributor and currency. Raises, and records nothing: StaleDraftError when a draft is not of
    the current version set, ApprovalError when one of `approvals` cannot release its draft.
    """
    invoices = [i for i in draft.invoices(conn, period) if not i.is_passed_over]
    version_set = draft.current_version_set(conn)
    unissued = [i for i in invoices if not ledger.issued(period, i.distributor_id, i.currency)]
    for invoice in unissued:
        check_fresh(invoice, version_set)
    every_draft = draft.invoices(conn)
    unknown = _unknown_products(conn, period)
    approval.check_drafted(period, approvals, invoices)
    given = {one.key: one for one in approvals}
    decisions: list[Release] = []
    refused: list[str] = []
    corrections: dict[tuple[str, str], list[DraftNote]] = {}
    against: dict[tuple[str, str], list[str]] = {}
    dates: dict[tuple[str, str], date | None] = {}
    for invoice in unissued:
        notes = draft.notes(conn, period, invoice.distributor_id, invoice.currency)
        chosen = on or _chosen_before(ledger, invoice)
        reasons = [
            *_incomplete(invoice),
            *_misdated(ledger, invoice, chosen),
            *_out_of_order(ledger, invoice, every_draft),
            *_discrepancies(invoice, _blocking(conn, period)),
            *_discrepancies_of_notes(conn, invoice, notes),
            *_without_tax_rate(invoice, notes),
            *_without_product(invoice, unknown),
        ]
        reasons += _failed_checks(invoice, check_failures, reasons)
        corrections[invoice.distributor_id, invoice.currency] = notes
        dates[invoice.distributor_id, invoice.currency] = chosen
        against[invoice.distributor_id, invoice.currency] = reasons
    whole = [one for one in unissued if not against[one.distributor_id, one.currency]]
    last = last_check(whole)
    for invoice in whole:
        against[invoice.distributor_id, invoice.currency] += _failed_checks(invoice, last, ())
    for invoice in invoices:
        document = ledger.issued(period, invoice.distributor_id, invoice.currency)
        if document:
            decisions.append(_of_document(document))
            continue
        notes = corrections[invoice.distributor_id, invoice.currency]
        reasons = against[invoice.distributor_id, invoice.currency]
        one = given.get((period, invoice.distributor_id, invoice.currency))
        if one:
            refused += _refused(conn, invoice, one, reasons)
        decision = _decision(conn, ledger, invoice, notes, reasons, one)
        chosen = dates[invoice.distributor_id, invoice.currency]
        decision = _dated(ledger, invoice, decision, chosen)
        written = {
            f"{note.billed_period} {note.currency}": note.content["totals"]["amount"]
            for note in _written(ledger, invoice)
        }
        decisions.append(replace(decision, notes={**written, **decision.notes}))
    if refused:
        raise ApprovalError("\n".join(refused))
    for decision in decisions:
        if decision.state != "issued":
            _record(ledger, decision)
    return decisions


def check_fresh(invoice: DraftInvoice, version_set_sha256: str) -> None:
    """Raise StaleDraftError unless the draft was computed from the version set now in force."""
    if invoice.version_set_sha256 != version_set_sha256:
        raise StaleDraftError(
            f"The draft of {invoice.period} for {invoice.distributor_id} was computed from version "
            f"set {invoice.version_set_sha256[:12]}, but {version_set_sha256[:12]} is in force: "
            f"files or settings changed since. Run `muster draft {invoice.period}`, then close "
            "again."
        )


def check_ledger(conn: duckdb.DuckDBPyConnection, ledger: Ledger, invoice: DraftInvoice) -> None:
    """Raise StaleDraftError if documents were written since the draft was computed.

    A note is a difference from all that was billed, so it must not be written a second time.
    """
    known = conn.execute(
        "select coalesce(max(sequence), 0) from billing.issued_invoices where distributor_id = ?",
        [invoice.distributor_id],
    ).fetchall()
    if known[0][0] != ledger.head(invoice.distributor_id).sequence:
        raise StaleDraftError(
            f"Documents of {invoice.distributor_id} were written since its corrections were "
            f"drafted. Close {invoice.period} again, so that they are drafted anew."
        )


def check_released(invoice: DraftInvoice, release: Release) -> None:
    """Raise StaleDraftError unless the draft is the one that was released."""
    if invoice.version_set_sha256 != release.version_set_sha256:
        raise StaleDraftError(
            f"The release of {invoice.period} for {invoice.distributor_id} pins version set "
            f"{release.version_set_sha256[:12]}, but its draft is now of "
            f"{invoice.version_set_sha256[:12]}. Close {invoice.period} again to decide anew."
        )


def recorded(ledger: Ledger, period: str, distributor_id: str, currency: str) -> Release | None:
    """The release record last written, or None. It says nothing about whether it was issued."""
    path = record_path(ledger, period, distributor_id, currency)
    return _read(path) if path.is_file() else None


def forget(ledger: Ledger, period: str, distributor_id: str, currency: str) -> None:
    """Remove a release whose invoice was cancelled: the period has to be decided on anew (R24)."""
    path = record_path(ledger, period, distributor_id, currency)
    if path.is_file():
        path.unlink()
        durable.sync(path.parent)


def proposed(invoice: DraftInvoice, notes: Sequence[DraftNote]) -> Release:
    """The release a draft would have if nothing stood against it; nothing is recorded."""
    return _release(invoice, notes, "released", [], None)


def release_again(
    ledger: Ledger, document: Document, invoice: DraftInvoice, notes: Sequence[DraftNote]
) -> None:
    """Record in another `ledger` the release `document` came from, dates and person as they were.

    Everything else is that of the draft there: what a rebuilt document says is computed (R26).
    """
    recorded = _of_document(document)
    release = _release(invoice, notes, "released", [], recorded.released_by)
    _record(ledger, replace(release, issue_on=recorded.issue_on, due_on=recorded.due_on))


def record_fault(ledger: Ledger, document: Document) -> str | None:
    """Where the release record of an invoice in force is not what it was issued with, or None.

    Of the notes in the record each was issued, in the same run. Raises LedgerError for a damaged
    record.
    """
    key = (document.period, document.distributor_id, document.currency)
    release = recorded(ledger, *key)
    if release is None:
        return (
            f"there is none for {document.name}; a cancellation that was killed leaves this: "
            "cancel it again"
        )
    notes: dict[str, set[str]] = defaultdict(set)
    for one in ledger.documents(document.distributor_id):
        if one.is_note and not one.cancels and one.period == document.period:
            notes[f"{one.billed_period} {one.currency}"].add(one.content["totals"]["amount"])
    for name, amount in release.notes.items():
        if amount not in notes[name]:
            return f"it releases a note of {amount} for {name}, which was not issued"
    issued = replace(
        _of_document(document), state="released", notes=release.notes, dated_on=release.dated_on
    )
    return next(
        (
            f"{name} is {is_value}, {document.name} was issued with {should_be}"
            for name, should_be in asdict(issued).items()
            if (is_value := asdict(release)[name]) != should_be
        ),
        None,
    )


def records(ledger: Ledger, period: str | None = None) -> list[Release]:
    """All release records, or those of one period, by period, distributor and currency."""
    found = [_read(path) for path in (ledger.root / RELEASES).glob(f"{period or '*'}/[!.]*.json")]
    return sorted(found, key=lambda r: (r.period, r.distributor_id, r.currency))


def _decision(
    conn: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    invoice: DraftInvoice,
    notes: list[DraftNote],
    reasons: list[str],
    given: Approval | None,
) -> Release:
    state: Literal["held", "waiting", "released"] = "held" if reasons else "released"
    released_by = None if reasons else AUTOMATIC
    if invoice.policies.get("release") == "approved":
        earlier = _recorded_approval(ledger, invoice)
        void = approval.objections(conn, invoice, earlier) if earlier else []
        counts = earlier if earlier and not void else given
        if not reasons:
            released_by = counts.by.strip() if counts else None
            state = "released" if counts else "waiting"
        if not counts:
            reasons = [*reasons, *void] if reasons else [*void, _unapproved(invoice)]
    return _release(invoice, notes, state, reasons, released_by)


def _written(ledger: Ledger, invoice: DraftInvoice) -> list[Document]:
    """Notes of this run that a run which ended before their invoice has written already.

    They are no draft any more and still go out with the invoice, so the record keeps naming them.
    """
    documents = reversed(list(ledger.documents(invoice.distributor_id)))
    return [
        note
        for note in takewhile(lambda document: document.is_note, documents)
        if (note.period, note.currency) == (invoice.period, invoice.currency) and not note.cancels
    ]


def _chosen_before(ledger: Ledger, invoice: DraftInvoice) -> date | None:
    """The date chosen for a draft that was released, or waits, and is not issued yet.

    What was held is closed again on a day of its own.
    """
    release = recorded(ledger, invoice.period, invoice.distributor_id, invoice.currency)
    if release is None or release.dated_on is None or release.state not in ("released", "waiting"):
        return None
    return date.fromisoformat(release.dated_on)


def _dated(
    ledger: Ledger, invoice: DraftInvoice, decision: Release, chosen: date | None
) -> Release:
    """Its dates (R20): the one chosen, else the draft's, moved up to the document before it; due
    after the same days. Its notes that are written already have them."""
    issue_on = chosen or max(invoice.issue_on, earliest_date(ledger, invoice.distributor_id))
    due_on = issue_on + (invoice.due_on - invoice.issue_on)
    return replace(
        decision,
        issue_on=issue_on.isoformat(),
        due_on=due_on.isoformat(),
        dated_on=chosen.isoformat() if chosen else None,
    )


def earliest_date(ledger: Ledger, distributor_id: str) -> date:
    """The date of the last document of a series: none after it is dated before it (R20)."""
    last = ledger.last(distributor_id)
    return date.fromisoformat(last.content["dates"]["issue_on"]) if last else date.min


def _release(
    invoice: DraftInvoice,
    notes: Sequence[DraftNote],
    state: Literal["held", "waiting", "released"],
    reasons: list[str],
    released_by: str | None,
) -> Release:
    return Release(
        period=invoice.period,
        distributor_id=invoice.distributor_id,
        currency=invoice.currency,
        state=state,
        reasons=tuple(reasons),
        total_amount=price_text(invoice.total_amount, invoice.minor_units),
        version_set_sha256=invoice.version_set_sha256,
        policies=invoice.policies,
        issue_on=invoice.issue_on.isoformat(),
        due_on=invoice.due_on.isoformat(),
        released_by=released_by,
        notes={
            f"{note.period} {note.currency}": price_text(note.total_amount, note.minor_units)
            for note in notes
        },
    )


def _of_document(document: Document) -> Release:
    content, provenance = document.content, document.provenance
    return Release(
        period=document.period,
        distributor_id=document.distributor_id,
        currency=document.currency,
        state="issued",
        reasons=(),
        total_amount=content["totals"]["amount"],
        version_set_sha256=provenance["version_set_sha256"],
        policies=content["policies"],
        issue_on=content["dates"]["issue_on"],
        due_on=content["dates"]["due_on"],
        released_by=provenance["released_by"],
    )


def _incomplete(invoice: DraftInvoice) -> list[str]:
    if invoice.is_complete:
        return []
    return [
        f"Period not over: it ends on {invoice.cutoff_on}, and not every expected source has "
        "delivered a snapshot dated on or after that day. Load the missing days, then close again."
    ]


def _out_of_order(
    ledger: Ledger, invoice: DraftInvoice, every_draft: list[DraftInvoice]
) -> list[str]:
    """Periods issue in order per distributor, whatever currency each is in; what was passed over
    is a note's (R25).

    A period whose invoice was cancelled is issued again before the next one (R24).
    """
    earlier = [
        other
        for other in every_draft
        if other.distributor_id == invoice.distributor_id
        and other.period < invoice.period
        and not other.is_passed_over
        and not ledger.issued(other.period, other.distributor_id, other.currency)
    ]
    if not earlier:
        return []
    first = earlier[0]
    amount = price_text(first.total_amount, first.minor_units)
    return [
        f"{first.period} must be issued first: its draft is worth {amount} {first.currency}. "
        f"Close {first.period}, then {invoice.period}."
    ]


def _misdated(ledger: Ledger, invoice: DraftInvoice, chosen: date | None) -> list[str]:
    """A date that a person chose may not lie before what it follows (R20)."""
    if chosen is None:
        return []
    last = ledger.last(invoice.distributor_id)
    if last and chosen < earliest_date(ledger, invoice.distributor_id):
        return [
            f"The date {chosen} lies before that of {last.name}, the document before it, "
            f"{last.content['dates']['issue_on']}. Close {invoice.period} again with --on that day "
            "or a later one, or without --on."
        ]
    if chosen < invoice.cutoff_on:
        return [
            f"The date {chosen} lies before the cut-off, {invoice.cutoff_on}. Close "
            f"{invoice.period} again with --on a later day, or without --on."
        ]
    notes = _written(ledger, invoice)
    if notes and notes[0].content["dates"]["issue_on"] != chosen.isoformat():
        return [
            f"The date {chosen} is not that of {notes[0].name}, which goes out with it and is "
            f"issued already, {notes[0].content['dates']['issue_on']}. Close {invoice.period} "
            "again with --on that day."
        ]
    return []


def _blocking(conn: duckdb.DuckDBPyConnection, period: str) -> list[Row]:
    return rows(
        conn,
        """
        select
            discrepancy_id, kind, distributor_id, amount_at_stake, currency, action
        from billing.draft_discrepancies
        where period = ? and severity = 'blocking' and state = 'open'
        order by kind, discrepancy_id
        """,
        [period],
    )


def _discrepancies(invoice: DraftInvoice, blocking: list[Row]) -> list[str]:
    """One sentence per kind. A discrepancy that names no distributor could be anybody's."""
    by_kind: dict[str, list[Row]] = defaultdict(list)
    for row in blocking:
        if row["distributor_id"] in (invoice.distributor_id, None):
            by_kind[row["kind"]].append(row)
    return [_discrepancy_sentence(kind, found, invoice) for kind, found in by_kind.items()]


def _discrepancies_of_notes(
    conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice, notes: list[DraftNote]
) -> list[str]:
    """A correction rests on its period as known now, so what blocks that period blocks it too."""
    return [
        f"Its correction of {period}: {reason}"
        for period in sorted({note.period for note in notes})
        for reason in _discrepancies(invoice, _blocking(conn, period))
    ]


def _discrepancy_sentence(kind: str, found: list[Row], invoice: DraftInvoice) -> str:
    stakes: dict[str, Decimal] = defaultdict(Decimal)
    for row in found:
        if row["amount_at_stake"] is not None:
            stakes[row["currency"] or invoice.currency] += row["amount_at_stake"]
    at_stake = " and ".join(
        f"{price_text(amount, invoice.minor_units)} {currency}"
        for currency, amount in sorted(stakes.items())
    )
    actions = sorted({row["action"] for row in found if row["action"]})
    ids = [row["discrepancy_id"] for row in found]
    more = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
    waiver = f"Waivers go into seeds/waivers.csv by id: {', '.join(ids[:_IDS_SHOWN])}{more}."
    return " ".join(
        [
            f"{kind}: {len(found)} open, {at_stake or 'no amount known to be'} at stake.",
            *actions,
            *([] if kind in _NO_WAIVER_HELPS else [waiver]),
        ]
    )


def _without_tax_rate(invoice: DraftInvoice, notes: list[DraftNote]) -> list[str]:
    """What is billed needs one tax rate (R20); where nothing is, none is missed."""
    open_on: dict[date, int | None] = {}
    if invoice.line_count and invoice.tax_rate_count != 1:
        open_on[invoice.cutoff_on] = invoice.tax_rate_count
    for note in notes:
        if note.tax_rate_count not in (1, None):
            open_on[note.cutoff_on] = note.tax_rate_count
    countries = f"{invoice.seller['country']} to {invoice.distributor['country']}"
    return [
        f"seeds/tax_rates.csv has {'no tax rate' if not count else f'{count} tax rates'} from "
        f"{countries} on {day}, and one is needed: add or correct it. No waiver helps."
        for day, count in sorted(open_on.items())
    ]


def _unknown_products(conn: duckdb.DuckDBPyConnection, period: str) -> list[Row]:
    """Licensed products the reference data does not describe, also where nobody used them."""
    return rows(
        conn,
        """
        select distinct distributor_id, currency, product_code
        from billing.draft_invoice_customers
        where period = ?
            and (
                product_name is null or category is null or billing_unit is null
                or sku is null or listing_order is null
            )
        order by distributor_id, currency, product_code
        """,
        [period],
    )


def _without_product(invoice: DraftInvoice, unknown: list[Row]) -> list[str]:
    """Its usage rows could not be printed, and that must show before the document is written."""
    codes = [
        row["product_code"]
        for row in unknown
        if (row["distributor_id"], row["currency"]) == (invoice.distributor_id, invoice.currency)
    ]
    if not codes:
        return []
    return [
        f"Customers hold monthly licences for {', '.join(codes)}, which seeds/products.csv does "
        f"not fully describe on {invoice.cutoff_on}. Complete it, or correct the licences."
    ]


def _failed_checks(
    invoice: DraftInvoice, results: Sequence[CheckResult], told: Sequence[str]
) -> list[str]:
    """A price that a discrepancy already tells of is not told twice."""
    is_price_told = any(reason.startswith(_NO_WAIVER_HELPS) for reason in told)
    return [
        f"Check {result.name} failed: {result.detail}"
        for result in results
        if not result.success
        and result.severity == "blocking"
        and (not result.distributors or invoice.distributor_id in result.distributors)
        and not (is_price_told and result.name == _PRICE_CHECK)
    ]


def _recorded_approval(ledger: Ledger, invoice: DraftInvoice) -> Approval | None:
    """The one in the release record: a run that ended before its document loses none."""
    key = (invoice.period, invoice.distributor_id, invoice.currency)
    release = recorded(ledger, *key)
    by = release.released_by if release else None
    if release is None or by is None or by == AUTOMATIC:
        return None
    return Approval(*key, by, release.total_amount, release.version_set_sha256)


def _refused(
    conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice, given: Approval, reasons: list[str]
) -> list[str]:
    """One text with everything that stands between an approval and its draft."""
    if invoice.policies.get("release") != "approved":
        against = [
            "Policy release is `automatic`: no approval is needed, and closing the period issues "
            "whatever is good."
        ]
    else:
        against = [*reasons, *approval.objections(conn, invoice, given)]
    if not against:
        return []
    lines = "".join(f"\n  - {reason}" for reason in against)
    return [
        f"{' '.join(given.key)} was not released, and nothing was changed:{lines}\n"
        f"`muster close {given.period}` shows how it stands."
    ]


def _unapproved(invoice: DraftInvoice) -> str:
    amount = price_text(invoice.total_amount, invoice.minor_units)
    return (
        f"Waits for approval: policy release is `approved`, so a second, named person has to "
        f"release these {amount} {invoice.currency}."
    )


def record_path(ledger: Ledger, period: str, distributor_id: str, currency: str) -> Path:
    # A currency has three letters, so the last dot of the name always separates it from the id.
    return ledger.root / RELEASES / period / f"{distributor_id}.{currency}.json"


def _record(ledger: Ledger, release: Release) -> None:
    path = record_path(ledger, release.period, release.distributor_id, release.currency)
    data = _to_bytes(release)
    if not path.is_file() or path.read_bytes() != data:
        durable.write_file(path, data)


def _to_bytes(release: Release) -> bytes:
    value = {"format": FORMAT, **asdict(release)}
    # A record is written again at will, so nothing outside vouches for it: it does so itself.
    return canonical_json({**value, "sha256": sha256(canonical_json(value))})


def _read(path: Path) -> Release:
    """Raises LedgerError when the record is not what was written. An older one has no checksum."""
    try:
        data = path.read_bytes()
        value = json.loads(data)
        own = value.pop("sha256", None)
        if own not in (None, sha256(canonical_json(value))) or (
            canonical_json({**value, **({"sha256": own} if own else {})}) != data
        ):
            raise ValueError("its bytes are not the ones its sha256 names")
        if value.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        value["reasons"] = tuple(value["reasons"])
        return Release(**value)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(
            f"{path} is not a release record ({error}). Restore the ledger from its backup; if its "
            "period is not issued yet, delete the file and close again."
        ) from error
