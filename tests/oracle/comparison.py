"""Product against oracle: drafts, documents and what is left to correct, vendor by vendor.

Only the comparison; which figures are right is `rulebook`'s to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import corrections
import rulebook
from corrections import Bills, Books
from product import Documents, Found, Home
from rulebook import Bill
from vendors import PERIODS


def differences(
    found: Found, key: str, period: str, distributor: str, bill: Bill, after_issue: bool = False
) -> list[str]:
    """What the product says otherwise than the oracle, in words; empty when they agree."""
    if not found.tables["drafts"][key, period, distributor] and after_issue:
        return []  # an issued period is drafted again only as long as it can be corrected
    where = key, period, distributor
    lines, customers, roster, not_billed, blocking = (
        found.tables[name][where]
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
        wanted = want_shares.get(share)
        if wanted is None or wanted[1] is not None:
            compare(f"share {share}", wanted, got_shares.get(share))

    # What is told beside the bill. Products counted by firewall begin with F.
    for product, customer, units in found.tables["in_month"][where]:
        if customer not in doubtful and not product.startswith("F"):
            want_units_in_month = bill.in_month.get((customer, product), 0)
            compare(f"in month {customer} {product}", want_units_in_month, units)
    got_warnings = {(k, c, p): (n, money) for k, c, p, n, money in found.tables["warnings"][where]}
    for warning in sorted({*bill.warnings, *got_warnings}):
        if warning[1] not in doubtful:
            compare(f"warning {warning}", bill.warnings.get(warning), got_warnings.get(warning))

    # Holds.
    got_kinds = {kind for kind, _, _ in blocking}
    want_kinds = {kind for kind, _ in bill.blocking}
    for kind in sorted(want_kinds - got_kinds):
        said.append(f"{period} {distributor} hold {kind}: rules hold, product does not")
    for kind in sorted(got_kinds - want_kinds - bill.may_block):
        about = sorted((p, c) for k, p, c in blocking if k == kind)
        said.append(f"{period} {distributor} hold {kind}: product holds {about}, rules do not")
    return said


def compare_drafts(found: Found, documents: Documents, key: str, bills: Bills) -> list[str]:
    """What a vendor's drafts say otherwise."""
    issued = {
        (name, content["period"])
        for (vendor, name), contents in documents.items()
        for content in contents
        if vendor == key
    }
    said = [
        text
        for (period, name), bill in bills.items()
        for text in differences(found, key, period, name, bill, (name, period) in issued)
    ]
    periods = {period for period, _ in bills}
    said += [
        f"{period} {name} is drafted: by the rules it has no such period"
        for (vendor, period, name), drafts in list(found.tables["drafts"].items())
        if vendor == key and drafts and period in periods and (period, name) not in bills
    ]
    for period in sorted({period for period, _ in bills}):
        of_period = {name: bill for (when, name), bill in bills.items() if when == period}
        if all(found.tables["drafts"][key, period, name] for name in of_period):
            said += _compare_nobodys(found, key, period, list(of_period.values()))
    for period, name in bills:
        for currency, cutoff, *got in found.tables["taxes"][key, period, name]:
            want = rulebook.tax(currency, cutoff, got[2])
            if tuple(got) != want:
                said.append(f"{period} {name} tax: rules {want}, product {got}")
    return said


def _compare_nobodys(found: Found, key: str, period: str, bills: Sequence[Bill]) -> list[str]:
    """What is said of customers whom no distributor is billed for.

    The windows of other vendors' distributors see them too, so more of them may be found active.
    """
    got: defaultdict[str, set[str]] = defaultdict(set)
    for kind, customer in found.tables["nobodys"]["", period, ""]:
        if customer.startswith(f"{key}-"):
            got[customer.removeprefix(f"{key}-")].add(kind)
    nobodys = set.intersection(*({*bill.nobodys} for bill in bills))
    known = {customer for bill in bills for customer in bill.nobodys} - nobodys
    said = [f"{period} nobody's {one}: rules bill it, product {got[one]}" for one in known & {*got}]
    for customer in sorted(nobodys):
        is_active = any(bill.nobodys[customer][0] for bill in bills)
        may_be = set().union(*(bill.nobodys[customer][1] for bill in bills))
        kinds = got[customer]
        if not kinds <= may_be or (is_active and not kinds):
            said.append(f"{period} nobody's {customer}: rules {sorted(may_be)}, product {kinds}")
    return said


@dataclass(frozen=True)
class _Run:
    """A month's closing for one distributor. `documents` are those of the run."""

    key: str
    period: str
    books: Books
    bills: Bills
    documents: Sequence[Mapping[str, Any]]

    def blocked(self) -> set[str]:
        """What holds the run for certain: "What blocks the corrected period blocks the run." """
        found = {kind for kind, _ in self.books.bill(self.bills, self.period).blocking}
        for corrected in self.books.in_reach(self.period):
            if self.books.left(self.bills, corrected):
                bill = self.books.bill(self.bills, corrected)
                found |= {f"{kind} in {corrected}" for kind, _ in bill.blocking}
        return found

    def may_be_blocked(self) -> bool:
        bills = [
            self.books.bill(self.bills, period)
            for period in (self.period, *self.books.in_reach(self.period))
        ]
        return any(bill.blocking or bill.may_block or bill.doubtful for bill in bills)

    def is_sure(self, period: str) -> bool:
        """Until a blocking discrepancy is decided, the rules leave a period's figures open."""
        bill = self.books.bill(self.bills, period)
        return not (bill.blocking or bill.doubtful)


