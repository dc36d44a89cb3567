"""Planted partners and customers: the rows they add to a day's files, in feeds' own words.

They have ids and a heartbeat source of their own, so that no row of the world changes. What each of
them is there for is said in `plants`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl

from ingest.simulate.references import FAR, day_of
from ingest.simulate.writer import schema

HEARTBEAT_SOURCE = "us-south"
REGISTRY_SOURCE = "crm-west"
ABSENT_SOURCE = "autotask"
# The sources that only the planted reference data expect; the last of them never delivers.
SOURCES = (
    ("heartbeat", HEARTBEAT_SOURCE),
    ("customers", REGISTRY_SOURCE),
    ("psa_additions", ABSENT_SOURCE),
)

# Ids longer than any the world hands out.
LEGACY, ABROAD, RESOLD, HOME, UNKNOWN = "P99901", "P99902", "P99903", "P99904", "P99999"
STRANGER = "C9999999"
OF_ABROAD, OF_RESOLD = "C9999902", "C9999903"
GROWING, TWIN, FAULTY, VANISHING = "C9999904", "C9999905", "C9999906", "C9999907"
OF_UNKNOWN = "C9999908"
# Companies of the PSA: the first is VANISHING's by the planted reference data, the second nobody's.
BILLED_ON, STRANGE_COMPANY = "CW99907", "CW99999"
BILLED_ON_PRODUCT, STRANGE_PRODUCT = "MOBSEC", "EPADV"

# Products of the planted reference data: without a price in the distributor's currency, with two.
UNPRICED, TWICE_PRICED = "SAFEGD", "ZTNA"
# And one that is in no reference data.
UNLISTED = "DLP"

SHARED_LICENCE, CLUSTER = "L-SHARED-WEB", "HA-09990999"
EMAIL = "jo.doe@example.com"
ODD_SYSTEM = "XGOS 2"
TWIN_DEVICES = ("D-00FF-0001", "d00ff0001")
# GROWING's first device; TWIN's files name it too.
SHARED_DEVICE, _SHARED_BY = "d-00000000000a0300", "u-00000000000a0300"
_USERS_BEFORE, _USERS_AFTER, _JOIN_A_DAY = 5, 65, 6


@dataclass(frozen=True)
class Boxes:
    """The planted firewalls, each a serial number and its model."""

    elsewhere: tuple[str, str]  # licensed to FAULTY, reports under TWIN
    two_products: tuple[str, str]  # TWIN's, licensed twice at once
    silent: tuple[str, str]  # FAULTY's, licensed and never heard
    expired: tuple[str, str]  # the stranger's; FAULTY's licence of it ended long ago
    licensed_member: tuple[str, str]  # of FAULTY's pair, silent for weeks
    active_member: tuple[str, str]  # of the same pair, without a licence
    odd_system: tuple[str, str]  # FAULTY's, licensed, sends as a system nobody knows


@dataclass(frozen=True)
class Additions:
    """The planted cast of one distributor; days are day numbers."""

    distributor_id: str
    country: str
    parent_partner_id: str
    boxes: Boxes
    first_day: int
    vanishes_on: int
    second_month: int  # its first day: new products are sold, GROWING grows

    def partners(self, day: int) -> pl.DataFrame:
        here, flex = self.country, "connect_flex"
        rows = [
            (LEGACY, "Old Guard Networks", here, "msp_v1", date(2016, 9, 1), None),
            (ABROAD, "Thames Valley IT", "GB", flex, date(2019, 4, 1), None),
            (RESOLD, "Second Hand Cloud", here, flex, date(2019, 5, 1), self.parent_partner_id),
            (HOME, "Harbor Lights Managed IT", here, flex, date(2019, 6, 1), None),
        ]
        return _frame("partners", day, [(*row[:2], self.distributor_id, *row[2:]) for row in rows])

    def customers(self, day: int) -> pl.DataFrame:
        rows = [
            (OF_ABROAD, "Camden Lock Bakery", ABROAD),
            (OF_RESOLD, "Quarry Street Dental", RESOLD),
            (GROWING, "Northern Lights Logistics", HOME),
            (TWIN, "Caf\u00e9 Lumi\u00e8re", HOME),  # composed
            (FAULTY, "Cafe\u0301 Lumie\u0300re", HOME),  # decomposed
            (OF_UNKNOWN, "Lost Valley Orchards", UNKNOWN),
        ]
        if day < self.vanishes_on:
            rows.append((VANISHING, "Here Today Events", HOME))
        return _frame("customers", day, [(*row, "active") for row in rows])

    def second_registry(self, day: int) -> pl.DataFrame:
        """What the second registry source holds: a customer that the first one holds too."""
        return self.customers(day).filter(customer_id=TWIN)

    def licences(self, day: int) -> pl.DataFrame:
        long_ago, boxes = self.first_day - 200, self.boxes
        rows = [
            (OF_ABROAD, "EPSTD", "monthly", None, None, long_ago, FAR),
            (OF_RESOLD, "EPSTD", "monthly", None, None, long_ago, FAR),
            (GROWING, "EPSTD", "monthly", None, None, long_ago, FAR),
            (TWIN, "EPSTD", "monthly", None, None, long_ago, FAR),
            (TWIN, UNPRICED, "monthly", None, None, self.second_month, FAR),
            (TWIN, TWICE_PRICED, "monthly", None, None, self.second_month, FAR),
            (FAULTY, "SVSTD", "monthly", None, None, long_ago, FAR),
            (FAULTY, "EPADV", "monthly", None, None, long_ago, FAR),
            (FAULTY, "MOBCTL", "term", 1, None, long_ago, FAR),
            (FAULTY, "FWENT", "monthly", None, boxes.elsewhere, long_ago, FAR),
            (TWIN, "FWENT", "monthly", None, boxes.two_products, long_ago, FAR),
            (TWIN, "FWFULL", "monthly", None, boxes.two_products, long_ago, FAR),
            (FAULTY, "FWENT", "monthly", None, boxes.silent, long_ago, FAR),
            (FAULTY, "FWENT", "monthly", None, boxes.expired, long_ago, self.first_day - 60),
            (FAULTY, "FWFULL", "monthly", None, boxes.licensed_member, long_ago, FAR),
            (VANISHING, BILLED_ON_PRODUCT, "monthly", None, None, long_ago, self.first_day - 60),
            (FAULTY, "FWENT", "monthly", None, boxes.odd_system, long_ago, FAR),
        ]
        named = [
            (
                "-".join(["L", customer, product, *([box[0]] if box else [])]),
                (customer, product, kind, "partner", quantity, box and box[0]),
                (starts_on, ends_on),
            )
            for customer, product, kind, quantity, box, starts_on, ends_on in rows
            if starts_on <= day
        ]
        named += [
            (SHARED_LICENCE, (customer, "WEB", "term", "partner", None, None), (long_ago, FAR))
            for customer in (GROWING, FAULTY)
        ]
        return _frame(
            "licences",
            day,
            [
                (name, *what, day_of(starts_on), None if ends_on == FAR else day_of(ends_on))
                for name, what, (starts_on, ends_on) in named
            ],
        )

    def usage(self, day: int) -> pl.DataFrame:
        """Everybody here is active every day."""
        rows = [
            *_users(OF_ABROAD, "EPSTD", 0x100, 2),
            *_users(OF_RESOLD, "EPSTD", 0x200, 3),
            *_users(GROWING, "EPSTD", 0x300, self._growing(day)),
            (TWIN, "EPSTD", SHARED_DEVICE, _SHARED_BY),
            *_users(OF_UNKNOWN, "EPSTD", 0x400, 1),
            *_users(FAULTY, "MOBCTL", 0x500, 3),
            *_users(FAULTY, UNLISTED, 0x600, 1),
            (FAULTY, "EPADV", _hex("d", 0x700), EMAIL),
            (FAULTY, "FWENT", _hex("d", 0xA00), None),
            *((FAULTY, "SVSTD", device, None) for device in TWIN_DEVICES),
        ]
        if day >= self.second_month:
            rows += _users(TWIN, UNPRICED, 0x800, 2)
            rows += [(TWIN, TWICE_PRICED, _hex("d", 0x900 + n), None) for n in range(2)]
        at = _time(day)
        return _frame("usage", day, [(*row, at) for row in rows])

    def heartbeat(self, day: int) -> pl.DataFrame:
        boxes, pair = self.boxes, (CLUSTER, "active-passive")
        weeks_ago = _time(self.first_day - 20)
        rows = [
            (TWIN, boxes.elsewhere, (None, None, None), _time(day)),
            (TWIN, boxes.two_products, (None, None, None), _time(day)),
            (STRANGER, boxes.expired, (None, None, None), _time(day)),
            (FAULTY, boxes.licensed_member, (*pair, "primary"), weeks_ago),
            (FAULTY, boxes.active_member, (*pair, "auxiliary"), _time(day)),
            (FAULTY, boxes.odd_system, (None, None, None), _time(day)),
        ]
        return _frame(
            "heartbeat",
            day,
            [
                (customer, *box, self._system(box), "21.0.1", *ha, at)
                for customer, box, ha, at in rows
            ],
        )

    def _system(self, box: tuple[str, str]) -> str:
        return ODD_SYSTEM if box == self.boxes.odd_system else "SFOS"

    def portal(self, day: int) -> pl.DataFrame:
        """What the portal counts of them (R5, R9), whether they may be billed or not."""
        rows = [
            (OF_ABROAD, "EPSTD", 2),
            (OF_RESOLD, "EPSTD", 3),
            (GROWING, "EPSTD", self._growing(day)),
            (FAULTY, "SVSTD", 2),
            (FAULTY, "EPADV", 1),
            (FAULTY, "FWENT", 1),
            (FAULTY, "FWFULL", 0),
            (TWIN, "EPSTD", 0),
            (TWIN, "FWENT", 1),
            (TWIN, "FWFULL", 1),
        ]
        if day >= self.second_month:
            rows += [(TWIN, UNPRICED, 2), (TWIN, TWICE_PRICED, 2)]
        return _frame("portal_usage", day, rows)

    def psa(self, day: int, psa: str, products: Mapping[str, str]) -> pl.DataFrame:
        """What the PSA alone bills; `products` are its numbers by ours."""
        rows = [
            (BILLED_ON, products.get(BILLED_ON_PRODUCT), 9, Decimal("3.50")),
            (STRANGE_COMPANY, products.get(STRANGE_PRODUCT), 3, Decimal("4.50")),
        ]
        return _frame(
            "psa_additions",
            day,
            [
                (psa, company, f"AGR-{company}", f"ADD-{company}-{product}", product, units, price)
                for company, product, units, price in rows
                if product
            ],
        )

    def _growing(self, day: int) -> int:
        """A few more every day, so that no single file is odd."""
        joined = _JOIN_A_DAY * max(0, day - self.second_month + 1)
        return min(_USERS_AFTER, _USERS_BEFORE + joined)


def _users(
    customer: str, product: str, first: int, count: int
) -> list[tuple[str, str, str, str | None]]:
    return [(customer, product, _hex("d", first + n), _hex("u", first + n)) for n in range(count)]


def _hex(prefix: str, number: int) -> str:
    return f"{prefix}-{0xA0000 + number:016x}"


def _time(day: int) -> datetime:
    at = day_of(day)
    return datetime(at.year, at.month, at.day, 23, 10, 5, tzinfo=UTC)


def _frame(feed: str, day: int, rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    dated = [(day_of(day), *row) for row in rows]
    return pl.DataFrame(dated, schema=schema(feed), orient="row")
