"""What can be planted in one distributor's data: discrepancies, and rows and files gone bad.

Each is listed in PLANTS. None touches another distributor's customers, rows or files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import polars as pl

from ingest.simulate.devices import DeviceFleet
from ingest.simulate.firewalls import Firewall, FirewallFleet
from ingest.simulate.paperwork import add_transfer, licence_of
from ingest.simulate.references import FAR, day_number, day_of
from ingest.simulate.usage import Moved
from ingest.simulate.world import Customer, World
from ingest.simulate.writer import schema


class Plant(NamedTuple):
    """A planted case; `raises` is the discrepancy, reason code or file fault it leads to."""

    name: str
    raises: str
    sentence: str


PLANTS = (
    Plant(
        "unlicensed_firewall",
        "firewall_unlicensed",
        "A box beats daily though its monthly licence ended 45 days before the first day.",
    ),
    Plant(
        "unlicensed_usage",
        "unlicensed_usage",
        "A customer's users use WEB; the crm holds no WEB licence for it.",
    ),
    Plant(
        "orphan_usage",
        "orphan_usage",
        "Two devices report for customer C9999999, whom no registry knows.",
    ),
    Plant(
        "orphan_heartbeat",
        "orphan_heartbeat",
        "A firewall of C9999999 beats; no licence holds its serial.",
    ),
    Plant(
        "unapproved_transfer",
        "unapproved_transfer (blocking)",
        "On the 12th of the second month a customer changes partner; it never approved.",
    ),
    Plant(
        "monthly_outside_flex",
        "monthly_outside_flex (blocking)",
        "From the 5th of the first month a customer of a connect partner is monthly.",
    ),
    Plant(
        "portal_over",
        "three-way match",
        "The portal counts 3 users of EPADV too many for a customer, every day.",
    ),
    Plant(
        "portal_under",
        "three-way match",
        "The portal counts 2 users of MOBCTL too few for another, every day.",
    ),
    Plant(
        "psa_over",
        "three-way match",
        "The PSA bills 4 units more than the portal counts, for one company and product.",
    ),
    Plant(
        "stale_trial",
        "stale_trial",
        "A MOBSEC trial began 50 days before the first day and never ends.",
    ),
    Plant(
        "moved_device",
        "move (R8)",
        "On the 6th of the second month a server moves between two customers.",
    ),
    Plant(
        "missing_day",
        "healed by the next day's file",
        "The distributor's usage file of the 14th day does not exist.",
    ),
    Plant(
        "corrupt_file",
        "file quarantined whole; healed by the next day's file",
        "The usage file of the 20th day is cut off at three fifths of its bytes.",
    ),
    Plant(
        "bad_usage_rows",
        "bad date, future time, duplicate_key, ragged row",
        "On every 8th the usage file ends with five unusable rows of devices nobody has "
        "(a Parquet file cannot hold the bad date and the ragged row: three).",
    ),
    Plant(
        "repeated_row",
        "an exact duplicate, counted once",
        "On every 17th the usage file repeats an orphan's row.",
    ),
    Plant(
        "bad_portal_row",
        "not a whole number",
        "On every 10th the portal reports 3.7 units of the unlicensed WEB (not in Parquet).",
    ),
)

STRANGER = "C9999999"
_NEED = (
    "The plant in {name!r} needs a bigger world than {lacking}. Raise partners, customers or "
    "devices: 12, 150 and 1,500 are enough."
)


@dataclass(frozen=True)
class Sowing:
    """What was planted, where; `cases` maps a plant's name to the ids that carry it."""

    distributor: int
    moved: Moved
    deviations: dict[tuple[str, str], int]
    psa_deviations: dict[tuple[str, str], int]
    missing_on: int
    corrupt_on: int
    cases: dict[str, str]
    web_customer: str
    moved_id: str
    moved_to: str
    stranger_box: tuple[str, str]

    def extra_usage(self, day: int) -> pl.DataFrame:
        """Well-formed rows: the strangers' devices and the moved server."""
        rows = _stranger_rows(day)
        if day >= self.moved.day:
            rows.append((self.moved_to, self.moved.product, self.moved_id, None, _time(day, 12)))
        if day_of(day).day == 17:
            rows.append(rows[0])
        return _usage_frame(day, rows)

    def extra_heartbeat(self, day: int) -> pl.DataFrame:
        serial, model = self.stranger_box
        row = (day_of(day), STRANGER, serial, model, "SFOS", "21.0.1", None, None, None)
        return pl.DataFrame([(*row, _time(day, 23))], schema=schema("heartbeat"), orient="row")

    def bad_usage_frame(self, day: int) -> pl.DataFrame:
        """The bad rows that a typed file can hold: a future time and two rows of one key."""
        if day_of(day).day != 8:
            return pl.DataFrame(schema=schema("usage"))
        who = (self.web_customer, "EPADV")
        future, twin = "d-00000000000000f1", "d-00000000000000f2"
        user = "u-00000000000000f0"
        return _usage_frame(
            day,
            [
                (*who, future, user, _time(day + 3, 9)),
                (*who, twin, user, _time(day, 9)),
                (*who, twin, user, _time(day - 1, 9)),
            ],
        )

    def bad_usage_lines(self, day: int) -> list[str]:
        """The bad rows that only text can hold: a day that does not exist, a missing field."""
        if day_of(day).day != 8:
            return []
        on = day_of(day).isoformat()
        start = f"{on},{self.web_customer},EPADV,d-00000000000000f"
        return [
            f"{start}3,u-00000000000000f0,{on[:4]}-02-31T09:00:00Z",
            f"{start}4,{on}T09:00:00Z",
        ]

    def bad_portal_lines(self, day: int) -> list[str]:
        if day_of(day).day != 10:
            return []
        return [f"{day_of(day).isoformat()},{self.web_customer},WEB,3.7"]


