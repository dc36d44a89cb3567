"""R25 by the oracle: what each run corrects of earlier periods, round by round.

The bills come from `rulebook`; here they are only subtracted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from rulebook import Bill, Policies, cutoffs
from vendors import Vendor

Bills = Mapping[tuple[str, str], Bill]  # by period and distributor
# (currency, partner, product, customer) → (units, money)
Amounts = dict[tuple[str, str, str, str], tuple[int, Decimal]]


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
    """What was issued to one distributor: period → invoice, (run, corrected period) → note."""

    vendor: Vendor
    distributor: str
    policies: Policies
    original: dict[str, Amounts] = field(default_factory=dict)
    notes: dict[tuple[str, str], Amounts] = field(default_factory=dict)

    @property
    def periods(self) -> list[str]:
        """The months it has a cut-off in."""
        return [
            f"{month:%Y-%m}"
            for month in self.vendor.months
            if self.distributor in cutoffs(self.vendor, month)
        ]

    @property
    def has_ended(self) -> bool:
        """Whether no run comes after those of the vendor's months."""
        (one,) = (d for d in self.vendor.distributors if d.id == self.distributor)
        return all(until is not None for _, until, _ in one.cutoffs)

    def bill(self, bills: Bills, period: str) -> Bill:
        return bills[period, self.distributor]

    def amounts(self, bills: Bills, period: str) -> Amounts:
        """A bill customer by customer; what is zero is nothing."""
        currency = {d.id: d.currency for d in self.vendor.distributors}[self.distributor]
        return {
            (currency, partner, product, customer): (quantity, amount)
            for (partner, product), line in self.bill(bills, period).lines.items()
            for customer, (quantity, amount) in line.shares.items()
            if amount is not None
        }

    def left(self, bills: Bills, period: str) -> Amounts:
        """Recomputation less the original and all notes so far."""
        notes = [note for (_, corrected), note in self.notes.items() if corrected == period]
        return difference(self.amounts(bills, period), added(self.original[period], *notes))

    def in_reach(self, run: str) -> list[str]:
        """The issued periods that a run may correct."""
        at = self.periods.index(run)
        reach = self.periods[max(0, at - self.policies.correction_periods) : at]
        return [period for period in reach if period in self.original]

    def next_run(self) -> int:
        """The number of the month that is issued next; periods are issued in order (R22)."""
        return len(self.original)

    def issue(self, bills: Bills, run: str) -> None:
        """Issue a month that nothing holds: its invoice, and notes on the periods in reach."""
        for corrected in self.in_reach(run):
            if note := self.left(bills, corrected):
                self.notes[run, corrected] = note
        self.original[run] = self.amounts(bills, run)

    def open_differences(self, bills: Bills, period: str) -> tuple[Amounts, Amounts]:
        """(pending for the next run, older than the policy corrects) of an issued period."""
        left = self.left(bills, period)
        if self.has_ended and self.next_run() == len(self.periods):
            return {}, left  # its last run is over
        age = self.next_run() - self.periods.index(period)
        return (left, {}) if age <= self.policies.correction_periods else ({}, left)
