"""R25 by the oracle: what each run corrects of earlier periods, round by round.

The bills come from `rulebook`; here they are only subtracted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import rulebook
from rulebook import Bill, Policies
from vendors import Vendor

# (currency, partner, product, customer) → (units, money)
Amounts = dict[tuple[str, str, str, str], tuple[int, Decimal]]


def amounts(bill: Bill, currency: str) -> Amounts:
    """A bill customer by customer; what is zero is nothing."""
    return {
        (currency, partner, product, customer): (quantity, amount)
        for (partner, product), line in bill.lines.items()
        for customer, (quantity, amount) in line.shares.items()
        if amount is not None
    }


def difference(now: Mapping, before: Mapping) -> Amounts:  # type: ignore[type-arg]
    found = {}
    nothing = (0, Decimal(0))
    for key in {*now, *before}:
        (units, money), (old_units, old_money) = now.get(key, nothing), before.get(key, nothing)
        if (units, money) != (old_units, old_money):
            found[key] = (units - old_units, money - old_money)
    return found


def added(*parts: Mapping) -> Amounts:  # type: ignore[type-arg]
    total: defaultdict[tuple[str, str, str, str], tuple[int, Decimal]] = defaultdict(
        lambda: (0, Decimal(0))
    )
    for part in parts:
        for key, (units, money) in part.items():
            total[key] = (total[key][0] + units, total[key][1] + money)
    return {key: value for key, value in total.items() if value != (0, Decimal(0))}


@dataclass
class Books:
    """What was issued to one distributor: (period) → original, and the notes of each run.

    notes   (run, corrected period) → amounts
    unsure  corrected periods the rules leave open, as something blocks them now
    """

    original: dict[str, Amounts] = field(default_factory=dict)
    notes: dict[tuple[str, str], Amounts] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)

    def stated(self, period: str) -> Amounts:
        return added(self.original[period], *(n for (_, p), n in self.notes.items() if p == period))


def issue(
    books: Books,
    vendor: Vendor,
    distributor_id: str,
    run: int,
    after_round: int,
    policies: Policies,
) -> None:
    """Close a month for a distributor that nothing holds: its invoice and its notes."""
    period = f"{vendor.months[run]:%Y-%m}"
    now = recomputed(vendor, distributor_id, after_round, policies, books)
    books.original[period] = now[period]
    for earlier in range(max(0, run - policies.correction_periods), run):
        corrected = f"{vendor.months[earlier]:%Y-%m}"
        if corrected in books.original:
            note = difference(now[corrected], books.stated(corrected))
            if note:
                books.notes[period, corrected] = note


def recomputed(
    vendor: Vendor, distributor_id: str, after_round: int, policies: Policies, books: Books
) -> dict[str, Amounts]:
    """Every period as known after a round; those that something blocks now are noted as unsure."""
    currency = {d.id: d.currency for d in vendor.distributors}[distributor_id]
    found = {}
    for (period, distributor), bill in rulebook.bills(vendor, after_round, policies).items():
        if distributor == distributor_id:
            found[period] = amounts(bill, currency)
            if bill.blocking or bill.may_block or bill.doubtful:
                books.unsure.add(period)
    return found


def open_differences(
    books: Books, vendor: Vendor, distributor_id: str, after_round: int, policies: Policies
) -> tuple[dict[str, Amounts], dict[str, Amounts]]:
    """(pending for the next run, older than the policy corrects) by corrected period."""
    now = recomputed(vendor, distributor_id, after_round, policies, books)
    pending: dict[str, Amounts] = {}
    unbilled: dict[str, Amounts] = {}
    periods = [f"{month:%Y-%m}" for month in vendor.months]
    next_run = 1 + max((periods.index(p) for p in books.original), default=-1)
    for period in books.original:
        rest = difference(now[period], books.stated(period))
        if rest:
            reach = periods.index(period) >= next_run - policies.correction_periods
            (pending if reach else unbilled)[period] = rest
    return pending, unbilled
