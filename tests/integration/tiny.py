"""A vendor small enough to work out by hand: one partner of Alpenland, two customers, one product.

Writing its landing files and seeds only; what must come out stands in the tests.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from house import SEEDS

from ingest.contracts import FEEDS

REGION = "eu-central"
# Everybody and everything else of the reference data is left out.
_KEPT = {"distributors": ("alpenland",), "expected_sources": (REGION, "crm")}


def write(
    landing: Path, feed: str, day: str, source: str, rows: Iterable[Sequence[object]]
) -> Path:
    """One landing file; rows without their snapshot date."""
    path = landing / feed / day / f"{source}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = [(day, *("" if value is None else value for value in row)) for row in rows]
    _write(path, [[column.name for column in FEEDS[feed].columns], *dated])
    return path


def usage(customer_id: str, names: Iterable[str], on: str) -> list[tuple[str, str, str, str, str]]:
    """One device each for these users of Endpoint Advanced, active on a date."""
    return [(customer_id, "EPADV", f"d-{name}", f"u-{name}", f"{on}T09:00:00Z") for name in names]


def month_end(landing: Path, day: str, rows: Iterable[Sequence[object]]) -> None:
    """Every feed's snapshot of a cut-off day: usage as given, nothing else active."""
    write(landing, "usage", day, REGION, rows)
    write(landing, "heartbeat", day, REGION, [])
    partner = ("P1", "Alpha IT", "alpenland", "AT", "connect_flex", "2025-01-01", None)
    write(landing, "partners", day, "crm", [partner])
    customers = [("C1", "First", "P1", "active"), ("C2", "Second", "P1", "active")]
    write(landing, "customers", day, "crm", customers)
    write(
        landing,
        "licences",
        day,
        "crm",
        [
            (f"L-{name}", name, "EPADV", "monthly", "partner", None, None, "2025-01-01", None)
            for name in ("C1", "C2")
        ],
    )
    write(landing, "transfers", day, "crm", [])


def seeds(to: Path, **policies: str) -> Path:
    """A copy of the reference data with these policies, and with Alpenland alone."""
    shutil.copytree(SEEDS, to)
    for name, kept in _KEPT.items():
        header, *rows = _read(to / f"{name}.csv")
        _write(to / f"{name}.csv", [header, *(row for row in rows if set(row) & set(kept))])
    rows = _read(to / "policies.csv")
    _write(
        to / "policies.csv", [[name, policies.get(name, value), said] for name, value, said in rows]
    )
    return to


def _read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _write(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
