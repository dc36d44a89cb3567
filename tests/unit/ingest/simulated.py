"""The reference demo as landing files, and what they say when counted by hand.

Only what the simulator's tests share belongs here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

import polars as pl

from ingest.contracts import FEEDS, ColumnType
from ingest.landing import Format as LandingFormat
from ingest.parse import Parsed, parse
from ingest.reasons import Rejected
from ingest.simulate import case_ids, simulate

SEEDS = Path(__file__).parents[3] / "seeds"
START, END = date(2026, 1, 1), date(2026, 2, 28)
DAYS = [START + timedelta(days=n) for n in range((END - START).days + 1)]
REGIONS = {"alpenland": "eu-central", "cascadia": "us-west", "sakura": "ap-northeast"}
SOURCES = {
    "usage": list(REGIONS.values()),
    "heartbeat": list(REGIONS.values()),
    "customers": ["crm"],
    "partners": ["crm"],
    "licences": ["crm"],
    "transfers": ["crm"],
    "portal_usage": ["portal"],
    "psa_additions": ["connectwise"],
}
TYPES: dict[ColumnType, pl.DataType] = {
    ColumnType.TEXT: pl.String(),
    ColumnType.IDENTIFIER: pl.String(),
    ColumnType.DATE: pl.Date(),
    ColumnType.TIMESTAMP: pl.Datetime("us", "UTC"),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.DECIMAL: pl.Decimal(18, 6),
}


def _typed(text: pl.DataFrame, feed: str) -> pl.DataFrame:
    columns = []
    for column in FEEDS[feed].columns:
        value = pl.col(column.name)
        if column.type is ColumnType.DATE:
            value = value.str.to_date("%Y-%m-%d")
        elif column.type is ColumnType.TIMESTAMP:
            value = value.str.to_datetime("%Y-%m-%dT%H:%M:%SZ")
        else:
            value = value.cast(TYPES[column.type])
        columns.append(value)
    return text.select(columns)


@dataclass(frozen=True)
class Demo:
    """The reference demo, landed as CSV."""

    root: Path
    cases: dict[str, str]

    def parsed(self, feed: str, day: date, source: str) -> Parsed:
        path = self.root / feed / day.isoformat() / f"{source}.csv"
        beside = path.with_name(f"{path.name}.manifest.json")
        manifest = beside.read_bytes() if beside.exists() else None
        return parse(path, LandingFormat.CSV, FEEDS[feed], day, 10, manifest)

    def rows(self, feed: str) -> pl.DataFrame:
        """Accepted rows of all files that are there and not refused, with the source."""
        return self._feeds[feed]

    @cached_property
    def _feeds(self) -> dict[str, pl.DataFrame]:
        return {feed: pl.concat(self._accepted(feed)) for feed in FEEDS}

    def _accepted(self, feed: str) -> Iterator[pl.DataFrame]:
        for path in sorted((self.root / feed).rglob("*.csv")):
            day = date.fromisoformat(path.parent.name)
            retraction = path.with_name(f"{path.name}.retracted.json")
            if retraction.exists():
                named = json.loads(retraction.read_bytes())["sha256"]
                if named == hashlib.sha256(path.read_bytes()).hexdigest():
                    continue
            try:
                accepted = _typed(pl.read_csv(path, infer_schema=False), feed)
            except pl.exceptions.PolarsError:  # planted: let the parser sort it out
                try:
                    accepted = self.parsed(feed, day, path.stem).accepted.drop("row_number")
                except Rejected:
                    continue
            yield accepted.with_columns(source=pl.lit(path.stem))

    def customer(self, role: str, distributor: str = "alpenland") -> str:
        return self.cases[f"{role}@{distributor}"].split()[0]


def demo(root: Path, plant: str | None) -> Demo:
    """Land the reference demo under `root`."""
    simulate(
        root,
        START,
        END,
        partners=12,
        customers=150,
        devices=6000,
        seed=7,
        format="csv",
        seeds=SEEDS,
        plant=plant,
    )
    cases = case_ids(
        START, partners=12, customers=150, devices=6000, seed=7, seeds=SEEDS, plant=plant
    )
    return Demo(root, cases)


USER_PRODUCTS = ["EPSTD", "EPADV", "MOBCTL", "MOBSEC", "WEB"]


def recount(demo: Demo, cutoff: date) -> pl.DataFrame:
    """Units per customer and product in a cut-off's window, from the files alone (R5 to R9)."""
    window = pl.col("day").is_between(cutoff - timedelta(days=29), cutoff)
    seen = (
        demo.rows("usage")
        .with_columns(day=pl.col("last_active_at").dt.date())
        .filter(window, ~pl.col("product_code").str.starts_with("FW"))  # R10: no evidence
        .select("customer_id", "product_code", "device_id", "user_id", "day")
        .unique()
    )
    device = ["product_code", "device_id"]
    seen = seen.sort("day", "customer_id", descending=[True, False])
    owner = seen.group_by(device, maintain_order=True).agg(pl.col("customer_id").first())  # R8
    seen = seen.join(owner, on=[*device, "customer_id"])
    named = (
        seen.filter(pl.col("user_id").is_not_null())
        .sort("day", "user_id", descending=[True, False])
        .group_by([*device, "customer_id"], maintain_order=True)
        .agg(pl.col("user_id").first())
    )  # R6
    units = seen.select(*device, "customer_id").unique()
    units = units.join(named, on=[*device, "customer_id"], how="left").with_columns(
        unit=pl.when(pl.col("product_code").is_in(USER_PRODUCTS))
        .then(pl.coalesce("user_id", "device_id"))
        .otherwise("device_id")
    )
    boxes = (
        demo.rows("heartbeat")
        .with_columns(day=pl.col("last_heartbeat_at").dt.date())
        .filter(window, operating_system="SFOS")
    )
    licences = demo.rows("licences").filter(
        pl.col("serial_number").is_not_null(),
        snapshot_date=cutoff,
        licence_type="monthly",
    )
    serial = pl.col("serial_number")
    unit = pl.when(cluster_mode="active-passive").then("cluster_id").otherwise(serial)
    boxes = boxes.select("serial_number", unit=unit).unique()
    counted = licences.filter(pl.col("ends_on").is_null()).join(boxes, on="serial_number")
    return (
        pl.concat(
            [
                units.select("customer_id", "product_code", "unit"),
                counted.select("customer_id", "product_code", "unit"),
            ]
        )
        .group_by("customer_id", "product_code")
        .agg(quantity=pl.col("unit").n_unique().cast(pl.Int64))
    )