def _time(day: int, hour: int) -> datetime:
    at = day_of(day)
    return datetime(at.year, at.month, at.day, hour, 20, 5, tzinfo=UTC)


def _stranger_rows(day: int) -> list[tuple[str, str, str, str | None, datetime]]:
    return [
        (STRANGER, "EPADV", f"d-000000000000000{n}", f"u-000000000000000{n}", _time(day, 9 + n))
        for n in (1, 2)
    ]


def _usage_frame(day: int, rows: list[tuple[str, str, str, str | None, datetime]]) -> pl.DataFrame:
    dated = [(day_of(day), *row) for row in rows]
    return pl.DataFrame(dated, schema=schema("usage"), orient="row")


def _psa_customer(world: World, distributor: int) -> Customer | None:
    by_id = {customer.customer_id: customer for customer in world.customers}
    for _, _, customer_id, _ in world.seeds.psa_companies:
        customer = by_id.get(customer_id)
        if customer and customer.distributor == distributor and customer.role == "regular":
            return customer
    return None


def _not_a_cutoff(world: World, distributor: int, day: int) -> int:
    """The day, or the one before it if it is a cut-off: only a later file heals (R3)."""
    on: date = day_of(day)
    if world.seeds.distributors[distributor].cutoff(on.year, on.month) == on:
        on -= timedelta(days=1)
    return day_number(on)


