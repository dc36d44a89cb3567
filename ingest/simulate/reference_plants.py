"""A copy of the reference data with what some plants need: sources, products, prices.

Only what no landing file can show belongs here; the files themselves are `plants`.
"""

from __future__ import annotations

import csv
import shutil
from datetime import date, timedelta
from pathlib import Path

from ingest.simulate.additions import (
    ABSENT_SOURCE,
    BILLED_ON,
    SOURCES,
    TWICE_PRICED,
    UNPRICED,
    VANISHING,
)

# The absent source is expected for three days, from the 18th day on.
_ABSENT_FROM, _ABSENT_DAYS = 17, 3
_SINCE = "2025-01-01"


def plant_references(seeds: Path, out: Path, start: date, plant: str) -> None:
    """Copy the reference data in `seeds` to `out`, with what the plants of `simulate` need added.

    `start` and `plant` are those of the simulation. Files of `out` that are there already are
    replaced. Raises ValueError when there is no such distributor, OSError, KeyError when a file
    is not what it should be.
    """
    with (seeds / "distributors.csv").open(encoding="utf-8", newline="") as lines:
        currencies = {row["distributor_id"]: row["currency"] for row in csv.DictReader(lines)}
    if plant not in currencies:
        raise ValueError(f"No distributor {plant!r} to plant in: choose one of {[*currencies]}.")
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(seeds.glob("*.csv")):
        shutil.copyfile(path, out / path.name)

    absent_from = start + timedelta(days=_ABSENT_FROM)
    expected = {
        ABSENT_SOURCE: {
            "valid_from": absent_from,
            "valid_to": absent_from + timedelta(days=_ABSENT_DAYS - 1),
        }
    }
    _append(
        out / "expected_sources.csv",
        *(
            {"feed": feed, "source": source, "valid_from": start, **expected.get(source, {})}
            for feed, source in SOURCES
        ),
    )
    _append(
        out / "products.csv",
        _product(UNPRICED, "SafeGuard Encryption", "encryption", "user", 90),
        _product(TWICE_PRICED, "Zero Trust Access", "access", "device", 91),
    )
    own = currencies[plant]
    every = sorted(set(currencies.values()))
    _append(
        out / "price_bands.csv",
        *(_price(UNPRICED, currency, "4", _SINCE) for currency in every if currency != own),
        *(_price(TWICE_PRICED, currency, "6", _SINCE) for currency in every),
        _price(TWICE_PRICED, own, "7", start.isoformat()),
    )
    _append(
        out / "psa_companies.csv",
        {
            "psa": _first(out / "psa_companies.csv", "psa"),
            "company_id": BILLED_ON,
            "customer_id": VANISHING,
            "valid_from": _SINCE,
        },
    )
    # One run to correct in, so that two months can show what comes too late for a note.
    _set_policy(out / "policies.csv", "correction_periods", "1")


def _product(code: str, name: str, category: str, unit: str, place: int) -> dict[str, object]:
    return {
        "product_code": code,
        "product_name": name,
        "category": category,
        "billing_unit": unit,
        "sku": f"MH-{code}-M",
        "listing_order": place,
        "valid_from": _SINCE,
    }


def _price(product: str, currency: str, unit_price: str, valid_from: str) -> dict[str, object]:
    return {
        "product_code": product,
        "currency": currency,
        "pricing_model": "volume",
        "min_quantity": 1,
        "unit_price": unit_price,
        "valid_from": valid_from,
    }


def _set_policy(path: Path, policy: str, value: str) -> None:
    with path.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(
            [name, value if name == policy else was, *rest] for name, was, *rest in rows
        )


def _first(path: Path, column: str) -> str:
    with path.open(encoding="utf-8", newline="") as lines:
        return next(csv.DictReader(lines))[column]


def _append(path: Path, *rows: dict[str, object]) -> None:
    with path.open(encoding="utf-8", newline="") as lines:
        header = next(csv.reader(lines))
    ended = path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8", newline="") as lines:
        if not ended:
            lines.write("\n")
        csv.DictWriter(lines, header, restval="", lineterminator="\n").writerows(rows)
