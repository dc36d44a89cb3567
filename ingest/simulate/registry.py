"""The crm's, the portal's and the PSA's snapshots: full lists as known on a day.

Built from the world's decisions by filtering on the day; decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import polars as pl

from ingest.simulate.hashing import Ints
from ingest.simulate.references import FAR, day_of
from ingest.simulate.world import PRODUCTS, Licence, World
from ingest.simulate.writer import schema

_DAY = pl.Int32
# Retail prices by product, before each company's own margin.
_RETAIL = dict(
    zip(
        PRODUCTS,
        map(Decimal, ("3.95", "6.20", "9.10", "12.75", "3.60", "2.75", "2.40", "69", "98")),
        strict=True,
    )
)


def _as_date(name: str) -> pl.Expr:
    column = pl.col(name)
    return pl.when(column.abs() < FAR).then(column).cast(pl.Date).alias(name)


class Registry:
    """Daily registry frames of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._customers = pl.DataFrame(
            [
                (
                    c.customer_id,
                    c.name,
                    world.partners[c.partner].partner_id,
                    world.partners[c.moved_to].partner_id if c.moved_to >= 0 else "",
                    c.moved_on,
                    c.joined_on,
                    c.closed_on,
                )
                for c in world.customers
            ],
            schema={
                "customer_id": pl.String,
                "customer_name": pl.String,
                "partner_before": pl.String,
                "partner_after": pl.String,
                "moved_on": _DAY,
                "joined_on": _DAY,
                "closed_on": _DAY,
            },
            orient="row",
        )
        self._licences = self._licence_table(world.licences)
        self._transfers = pl.DataFrame(
            [
                (
                    t.transfer_id,
                    world.customers[t.customer].customer_id,
                    world.partners[t.from_partner].partner_id,
                    world.partners[t.to_partner].partner_id,
                    t.effective_on,
                    *t.approved_on,
                    t.shown_from,
                )
                for t in world.transfers
            ],
            schema={
                "transfer_id": pl.String,
                "customer_id": pl.String,
                "from_partner_id": pl.String,
                "to_partner_id": pl.String,
                "effective_on": _DAY,
                "current_partner_approved_on": _DAY,
                "new_partner_approved_on": _DAY,
                "customer_approved_on": _DAY,
                "shown_from": _DAY,
            },
            orient="row",
        )

    def _licence_table(self, licences: list[Licence]) -> pl.DataFrame:
        customers = self._world.customers
        return pl.DataFrame(
            [
                (
                    x.licence_id,
                    customers[x.customer].customer_id,
                    x.product,
                    x.licence_type,
                    x.owner,
                    x.quantity,
                    x.serial,
                    x.starts_on,
                    x.ends_on,
                    x.planned_end,
                    x.known_from,
                    max(x.shown_from, customers[x.customer].joined_on),
                    x.customer,
                    PRODUCTS.index(x.product),
                    customers[x.customer].closed_on,
                    customers[x.customer].distributor,
                )
                for x in licences
            ],
            schema={
                "licence_id": pl.String,
                "customer_id": pl.String,
                "product_code": pl.String,
                "licence_type": pl.String,
                "owner": pl.String,
                "quantity": pl.Int64,
                "serial_number": pl.String,
                "starts_on": _DAY,
                "ends_on": _DAY,
                "planned_end": _DAY,
                "known_from": _DAY,
                "shown_from": _DAY,
                "customer": pl.Int64,
                "product": pl.Int64,
                "closed_on": _DAY,
                "distributor": pl.Int64,
            },
            orient="row",
        )

    def _finish(self, feed: str, day: int, frame: pl.DataFrame) -> pl.DataFrame:
        names = list(schema(feed))
        return frame.with_columns(snapshot_date=pl.lit(day_of(day))).select(names)

    def customers(self, day: int) -> pl.DataFrame:
        frame = self._customers.filter(pl.col("joined_on") <= day).with_columns(
            partner_id=pl.when(pl.col("moved_on") <= day)
            .then("partner_after")
            .otherwise("partner_before"),
            status=pl.when(pl.col("closed_on") <= day)
            .then(pl.lit("closed"))
            .otherwise(pl.lit("active")),
        )
        return self._finish("customers", day, frame)

    def partners(self, day: int) -> pl.DataFrame:
        partners = self._world.partners
        frame = pl.DataFrame(
            {
                "partner_id": [p.partner_id for p in partners],
                "partner_name": [p.name for p in partners],
                "distributor_id": [
                    self._world.seeds.distributors[p.distributor].distributor_id for p in partners
                ],
                "country": [p.country for p in partners],
                "programme": [p.programme for p in partners],
                "registered_on": [day_of(p.registered_on) for p in partners],
                "parent_partner_id": pl.Series([None] * len(partners), dtype=pl.String),
            }
        )
        return self._finish("partners", day, frame)

    def licences(self, day: int) -> pl.DataFrame:
        frame = self._licences.filter(pl.col("shown_from") <= day).with_columns(
            ends_on=pl.when(pl.col("known_from") <= day).then("ends_on").otherwise("planned_end")
        )
        dated = frame.with_columns(_as_date("starts_on"), _as_date("ends_on"))
        return self._finish("licences", day, dated)

    def transfers(self, day: int) -> pl.DataFrame:
        approvals = (
            "current_partner_approved_on",
            "new_partner_approved_on",
            "customer_approved_on",
        )
        frame = self._transfers.filter(pl.col("shown_from") <= day).with_columns(
            pl.when(pl.col(name).is_between(-FAR // 2, day)).then(name).cast(pl.Date).alias(name)
            for name in approvals
        )
        return self._finish("transfers", day, frame.with_columns(_as_date("effective_on")))

    def portal(self, day: int, counts: Ints, deviation: Callable[[str, str], int]) -> pl.DataFrame:
        """Counts of every customer and product with a monthly licence in the running period.

        `deviation(customer_id, product)` is added: 0 unless planted. A zero count is listed.
        """
        starts = [
            (d.period_start(day_of(day)) - day_of(0)).days for d in self._world.seeds.distributors
        ]
        period_start = pl.Series(starts).gather(self._licences["distributor"])
        ends = pl.when(pl.col("known_from") <= day).then("ends_on").otherwise("planned_end")
        monthly = self._licences.filter(
            (pl.col("licence_type") == "monthly")
            & (pl.col("shown_from") <= day)
            & (pl.col("starts_on") <= day)
            & (ends >= period_start)
            & (pl.col("closed_on") >= period_start)
        ).unique(["customer", "product"], keep="first")
        monthly = monthly.sort("customer", "product")
        quantity = counts[monthly["customer"].to_numpy(), monthly["product"].to_numpy()]
        pairs = zip(monthly["customer_id"], monthly["product_code"], strict=True)
        shift = np.array([deviation(*pair) for pair in pairs], dtype=np.int64)
        frame = monthly.with_columns(quantity=pl.Series(np.maximum(quantity + shift, 0)))
        return self._finish("portal_usage", day, frame)

    def psa(
        self, day: int, psa: str, portal: pl.DataFrame, deviation: Callable[[str, str], int]
    ) -> pl.DataFrame:
        """What the PSA bills: an addition per company and product, the portal's quantity."""
        seeds = self._world.seeds
        companies = {
            customer: company
            for of_psa, company, customer, validity in seeds.psa_companies
            if of_psa == psa and validity.holds_on(day_of(day))
        }
        products = {code: number for of_psa, number, code in seeds.psa_products if of_psa == psa}
        rows = []
        wanted = portal.filter(pl.col("customer_id").is_in(list(companies)))
        for _, customer, code, quantity in wanted.iter_rows():
            if code not in products:
                continue
            company = companies[customer]
            margin = self._world.draw("margin", sum(company.encode()), 5)
            rows.append(
                (
                    psa,
                    company,
                    f"AGR-{company}",
                    f"ADD-{company}-{products[code]}",
                    products[code],
                    max(0, quantity + deviation(customer, code)),
                    (_RETAIL[code] * (100 + 5 * margin) / 100).quantize(Decimal("0.01")),
                )
            )
        columns = {k: v for k, v in schema("psa_additions").items() if k != "snapshot_date"}
        frame = pl.DataFrame(rows, schema=columns, orient="row")
        return self._finish("psa_additions", day, frame)
