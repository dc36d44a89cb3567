"""Product against oracle: drafts, documents and what is left to correct, vendor by vendor.

Only the comparison; which figures are right is `rulebook`'s to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import corrections
import rulebook
from corrections import Books
from product import Found, Product
from rulebook import Bill, Policies
from vendors import PERIODS, Vendor


def differences(
    found: Found, key: str, period: str, distributor: str, bill: Bill, after_issue: bool = False
) -> list[str]:
    """What the product says otherwise than the oracle, in words; empty when they agree."""
    if not found.tables["drafts"][key, period, distributor] and after_issue:
        return []  # an issued period is drafted again only as long as it can be corrected
    lines, customers, roster, not_billed, blocking = (
        found.tables[name][key, period, distributor]
        for name in ("lines", "customers", "roster", "not_billed", "blocking")
    )
    said: list[str] = []

    def compare(what: str, expected: Any, got: Any) -> None:
        if expected != got:
            said.append(f"{period} {distributor} {what}: rules {expected}, product {got}")

    # Units first: what is counted, and the one reason of what is not.
    doubtful = bill.doubtful
    got_units = {(c, p, k, u) for c, p, k, u, counted, _ in roster if counted and c not in doubtful}
    want_units = {unit for unit in bill.billed if unit[0] not in doubtful}
    for unit in sorted(want_units - got_units):
        reasons = [
            (p, r)
            for c, p, k, u, counted, r in roster
            if not counted and (c, k, u) == (unit[0], *unit[2:])
        ]
        said.append(f"{period} {distributor} unit {unit}: rules billed, product not {reasons}")
    for unit in sorted(got_units - want_units):
        why = bill.not_billed.get((unit[0], unit[2], unit[3]))
        said.append(
            f"{period} {distributor} unit {unit}: product billed, rules not {sorted(why or [])}"
        )
    got_reasons: defaultdict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for c, p, k, u, counted, reason in roster:
        if not counted and c not in doubtful:
            got_reasons[c, k, u].append((p, reason))
    for unit3 in sorted({*bill.not_billed, *got_reasons}):
        if unit3[0] in doubtful:
            continue
        want, got = bill.not_billed.get(unit3, set()), got_reasons.get(unit3, [])
        if not want and set(got) <= bill.may_say.get(unit3, set()):
            continue
        if not got or not set(got) <= want or len({p for p, _ in got}) < len(got):
            said.append(
                f"{period} {distributor} unit {unit3} not billed: "
                f"rules {sorted(want)}, product {sorted(got)}"
            )
    counts: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for c, p, _, _, counted, reason in roster:
        if not counted:
            counts[c, p, reason] += 1
    compare("not billed", dict(counts), {(c, p, r): n for c, p, r, n in not_billed})

    # Money. A line some of whose customers are in doubt is in doubt.
    unsure = {(p, r) for p, r, c, _, _ in customers if c in doubtful}
    unsure |= {k for k, line in bill.lines.items() if doubtful & set(line.shares)}
    got_lines = {(p, r): (q, None if m == "graduated" else u, a) for p, r, q, u, m, a in lines}
    want_lines = {k: (line.quantity, line.price, line.amount) for k, line in bill.lines.items()}
    for line_key in sorted({*got_lines, *want_lines} - unsure):
        if line_key in want_lines and want_lines[line_key][2] is None:
            continue  # without one price there is no amount, and the distributor is held
        compare(f"line {line_key}", want_lines.get(line_key), got_lines.get(line_key))
    got_shares = {(p, r, c): (q, a) for p, r, c, q, a in customers if (p, r) not in unsure}
    want_shares: dict[tuple[str, str, str], Any] = {
        (p, r, c): share
        for (p, r), line in bill.lines.items()
        for c, share in line.shares.items()
        if (p, r) not in unsure
    }
    want_shares |= {(p, r, c): (0, Decimal(0)) for p, r, c in bill.zero if (p, r) not in unsure}
    for share in sorted({*got_shares, *want_shares}):
        want, got = want_shares.get(share), got_shares.get(share)
        if want is not None and want[1] is None:
            continue
        compare(f"share {share}", want, got)

    # Holds.
    got_kinds = {kind for kind, _, _ in blocking}
    want_kinds = {kind for kind, _ in bill.blocking}
    for kind in sorted(want_kinds - got_kinds):
        said.append(f"{period} {distributor} hold {kind}: rules hold, product does not")
    for kind in sorted(got_kinds - want_kinds - bill.may_block):
        about = sorted((p, c) for k, p, c in blocking if k == kind)
        said.append(f"{period} {distributor} hold {kind}: product holds {about}, rules do not")
    return said


def compare_drafts(product: Product, after_round: int, found: Found) -> dict[str, list[str]]:
    """Vendor key → differences of every period that round's data reach."""
    result = {}
    issued = {
        (*who, content["period"])
        for who, contents in product.documents().items()
        for content in contents
    }
    for key, vendor in product.vendors.items():
        months = vendor.months[: after_round + 1]
        expected = rulebook.bills(vendor, after_round, product.policies, months)
        said = [
            text
            for (period, distributor), bill in expected.items()
            for text in differences(
                found, key, period, distributor, bill, (key, distributor, period) in issued
            )
        ]
        if said:
            result[key] = said
    return result


