"""What the simulator needs to know from the seeds: distributors, sources, products, PSA maps.

Reading only. Validating seeds is `ingest.reference`.
"""

from __future__ import annotations

import calendar
import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

EPOCH = date(1970, 1, 1)
FAR = 10_000_000  # a day number after every other: "never"


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def day_of(number: int) -> date:
    return EPOCH + timedelta(days=number)


@dataclass(frozen=True)
class Validity:
    """Dates, both included, on which a reference row holds; an open end is None."""

    valid_from: date
    valid_to: date | None

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True)
class Distributor:
    """One distributor with the versions of its cut-off day (R1)."""

    distributor_id: str
    country: str
    cutoff_days: tuple[tuple[Validity, int | None], ...]

    def cutoff(self, year: int, month: int) -> date:
        """The cut-off in a month: the version valid on the month's first day, clamped (R1)."""
        last = calendar.monthrange(year, month)[1]
        first = date(year, month, 1)
        for validity, cutoff_day in self.cutoff_days:
            if validity.holds_on(first):
                return date(year, month, min(cutoff_day or last, last))
        return date(year, month, last)

    def period_start(self, day: date) -> date:
        """First day of the period that holds `day`: the day after the cut-off before it (R1)."""
        if day > self.cutoff(day.year, day.month):
            return self.cutoff(day.year, day.month) + timedelta(days=1)
        before = date(day.year, day.month, 1) - timedelta(days=1)
        return self.cutoff(before.year, before.month) + timedelta(days=1)


@dataclass(frozen=True)
class Seeds:
    """The reference data in the simulator's terms."""

    distributors: tuple[Distributor, ...]
    sources: tuple[tuple[str, str, Validity], ...]  # feed, source, validity
    billing_units: dict[str, str]  # product code → user | device | firewall
    psa_companies: tuple[tuple[str, str, str, Validity], ...]  # psa, company, customer, validity
    psa_products: tuple[tuple[str, str, str], ...]  # psa, product id, product code

    def sources_on(self, feed: str, day: date) -> list[str]:
        """The sources expected to send `feed` on a day, in the seeds' order."""
        return [
            source
            for of_feed, source, validity in self.sources
            if of_feed == feed and validity.holds_on(day)
        ]

    def distributors_of(self, sources: list[str], source: str) -> list[int]:
        """Which distributors' customers a regional source reports: the i-th source the i-th."""
        place = sources.index(source)
        return [i for i in range(len(self.distributors)) if i % len(sources) == place]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _validity(row: dict[str, str]) -> Validity:
    valid_to = date.fromisoformat(row["valid_to"]) if row["valid_to"] else None
    return Validity(date.fromisoformat(row["valid_from"]), valid_to)


def read_seeds(directory: Path) -> Seeds:
    """Read the seeds the simulator depends on.

    Raises OSError when a file is missing, KeyError or ValueError when one is malformed.
    """
    cutoffs: dict[str, list[tuple[Validity, int | None]]] = {}
    countries: dict[str, str] = {}
    for row in _rows(directory / "distributors.csv"):
        cutoff_day = int(row["cutoff_day"]) if row["cutoff_day"] else None
        cutoffs.setdefault(row["distributor_id"], []).append((_validity(row), cutoff_day))
        countries.setdefault(row["distributor_id"], row["country"])
    return Seeds(
        distributors=tuple(
            Distributor(name, countries[name], tuple(versions))
            for name, versions in cutoffs.items()
        ),
        sources=tuple(
            (row["feed"], row["source"], _validity(row))
            for row in _rows(directory / "expected_sources.csv")
        ),
        billing_units={
            row["product_code"]: row["billing_unit"] for row in _rows(directory / "products.csv")
        },
        psa_companies=tuple(
            (row["psa"], row["company_id"], row["customer_id"], _validity(row))
            for row in _rows(directory / "psa_companies.csv")
        ),
        psa_products=tuple(
            (row["psa"], row["product_id"], row["product_code"])
            for row in _rows(directory / "psa_products.csv")
        ),
    )
