"""A region's backfill that comes after its month was invoiced: what corrections are made of.

One small file of usage; which customer it is for is the caller's to say.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from ingest.contracts import FEEDS

SOURCE = "eu-backfill"


def deliver_late(
    landing: Path, day: date, customer_id: str, product_code: str, active_on: date, users: int
) -> Path:
    """Write `usage/<day>/eu-backfill.csv`: so many new users of a customer, active on one date."""
    path = landing / "usage" / day.isoformat() / f"{SOURCE}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FEEDS["usage"].column_names)
        for number in range(users):
            name = f"{day:%d}{number:04x}"
            writer.writerow(
                (
                    day.isoformat(),
                    customer_id,
                    product_code,
                    f"d-late{name}",
                    f"u-late{name}",
                    f"{active_on.isoformat()}T09:00:00Z",
                )
            )
    return path