def compare_run(run: _Run, found: Found) -> list[str]:
    """What a run issued, and what it left open, against R20, R22 and R25."""
    originals = [c for c in run.documents if c["kind"] in ("invoice", "nil")]
    is_next = run.books.periods[run.books.next_run() :][:1] == [run.period]
    if originals:
        said = _compare_issued(run, originals, is_next) + _compare_notes(run)
    elif is_next and not run.may_be_blocked():
        said = [f"{run.period} is not issued: nothing holds it by the rules"]
    else:
        said = []
    return said + compare_left_open(run, found)


def _compare_issued(run: _Run, originals: Sequence[Mapping[str, Any]], is_next: bool) -> list[str]:
    said = []
    if run.blocked() or not is_next:
        said.append(f"{run.period} is issued: rules hold it for {sorted(run.blocked())}")
    run.books.issue(run.bills, run.period)
    want, got = run.books.original[run.period], _amounts(run.key, originals)
    if run.is_sure(run.period) and got != want:
        said.append(f"{run.period} invoice: rules {want}, product {got}")
    run.books.original[run.period] = got  # what was issued counts from here on
    return said + [text for one in originals for text in _compare_tax(one)]


def _compare_tax(content: Mapping[str, Any]) -> list[str]:
    """R20: a document's tax, at the rate of the cut-off it bills; no rate is corrected here."""
    amounts = [Decimal(line["amount"]) for line in content["lines"]]
    cutoff = date.fromisoformat(content["dates"]["cutoff_on"])
    want = rulebook.tax(content["currency"], cutoff, sum(amounts, Decimal(0))) if amounts else None
    said = content["tax"]
    got = said and (
        said["category"],
        *(Decimal(said[k]) for k in ("rate", "taxable_amount", "tax_amount", "payable_amount")),
    )
    return [] if got == want else [f"{content['period']} tax: rules {want}, product {got}"]


def _compare_notes(run: _Run) -> list[str]:
    said = []
    for corrected in run.books.original:
        notes = [c for c in run.documents if c["kind"] in ("credit_note", "debit_note")]
        notes = [c for c in notes if c["corrects"]["period"] == corrected]
        got = _amounts(run.key, notes)
        want = run.books.notes.get((run.period, corrected), {})
        if run.is_sure(corrected) and got != want:
            said.append(f"{run.period} note on {corrected}: rules {want}, product {got}")
        for note in notes:
            total = sum(Decimal(line["amount"]) for line in note["lines"])
            said += _compare_tax(note)
            if total and (total > 0) != (note["kind"] == "debit_note"):
                said.append(f"{run.period} {note['kind']} on {corrected} over {total}")
        run.books.notes[run.period, corrected] = got
    return said


def compare_left_open(run: _Run, found: Found) -> list[str]:
    said = []
    for corrected in run.books.original:
        wanted = run.books.open_differences(run.bills, corrected)
        for what, want in zip(("pending", "unbilled"), wanted, strict=True):
            rows = found.tables[what][run.key, corrected, run.books.distributor]
            got = corrections.added(*({tuple(k): (n, money)} for *k, n, money in rows))
            if run.is_sure(corrected) and got != want:
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


def play(home: Home, closed: int = PERIODS) -> dict[str, list[str]]:
    """Deliver round after round, close its month, compare; vendor key → differences.

    Only the first `closed` months are closed. Later rounds are loaded together, and what is drafted
    and pending after the last one is compared.
    """
    said: defaultdict[str, list[str]] = defaultdict(list)
    books = {
        (key, one.id): Books(vendor, one.id, home.policies)
        for key, vendor in home.vendors.items()
        for one in vendor.distributors
    }
    for number, month in enumerate(home.months):
        closing, is_last = number < closed, number == PERIODS - 1
        home.write_seeds(number)
        home.deliver(number)
        if closing:
            home.muster("close", f"{month:%Y-%m}", allowed=(0, 3))
        elif is_last or home.retracts(number + 1):
            home.muster("load")  # a file must be taken in before it can be retracted
        if not closing and not is_last:
            continue
        found = home.found()
        documents = home.documents()
        for key, vendor in home.vendors.items():
            bills = rulebook.bills(vendor, number, home.policies)
            so_far = {k: b for k, b in bills.items() if k[0] <= f"{month:%Y-%m}"}
            texts = compare_drafts(found, documents, key, so_far)
            for one in vendor.distributors if closed else ():
                mine = documents.get((key, one.id), [])
                of_run = [c for c in mine if c["period"] == f"{month:%Y-%m}"]
                run = _Run(key, f"{month:%Y-%m}", books[key, one.id], bills, of_run)
                is_its_month = run.period in run.books.periods
                if not is_its_month and of_run:
                    texts.append(f"{one.id} {run.period} is issued: it has no such period")
                is_run = closing and is_its_month
                said_of_run = compare_run(run, found) if is_run else compare_left_open(run, found)
                texts += [f"{one.id} {text}" for text in said_of_run]
            if texts:
                said[key] += [f"after round {number}: {text}" for text in texts]
    return dict(said)
