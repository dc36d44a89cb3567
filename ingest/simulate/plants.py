"""What can be planted in one distributor's data: at least one discrepancy of every kind.

Each is listed in PLANTS. None touches another distributor's customers, rows or files. Some need the
reference data of `reference_plants`; the rows of planted customers are `additions`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import polars as pl

from ingest.simulate import additions
from ingest.simulate.additions import STRANGER, Additions, Boxes
from ingest.simulate.devices import DeviceFleet
from ingest.simulate.firewalls import Firewall, FirewallFleet
from ingest.simulate.paperwork import add_transfer, licence_of
from ingest.simulate.references import FAR, day_number, day_of
from ingest.simulate.usage import Moved
from ingest.simulate.world import Customer, World
from ingest.simulate.writer import schema


class Plant(NamedTuple):
    """A planted case; `raises` is the kind of discrepancy it leads to, empty when to none."""

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
        "unapproved_transfer",
        "On the 12th of the second month a customer changes partner; it never approved.",
    ),
    Plant(
        "monthly_outside_flex",
        "monthly_outside_flex",
        "From the 5th of the first month a customer of a connect partner is monthly.",
    ),
    Plant(
        "portal_over",
        "portal_mismatch",
        "The portal counts 3 users of EPADV too many for a customer, every day.",
    ),
    Plant(
        "portal_under",
        "portal_mismatch",
        "The portal counts 2 users of MOBCTL too few for another, every day.",
    ),
    Plant(
        "psa_over",
        "psa_mismatch",
        "The PSA bills 4 units more than the portal counts, for one company and product.",
    ),
    Plant(
        "psa_after_licence",
        "psa_without_licence",
        "The PSA bills 9 of MOBSEC, whose licence ended 60 days before the first day (reference "
        "data: the company's customer).",
    ),
    Plant(
        "psa_stranger",
        "unknown_psa_company",
        "The PSA bills a company that no reference data name 3 of EPADV.",
    ),
    Plant(
        "stale_trial",
        "stale_trial",
        "A MOBSEC trial began 50 days before the first day and never ends.",
    ),
    Plant(
        "moved_device",
        "device_moved",
        "On the 6th of the second month a server moves between two customers (R8).",
    ),
    Plant(
        "device_at_two",
        "device_at_two_customers",
        "A device reports at two customers every day; it counts for the smaller id.",
    ),
    Plant(
        "missing_day",
        "missing_file_healed",
        "The distributor's usage file of the 14th day does not exist; the next one heals it.",
    ),
    Plant(
        "corrupt_file",
        "missing_file_healed",
        "The usage file of the 20th day is cut off at three fifths; the next one heals it.",
    ),
    Plant(
        "bad_usage_rows",
        "quarantined_rows",
        "On every 8th the usage file ends with five unusable rows of devices nobody has: a bad "
        "date, a future time, a double key, a ragged row (Parquet holds no bad date, none ragged).",
    ),
    Plant(
        "repeated_row",
        "",
        "On every 17th the usage file repeats an orphan's row, which counts once.",
    ),
    Plant(
        "bad_portal_row",
        "quarantined_rows",
        "On every 10th the portal reports 3.7 units of the unlicensed WEB (not in Parquet).",
    ),
    Plant(
        "firewall_silent",
        "firewall_silent",
        "A licensed firewall that no heartbeat ever names.",
    ),
    Plant(
        "firewall_elsewhere",
        "heartbeat_customer_differs",
        "A firewall licensed to one customer reports under another.",
    ),
    Plant(
        "firewall_two_products",
        "firewall_two_products",
        "A firewall is licensed for both products at once.",
    ),
    Plant(
        "odd_system",
        "unknown_operating_system",
        "A licensed firewall beats daily as XGOS 2, a system that is in no list.",
    ),
    Plant(
        "expired_firewall",
        "orphan_heartbeat",
        "A firewall beats under C9999999; the only licence of its serial ended long ago.",
    ),
    Plant(
        "silent_pair",
        "ha_licence_silent",
        "The licensed member of a pair was last heard 20 days before the first day, the other "
        "beats daily.",
    ),
    Plant(
        "unknown_partner",
        "unknown_partner",
        "A customer with an active user belongs to a partner nobody knows.",
    ),
    Plant(
        "unlisted_product",
        "unknown_product",
        "A device uses DLP, a product without a row in the reference data.",
    ),
    Plant(
        "usage_of_firewall",
        "usage_of_firewall_product",
        "A device's usage names FWENT, which is counted by firewall.",
    ),
    Plant(
        "twin_devices",
        "duplicate_hardware",
        "A server reports under two ids that differ in case and dashes.",
    ),
    Plant(
        "email_id",
        "identifier_is_email",
        "A user's id is an e-mail address.",
    ),
    Plant(
        "twin_names",
        "twin_names",
        "Two customers share a name, once with composed and once with decomposed accents.",
    ),
    Plant(
        "term_overuse",
        "term_overuse",
        "Three users use MOBCTL, bought for one.",
    ),
    Plant(
        "term_shared",
        "term_licence_shared",
        "Two customers hold one term licence.",
    ),
    Plant(
        "vanishing_customer",
        "customer_vanished",
        "A customer is in the registry for 19 days, and then no longer.",
    ),
    Plant(
        "second_registry",
        "registry_conflict",
        "The source crm-west holds a customer that the crm holds too.",
    ),
    Plant(
        "registry_gap",
        "registry_gap",
        "crm-west sends nothing on the 10th day (reference data: it is expected).",
    ),
    Plant(
        "legacy_partner",
        "legacy_programme_registration",
        "A partner registered under msp_v1 after that took nobody new.",
    ),
    Plant(
        "partner_abroad",
        "excluded_territory",
        "A partner in GB has a customer with a monthly licence.",
    ),
    Plant(
        "partner_of_partner",
        "partner_resale",
        "A partner that buys through another one has a customer with a monthly licence.",
    ),
    Plant(
        "no_price",
        "price_missing",
        "From the second month SAFEGD is sold, without a price in the distributor's currency "
        "(reference data).",
    ),
    Plant(
        "two_prices",
        "price_ambiguous",
        "From the second month ZTNA is sold, which has two prices (reference data).",
    ),
    Plant(
        "growing_customer",
        "swing",
        "A partner's only customer has 5 users, and 65 after the tenth of the second month.",
    ),
    Plant(
        "hole_at_cutoff",
        "missing_file",
        "The heartbeat source us-south sends nothing on the second month's cut-off (reference "
        "data: it is expected).",
    ),
    Plant(
        "absent_psa",
        "missing_file",
        "The PSA source autotask sends nothing on the three days it is expected (reference data).",
    ),
    Plant(
        "retracted_file",
        "missing_file_healed",
        "The us-south file of the second month's 10th is taken back by a person.",
    ),
    Plant(
        "refused_retraction",
        "refused_file",
        "A retraction of the usage file of the second month's 3rd names other bytes.",
    ),
    Plant(
        "thin_file",
        "feed_volume",
        "The usage file of the 23rd day holds a third of its rows; the next one has them all.",
    ),
)

# Two thirds of their rows missing is a change that no safety bound calls small.
_FEWEST_DEVICES = 150
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
    additions: Additions
    thin_on: int
    refused_on: int
    gap_on: int
    hole_on: int
    retracted_on: int

    def thinned(self, frame: pl.DataFrame, day: int) -> pl.DataFrame:
        """The rows that are in the day's usage file: every third on the thin day."""
        return frame.gather_every(3) if day == self.thin_on else frame

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
    own_devices = sum(
        customer.devices for customer in world.customers if customer.distributor == place
    )
    is_small = own_devices < _FEWEST_DEVICES or len(full) < 6 or len(flex) < 2 or not outside
    if is_small or billed is None or server is None:
        lacking = (
            f"{len(full)} of 6 full customers, {len(flex)} flex partners, {len(outside)} customers "
            f"of a connect partner, {int(billed is not None)} PSA company, "
            f"{int(server is not None)} server to move, {own_devices} of {_FEWEST_DEVICES} devices"
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
    added = _additions(world, firewalls, place, world.partners[flex[0]].partner_id)
    second_cutoff = _cutoff(world, place, 1)
    thin_on = _not_a_cutoff(world, place, world.first_day + 22)
    retracted_on = _not_a_cutoff(world, place, world.month_day(1, 10))
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
        additions=added,
        thin_on=thin_on,
        refused_on=world.month_day(1, 3),
        gap_on=world.first_day + 9,
        hole_on=second_cutoff,
        retracted_on=retracted_on,
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
            **_added_cases(added),
            "registry_gap": day_of(world.first_day + 9).isoformat(),
            "hole_at_cutoff": day_of(second_cutoff).isoformat(),
            "absent_psa": f"psa_additions/{additions.ABSENT_SOURCE}",
            "retracted_file": day_of(retracted_on).isoformat(),
            "refused_retraction": day_of(world.month_day(1, 3)).isoformat(),
            "thin_file": day_of(thin_on).isoformat(),
        },
    )