@dataclass(frozen=True)
class _Run:
    """A month's closing for one distributor; `books` are carried from run to run."""

    key: str
    vendor: Vendor
    distributor: str
    number: int
    policies: Policies
    books: Books

    @property
    def period(self) -> str:
        return f"{self.vendor.months[self.number]:%Y-%m}"

    def bill(self) -> Bill:
        month = self.vendor.months[self.number]
        found = rulebook.bills(self.vendor, self.number, self.policies, [month])
        return found[self.period, self.distributor]


def compare_documents(
    product: Product, number: int, found: Found, books: dict[tuple[str, str], Books]
) -> dict[str, list[str]]:
    """What a run issued, and what it left open, against R20, R22 and R25."""
    result: defaultdict[str, list[str]] = defaultdict(list)
    documents = product.documents()
    # Until the product writes notes there is nothing to hold against R25.
    has_notes = "pending" in found.tables
    for key, vendor in product.vendors.items():
        for one in vendor.distributors:
            run = _Run(key, vendor, one.id, number, product.policies, books[key, one.id])
            of_run = [c for c in documents.get((key, one.id), []) if c["period"] == run.period]
            texts = _compare_invoice(run, of_run)
            if has_notes:
                texts += _compare_notes(run, of_run) + _compare_left_open(run, found)
            result[key] += [f"{one.id} {text}" for text in texts]
    return {key: texts for key, texts in result.items() if texts}


def _compare_invoice(run: _Run, of_run: Sequence[Mapping[str, Any]]) -> list[str]:
    bill, books, period = run.bill(), run.books, run.period
    originals = [c for c in of_run if c["kind"] in ("invoice", "nil")]
    before = f"{run.vendor.months[run.number - 1]:%Y-%m}"
    is_next = run.number == 0 or before in books.original  # in order (R22)
    if not originals:
        is_free = is_next and not (bill.blocking or bill.may_block or bill.doubtful)
        return [f"{period} is not issued: nothing holds it by the rules"] if is_free else []
    said = []
    if bill.blocking or not is_next:
        said.append(f"{period} is issued: rules hold it for {sorted(map(str, bill.blocking))}")
    corrections.issue(books, run.vendor, run.distributor, run.number, run.number, run.policies)
    got = _amounts(run.key, originals)
    if period not in books.unsure and got != books.original[period]:
        said.append(f"{period} invoice: rules {books.original[period]}, product {got}")
    return said


def _compare_notes(run: _Run, of_run: Sequence[Mapping[str, Any]]) -> list[str]:
    said = []
    for corrected in run.books.original:
        notes = [c for c in of_run if c["kind"] in ("credit_note", "debit_note")]
        notes = [c for c in notes if c["corrects"]["period"] == corrected]
        got = _amounts(run.key, notes)
        want = run.books.notes.get((run.period, corrected), {})
        if corrected not in run.books.unsure and got != want:
            said.append(f"{run.period} note on {corrected}: rules {want}, product {got}")
        for note in notes:
            total = sum(Decimal(line["amount"]) for line in note["lines"])
            if total and (total > 0) != (note["kind"] == "debit_note"):
                said.append(f"{run.period} {note['kind']} on {corrected} over {total}")
        if corrected in run.books.unsure and got:  # what was issued counts from here on
            run.books.notes[run.period, corrected] = got
    return said


def _compare_left_open(run: _Run, found: Found) -> list[str]:
    said = []
    pending, unbilled = corrections.open_differences(
        run.books, run.vendor, run.distributor, run.number, run.policies
    )
    for what, wanted in (("pending", pending), ("unbilled", unbilled)):
        for corrected in run.books.original:
            rows = found.tables[what][run.key, corrected, run.distributor]
            got = corrections.added(*({tuple(k): (n, money)} for *k, n, money in rows))
            want = wanted.get(corrected, {})
            if corrected not in run.books.unsure and got != want:
                said.append(f"{what} of {corrected}: rules {want}, product {got}")
    return said


def _amounts(key: str, contents: Iterable[Mapping[str, Any]]) -> corrections.Amounts:
    """The customers of documents' lines, added up."""

    def plain(name: str) -> str:
        return name.removeprefix(f"{key}-")

    parts = []
    for content in contents:
        for line in content["lines"]:
            where = content["currency"], plain(line["partner_id"]), plain(line["product_code"])
            for one in line["customers"]:
                who = (*where, plain(one["customer_id"]))
                parts.append({who: (one["quantity"], Decimal(one["amount"]))})
    return corrections.added(*parts)


def play(
    product: Product, last_round: int = PERIODS - 1, closing: bool = True
) -> dict[str, list[str]]:
    """Deliver round after round, close its month, compare; vendor key → differences.

    Without `closing` everything is only loaded, and compared once after the last round.
    """
    product.write_seeds()
    said: defaultdict[str, list[str]] = defaultdict(list)
    books: defaultdict[tuple[str, str], Books] = defaultdict(Books)
    for number in range(last_round + 1):
        product.deliver(number)
        if closing:
            product.muster("close", f"{product.months[number]:%Y-%m}", allowed=(0, 3))
        elif number == last_round or product.retracts(number + 1):
            product.muster("load")  # a file must be taken in before it can be retracted
        if not closing and number < last_round:
            continue
        found = product.found()
        results = [compare_drafts(product, number, found)]
        if closing:
            results.append(compare_documents(product, number, found, books))
        for result in results:
            for key, texts in result.items():
                said[key] += [f"after round {number}: {text}" for text in texts]
    return dict(said)