def billable(demo: Demo, first: date, cutoff: date) -> pl.DataFrame:
    """Customers and products with a monthly licence in effect on a day of the period (R11)."""
    closed = (
        demo.rows("customers")
        .filter(status="closed")
        .group_by("customer_id")
        .agg(closed_on=pl.col("snapshot_date").min())
    )
    day = pl.col("snapshot_date")
    days = demo.rows("licences").filter(
        day.is_between(first, cutoff),
        pl.col("starts_on") <= day,
        day <= pl.col("ends_on").fill_null(date(9999, 1, 1)),
        licence_type="monthly",
    )
    days = days.join(closed, on="customer_id", how="left")
    days = days.filter(day <= pl.col("closed_on").fill_null(date(9999, 1, 1)))
    return days.select("customer_id", "product_code").unique()


PERIODS = [
    ("alpenland", date(2026, 1, 1), date(2026, 1, 31)),
    ("alpenland", date(2026, 2, 1), date(2026, 2, 28)),
    ("cascadia", date(2025, 12, 26), date(2026, 1, 25)),
    ("cascadia", date(2026, 1, 26), date(2026, 2, 25)),
    ("sakura", date(2026, 1, 1), date(2026, 1, 31)),
    ("sakura", date(2026, 2, 1), date(2026, 2, 28)),
]


def off_portal(demo: Demo, name: str, first: date, cutoff: date) -> list[tuple[str, str, int]]:
    """Where a distributor's portal file on a cut-off differs from the recount, and by how much."""
    mine = (
        demo.rows("customers")
        .filter(snapshot_date=cutoff)
        .join(
            demo.rows("partners").filter(snapshot_date=cutoff, distributor_id=name), on="partner_id"
        )
    )
    portal = (
        demo.rows("portal_usage")
        .filter(snapshot_date=cutoff)
        .join(mine.select("customer_id"), on="customer_id")
    )
    expected = (
        billable(demo, first, cutoff)
        .join(mine.select("customer_id"), on="customer_id")
        .join(recount(demo, cutoff), on=["customer_id", "product_code"], how="left")
    )
    key = ["customer_id", "product_code"]
    both = expected.join(portal, on=key, how="full", coalesce=True, suffix="_portal")
    off = pl.col("quantity_portal").fill_null(-1) - pl.col("quantity").fill_null(0)
    assert both.height > 50
    return both.select(*key, off.alias("off")).filter(pl.col("off") != 0).sort(key).rows()