def _cutoff(world: World, distributor: int, months_later: int) -> int:
    """The cut-off in the month so many months after the first day's."""
    first = day_of(world.month_day(months_later, 1))
    return day_number(world.seeds.distributors[distributor].cutoff(first.year, first.month))


def _additions(
    world: World, firewalls: FirewallFleet, distributor: int, parent_partner_id: str
) -> Additions:
    # Serials are taken in this order; the fleet itself is complete by now.
    boxes = Boxes(*(firewalls.serial(0) for _ in fields(Boxes)))
    home = world.seeds.distributors[distributor]
    return Additions(
        distributor_id=home.distributor_id,
        country=home.country,
        parent_partner_id=parent_partner_id,
        boxes=boxes,
        first_day=world.first_day,
        vanishes_on=world.first_day + 19,
        second_month=world.month_day(1, 1),
    )


def _added_cases(added: Additions) -> dict[str, str]:
    """The ids of each added case: customer, product and the rest, as far as it has them."""
    boxes = added.boxes
    return {
        "firewall_silent": f"{additions.FAULTY} FWENT {boxes.silent[0]}",
        "firewall_elsewhere": f"{additions.FAULTY} FWENT {boxes.elsewhere[0]}",
        "firewall_two_products": f"{additions.TWIN} {boxes.two_products[0]}",
        "odd_system": f"{additions.FAULTY} FWENT {boxes.odd_system[0]}",
        "expired_firewall": f"{STRANGER} {boxes.expired[0]}",
        "silent_pair": f"{additions.FAULTY} FWFULL {additions.CLUSTER}",
        "unknown_partner": additions.OF_UNKNOWN,
        "unlisted_product": f"{additions.FAULTY} {additions.UNLISTED}",
        "device_at_two": (f"EPSTD {additions.SHARED_DEVICE} {additions.GROWING} {additions.TWIN}"),
        "usage_of_firewall": f"{additions.FAULTY} FWENT",
        "twin_devices": f"{additions.FAULTY} SVSTD {additions.TWIN_DEVICES[1]}",
        "email_id": additions.FAULTY,
        "twin_names": f"{additions.TWIN} {additions.FAULTY}",
        "term_overuse": f"{additions.FAULTY} MOBCTL",
        "term_shared": f"WEB {additions.SHARED_LICENCE}",
        "vanishing_customer": additions.VANISHING,
        "second_registry": additions.TWIN,
        "legacy_partner": additions.LEGACY,
        "partner_abroad": f"{additions.OF_ABROAD} EPSTD",
        "partner_of_partner": f"{additions.OF_RESOLD} EPSTD",
        "psa_after_licence": (
            f"{additions.VANISHING} {additions.BILLED_ON_PRODUCT} {additions.BILLED_ON}"
        ),
        "psa_stranger": f"{additions.STRANGE_PRODUCT} {additions.STRANGE_COMPANY}",
        "no_price": additions.UNPRICED,
        "two_prices": additions.TWICE_PRICED,
        "growing_customer": f"{additions.HOME} EPSTD",
    }


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
