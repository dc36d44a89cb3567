"""Who is in the simulated world: partners, customers, their roles, sizes and dates.

Decided once from the seed and the first day; nothing depends on the last day, so a longer range
only appends. Licences and transfers are `paperwork`, daily frames `registry`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from ingest.simulate import names
from ingest.simulate.hashing import Ints, draw, draws
from ingest.simulate.references import FAR, Seeds, day_number

PRODUCTS = ("EPSTD", "EPADV", "SVSTD", "SVADV", "MOBCTL", "MOBSEC", "WEB", "FWENT", "FWFULL")
FIREWALL_PRODUCTS = ("FWENT", "FWFULL")
_ALL_DEVICE_PRODUCTS = ("EPADV", "SVADV", "MOBCTL", "MOBSEC", "WEB")

# One customer each per distributor, handed out in this order to customers of Flex partners.
ROLES = (
    "full",  # every product, one firewall; the first six are where plants are put
    "full",
    "full",
    "full",
    "full",
    "full",
    "converts_on_3rd",  # a trial that becomes monthly on the first 3rd of a month
    "cancelled_on_2nd",  # monthly until the 2nd of the second month
    "transferred",  # moves to another partner in the second month, three approvals
    "zero_usage",  # monthly, and nothing installed
    "closes",  # closed on the 10th of the second month
    "ha_pairs",  # an active-active and two active-passive pairs
    "utm9",  # UTM 9 boxes beside an SFOS one
    "silent_firewalls",  # licences whose boxes are quiet, to the day and for good
    "trial_then_monthly",  # on trial over one month end, monthly from the next 3rd
    "trial_lapses",  # a trial that ends without a sale
    "trial_runs",  # a trial still running at the second month's end
    "term_partner",  # term licences owned by the partner
    "term_customer",  # term licences owned by the customer
    "shared_device",  # one device, two users on the same last day
)
# The same for customers of `connect` partners; the rest of theirs, and all of msp_v1, are on term.
CONNECT_ROLES = ("term_partner", "term_customer", "trial_to_term", "trial_runs")
_SMALL = ("shared_device", "trial_runs", "trial_lapses")


@dataclass(frozen=True)
class Partner:
    partner_id: str
    name: str
    distributor: int
    country: str
    programme: str
    registered_on: int


@dataclass
class Customer:
    """A customer; days are day numbers, `service_*` bound the activity of its devices."""

    index: int
    customer_id: str
    name: str
    partner: int
    distributor: int
    role: str
    products: tuple[str, ...]
    weight: int
    joined_on: int
    service_from: int
    service_to: int = FAR
    closed_on: int = FAR
    moved_on: int = FAR  # from this day `moved_to` is its partner
    moved_to: int = -1
    devices: int = 0


@dataclass(frozen=True)
class Licence:
    """A licence; before `known_from` snapshots show `planned_end` as its end."""

    licence_id: str
    customer: int
    product: str
    licence_type: str
    starts_on: int
    ends_on: int = FAR
    owner: str = "partner"
    quantity: int | None = None
    serial: str | None = None
    planned_end: int = FAR
    known_from: int = -FAR
    shown_from: int = -FAR


@dataclass(frozen=True)
class Transfer:
    """A transfer with the days of its approvals: current partner, new partner, customer."""

    transfer_id: str
    customer: int
    from_partner: int
    to_partner: int
    effective_on: int
    approved_on: tuple[int, int, int]
    shown_from: int


@dataclass
class World:
    """Everything decided before the first day is written."""

    seeds: Seeds
    start: date
    seed: int
    partners: list[Partner] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    licences: list[Licence] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)

    @property
    def first_day(self) -> int:
        return day_number(self.start)

    def month_day(self, months_later: int, day: int) -> int:
        """Day number of a day (1 to 28) in the month so many months after the first day's."""
        month = self.start.year * 12 + self.start.month - 1 + months_later
        return day_number(date(month // 12, month % 12 + 1, day))

    def first_third(self) -> int:
        """The first 3rd of a month on or after the first day, as a month offset."""
        return 0 if self.start.day <= 3 else 1

    def draw(self, stream: str, counter: int, limit: int) -> int:
        return draw(self.seed, stream, counter) % limit

    def role(self, role: str, distributor: int) -> list[Customer]:
        return [c for c in self.customers if c.role == role and c.distributor == distributor]

    def device_offsets(self) -> tuple[list[Customer], Ints]:
        """Customers in device order (by distributor) and where each one's devices begin."""
        ordered = sorted(self.customers, key=lambda c: (c.distributor, c.index))
        sizes = np.array([0, *(c.devices for c in ordered)], dtype=np.int64)
        return ordered, np.cumsum(sizes)


def _programme(place: int, of: int, last_distributor: bool) -> str:
    """The last partner of each distributor is `connect`, one of the last `msp_v1`."""
    if of >= 3 and place == of - 1:
        return "connect"
    if last_distributor and of >= 4 and place == of - 2:
        return "msp_v1"
    return "connect_flex"


def _add_partners(world: World, count: int) -> None:
    homes = world.seeds.distributors
    taken: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for index in range(count):
        distributor = index % len(homes)
        place, of = index // len(homes), len(range(distributor, count, len(homes)))
        programme = _programme(place, of, distributor == len(homes) - 1)
        country = names.country(homes[distributor].country, world.seed, index // len(homes))
        registered = date(2014, 3, 1) if programme == "msp_v1" else date(2017, 1, 9)
        world.partners.append(
            Partner(
                partner_id=f"P{index + 1:04d}",
                name=names.distinct(
                    names.it_company(country, world.seed, index), taken[distributor]
                ),
                distributor=distributor,
                country=country,
                programme=programme,
                registered_on=day_number(registered) + world.draw("registered", index, 700),
            )
        )


def _products(world: World, index: int) -> tuple[str, ...]:
    chosen = ["EPADV" if world.draw("endpoint", index, 5) < 3 else "EPSTD"]
    chosen += [(), ("SVSTD",), ("SVADV",)][min(2, world.draw("server", index, 4))]
    mobile = [(), ("MOBCTL",), ("MOBSEC",), ("MOBCTL", "MOBSEC"), ()]
    chosen += mobile[world.draw("mobile", index, 5)]
    chosen += ["WEB"] if world.draw("web", index, 5) < 2 else []
    return tuple(chosen)


def _round(world: World, first: int) -> list[int]:
    """Customers go round the partners in blocks; this is the order of the block at `first`."""
    places = np.arange(first, first + len(world.partners), dtype=np.int64)
    return [int(place) for place in np.argsort(draws(world.seed, "round", places))]


def _add_customers(world: World, count: int) -> None:
    roles = [list(reversed(ROLES)) for _ in world.seeds.distributors]
    connect_roles = [list(reversed(CONNECT_ROLES)) for _ in world.seeds.distributors]
    order: list[int] = []
    taken: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for index in range(count):
        if index % len(world.partners) == 0:
            order = _round(world, index)
        partner = order[index % len(world.partners)]
        owner = world.partners[partner]
        role = "regular"
        if owner.programme == "connect" and connect_roles[owner.distributor]:
            role = connect_roles[owner.distributor].pop()
        elif owner.programme != "connect_flex":
            role = "term_partner" if world.draw("term owner", index, 2) else "term_customer"
        elif roles[owner.distributor]:
            role = roles[owner.distributor].pop()
        elif world.draw("newcomer", index, 20) == 0:
            role = "newcomer"
        home = world.seeds.distributors[owner.distributor].country
        country = names.country(home, world.seed, len(world.partners) + index)
        full = role in ("full", "transferred", "shared_device")
        size = world.draw("size", index, 1000)
        world.customers.append(
            Customer(
                index=index,
                customer_id=f"C{index + 1:06d}",
                name=names.distinct(
                    names.company(country, world.seed, "customer name", index),
                    taken[owner.distributor],
                ),
                partner=partner,
                distributor=owner.distributor,
                role=role,
                products=_ALL_DEVICE_PRODUCTS if full else _products(world, index),
                # A long tail: most customers small, a few forty times as large.
                weight=min(40_000, 1_000_000 // (size + 25)),
                joined_on=world.first_day - 800,
                service_from=world.first_day - 400 - world.draw("since", index, 400),
            )
        )


def _live(world: World, customer: Customer) -> None:
    """The dates in a customer's life that follow from its role."""
    role, index = customer.role, customer.index
    if role == "zero_usage":
        customer.weight = 0
    elif role in _SMALL:
        customer.weight = 3_000
    elif role == "full":
        customer.weight = 24_000 + world.draw("role size", index, 8_000)
    elif role != "regular":
        customer.weight = 6_000 + world.draw("role size", index, 6_000)
    third = world.first_third()
    starts = {
        "converts_on_3rd": world.month_day(third, 3) - 20,
        "trial_then_monthly": world.month_day(third + 1, 3) - 25,
        "trial_lapses": world.month_day(0, 12),
        "trial_to_term": world.month_day(0, 14),
        "trial_runs": world.month_day(1, 12),
        "newcomer": world.first_day + world.draw("newcomer day", index, 360),
    }
    if role in starts:
        customer.joined_on = customer.service_from = starts[role]
    if role == "cancelled_on_2nd":
        customer.service_to = world.month_day(1, 2)
    elif role == "trial_lapses":
        customer.service_to = world.month_day(1, 9)
    elif role == "trial_runs":
        customer.service_to = world.month_day(2, 9)
    elif role == "closes":
        customer.closed_on = world.month_day(1, 10)
        customer.service_to = customer.closed_on - 1


def _allot_devices(world: World, devices: int) -> None:
    """Share the devices out by weight, exactly: largest remainders get what is left over."""
    total = sum(customer.weight for customer in world.customers)
    if total == 0:
        raise ValueError("No customer can hold a device: ask for more customers.")
    remainders: list[tuple[int, int]] = []
    for customer in world.customers:
        customer.devices, rest = divmod(devices * customer.weight, total)
        remainders.append((-rest, customer.index))
    missing = devices - sum(customer.devices for customer in world.customers)
    for _, index in sorted(remainders)[:missing]:
        world.customers[index].devices += 1


def build_world(
    seeds: Seeds, start: date, *, partners: int, customers: int, devices: int, seed: int
) -> World:
    """Decide partners and customers. Raises ValueError when sizes or seeds cannot carry it."""
    if not seeds.distributors:
        raise ValueError("distributors.csv names no distributor to simulate: add one.")
    if partners < len(seeds.distributors):
        raise ValueError(f"Give at least {len(seeds.distributors)} partners: one per distributor.")
    if customers < partners or devices < 0:
        raise ValueError("Give at least as many customers as partners, and no negative devices.")
    unknown = [product for product in PRODUCTS if product not in seeds.billing_units]
    if unknown:
        raise ValueError(f"products.csv lacks {', '.join(unknown)}: add them or restore the file.")
    world = World(seeds, start, seed)
    _add_partners(world, partners)
    _add_customers(world, customers)
    for customer in world.customers:
        _live(world, customer)
    _allot_devices(world, devices)
    return world