def sow(world: World, devices: DeviceFleet, firewalls: FirewallFleet, name: str) -> Sowing:
    """Plant everything in a distributor's data, changing the world's registry in place.

    Raises ValueError when there is no such distributor, or not enough of it to carry the plants.
    """
    ids = [distributor.distributor_id for distributor in world.seeds.distributors]
    if name not in ids:
        raise ValueError(f"No distributor {name!r} to plant in: choose one of {', '.join(ids)}.")
    place = ids.index(name)
    full = world.role("full", place)
    outside = [
        customer
        for customer in world.customers
        if customer.distributor == place
        and world.partners[customer.partner].programme == "connect"
        and customer.role.startswith("term")
        and customer.devices
    ]
    flex = [
        index
        for index, partner in enumerate(world.partners)
        if partner.distributor == place and partner.programme == "connect_flex"
    ]
    billed = _psa_customer(world, place)
    moves_on = world.month_day(1, 6)
    server = devices.steady_server(full[4].index) if len(full) == 6 else None
    if len(full) < 6 or len(flex) < 2 or not outside or billed is None or server is None:
        lacking = (
            f"{len(full)} of 6 full customers, {len(flex)} flex partners, {len(outside)} customers "
            f"of a connect partner, {int(billed is not None)} PSA company, "
            f"{int(server is not None)} server to move"
        )
        raise ValueError(_NEED.format(name=name, lacking=lacking))

    web, leaver, over, under, giver, taker = full
    world.licences = [
        licence
        for licence in world.licences
        if (licence.customer, licence.product) != (web.index, "WEB")
    ]
    box = _unlicensed_box(world, firewalls, web)
    target = flex[(flex.index(leaver.partner) + 1) % len(flex)]
    leaver.moved_to, leaver.moved_on = target, world.month_day(1, 12)
    approvals = (7, 5, -FAR)
    add_transfer(world, leaver.index, leaver.partner, target, leaver.moved_on, approvals)
    flexed = outside[0]
    monthly = licence_of(flexed, flexed.products[0], world.month_day(0, 5))
    monthly = replace(monthly, licence_id=f"{monthly.licence_id}-M")
    world.licences.append(replace(monthly, shown_from=monthly.starts_on))
    stale = (giver.index, "MOBSEC")
    world.licences = [
        replace(x, licence_type="trial", starts_on=world.first_day - 50)
        if (x.customer, x.product) == stale
        else x
        for x in world.licences
    ]
    stranger_box = firewalls.serial(0)
    moved = Moved(server, moves_on, "SVADV", giver.index, taker.index)
    psa_product = billed.products[0]
    partner_ids = [partner.partner_id for partner in world.partners]
    return Sowing(
        distributor=place,
        moved=moved,
        deviations={(over.customer_id, "EPADV"): 3, (under.customer_id, "MOBCTL"): -2},
        psa_deviations={(billed.customer_id, psa_product): 4},
        missing_on=_not_a_cutoff(world, place, world.first_day + 13),
        corrupt_on=_not_a_cutoff(world, place, world.first_day + 19),
        web_customer=web.customer_id,
        moved_id=devices.device_id(server),
        moved_to=taker.customer_id,
        stranger_box=stranger_box,
        cases={
            "unlicensed_firewall": f"{web.customer_id} {box.serial}",
            "unlicensed_usage": f"{web.customer_id} WEB",
            "orphan_usage": STRANGER,
            "orphan_heartbeat": f"{STRANGER} {stranger_box[0]}",
            "unapproved_transfer": (
                f"{leaver.customer_id} {partner_ids[leaver.partner]} → {partner_ids[target]}"
            ),
            "monthly_outside_flex": (
                f"{flexed.customer_id} {partner_ids[flexed.partner]} {flexed.products[0]}"
            ),
            "portal_over": f"{over.customer_id} EPADV +3",
            "portal_under": f"{under.customer_id} MOBCTL -2",
            "psa_over": f"{billed.customer_id} {psa_product} +4",
            "stale_trial": f"{giver.customer_id} MOBSEC",
            "moved_device": (
                f"{devices.device_id(server)} SVADV {giver.customer_id} → {taker.customer_id}"
            ),
            "missing_day": day_of(_not_a_cutoff(world, place, world.first_day + 13)).isoformat(),
            "corrupt_file": day_of(_not_a_cutoff(world, place, world.first_day + 19)).isoformat(),
            "bad_usage_rows": f"every 8th, {web.customer_id}",
            "repeated_row": f"every 17th, {STRANGER}",
            "bad_portal_row": f"every 10th, {web.customer_id} WEB",
        },
    )


def _unlicensed_box(world: World, firewalls: FirewallFleet, customer: Customer) -> Firewall:
    """A box whose licence ended long before the first period."""
    box = firewalls.add(customer, None, world.first_day - 300)
    ended = licence_of(customer, "FWENT", world.first_day - 300)
    world.licences.append(
        replace(
            ended,
            licence_id=f"{ended.licence_id}-{box.serial}",
            serial=box.serial,
            ends_on=world.first_day - 45,
        )
    )
    return box
