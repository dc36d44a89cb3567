"""Firewalls: boxes, clusters and their licences, the heartbeat rows of a day, and their count.

When a box was last heard is `activity`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ingest.simulate.activity import FIREWALL, Lives, last_active_day, microseconds
from ingest.simulate.hashing import Flags, Ints, draws, mix_one, salt
from ingest.simulate.references import FAR
from ingest.simulate.usage import WINDOW
from ingest.simulate.world import FIREWALL_PRODUCTS, PRODUCTS, Customer, Licence, World

_LISTED_AFTER_LEAVING = 45
_MODELS = ((110, "MF-110"), (210, "MF-210w"), (450, "MF-450"), (540, "MF-540"), (4600, "MF-V4C6"))


@dataclass
class Firewall:
    """One box; `product` is what a monthly licence covers from `licensed_from` on."""

    serial: str
    model: str
    customer: int
    joined: int
    product: str | None = None
    licensed_from: int = FAR
    left: int = FAR
    idle_from: int = FAR
    idle_to: int = FAR
    operating_system: str = "SFOS"
    cluster: str | None = None
    mode: str | None = None
    role: str | None = None


class FirewallFleet:
    """All firewalls of a world; building it adds their licences to the world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.firewalls: list[Firewall] = []
        self._serials = 0
        for customer in world.customers:
            self._equip(customer)

    def serial(self, customer: int, stream: str = "model") -> tuple[str, str]:
        """A new serial number and its model; no two are equal."""
        number = self._serials
        self._serials += 1
        prefix, model = _MODELS[self._world.draw(stream, customer + 7 * number, len(_MODELS))]
        # An odd multiplier modulo 2**32 is a bijection: serials stay distinct.
        low = (number * 0x9E3779B1 + salt(self._world.seed, "serial")) & 0xFFFFFFFF
        return f"S{prefix:04d}{low:08X}", model

    def add(self, customer: Customer, product: str | None, joined: int, **more: object) -> Firewall:
        """Add a box, with a monthly licence from the day it joins when a product is given."""
        serial, model = self.serial(customer.index)
        firewall = Firewall(serial, model, customer.index, joined, product=product)
        for name, value in more.items():
            setattr(firewall, name, value)
        self.firewalls.append(firewall)
        if product is not None:
            firewall.licensed_from = joined
            self.license(customer, serial, product, joined)
        return firewall

    def license(self, customer: Customer, serial: str, product: str, starts_on: int) -> None:
        """A zero-cost billing licence of type monthly on a serial (R9)."""
        self._world.licences.append(
            Licence(
                licence_id=f"L{customer.index + 1:06d}-{product}-{serial}",
                customer=customer.index,
                product=product,
                licence_type="monthly",
                starts_on=starts_on,
                serial=serial,
                shown_from=starts_on,
            )
        )

    def _equip(self, customer: Customer) -> None:
        world, role = self._world, customer.role
        since = world.first_day - 300
        product = FIREWALL_PRODUCTS[world.draw("firewall product", customer.index, 2)]
        if role == "full":
            self.add(customer, product, since)
        elif role == "ha_pairs":
            self._pair(customer, "active-active", (True, True))
            self._pair(customer, "active-passive", (True, True))
            self._pair(customer, "active-passive", (False, True))
        elif role == "utm9":
            self.add(customer, product, since)
            for _ in range(2):
                self.add(customer, None, since, operating_system="UTM 9")
        elif role == "silent_firewalls":
            self._silent(customer)
        elif role == "regular":
            for _ in range((0, 0, 0, 1, 1, 1, 2, 3)[world.draw("boxes", customer.index, 8)]):
                self._ordinary(customer)

    def _ordinary(self, customer: Customer) -> None:
        world, counter = self._world, len(self.firewalls)
        product = FIREWALL_PRODUCTS[world.draw("box product", counter, 2)]
        joined = world.first_day - 300 + world.draw("box joins", counter, 200)
        if world.draw("box is new", counter, 12) == 0:
            joined = world.first_day + world.draw("box joins", counter, 200)
        firewall = self.add(customer, product, joined)
        if world.draw("box idles", counter, 25) == 0:
            firewall.idle_from = world.first_day + world.draw("box idle day", counter, 60)
            firewall.idle_to = firewall.idle_from + 50

    def _pair(self, customer: Customer, mode: str, licensed: tuple[bool, bool]) -> None:
        word = mix_one(len(self.firewalls) + salt(self._world.seed, "cluster"))
        for place, is_licensed in enumerate(licensed):
            self.add(
                customer,
                "FWFULL" if is_licensed else None,
                self._world.first_day - 250,
                cluster=f"HA-{word >> 32:08x}",
                mode=mode,
                role=("primary", "auxiliary")[place],
            )

    def _silent(self, customer: Customer) -> None:
        """Last heard on the window's first day and the day before it, long ago, and never."""
        world = self._world
        month = world.month_day(1, 1)
        first = world.start.year * 12 + world.start.month
        distributor = world.seeds.distributors[customer.distributor]
        cutoff = month + distributor.cutoff(first // 12, first % 12 + 1).day - 1
        for last in (cutoff - WINDOW + 1, cutoff - WINDOW, world.first_day - 60):
            firewall = self.add(customer, "FWENT", world.first_day - 300)
            firewall.idle_from = last + 1
        self.license(customer, self.serial(customer.index)[0], "FWFULL", world.first_day - 90)

    def ready(self) -> FirewallRows:
        """The fleet as arrays; boxes added later are not in it."""
        return FirewallRows(self._world, self.firewalls)


class FirewallRows:
    """Heartbeat rows and counts from a finished fleet."""

    def __init__(self, world: World, firewalls: list[Firewall]) -> None:
        def days(name: str) -> Ints:
            return np.array([getattr(box, name) for box in firewalls], dtype=np.int64)

        counters = np.arange(len(firewalls), dtype=np.int64)
        self._lives = Lives(
            words=draws(world.seed, "heartbeat", counters),
            kind=np.full(len(firewalls), FIREWALL, dtype=np.int64),
            joined=days("joined"),
            left=days("left"),
            idle_from=days("idle_from"),
            idle_to=days("idle_to"),
            sure=np.full(len(firewalls), FAR, dtype=np.int64),
        )
        self._customer = days("customer")
        self._licensed_from = days("licensed_from")
        self._distributor = np.array(
            [world.customers[box.customer].distributor for box in firewalls], dtype=np.int64
        )
        # What counts once: a box by itself, an active-passive pair together (R9).
        units: dict[str, int] = {}
        self._unit = np.array(
            [
                units.setdefault(
                    (box.cluster or "") if box.mode == "active-passive" else box.serial, len(units)
                )
                for box in firewalls
            ],
            dtype=np.int64,
        )
        self._units = len(units)
        self._product = np.array(
            [PRODUCTS.index(box.product) if box.product else -1 for box in firewalls],
            dtype=np.int64,
        )
        sfos = [box.operating_system == "SFOS" for box in firewalls]
        self._sfos = np.array(sfos, dtype=np.bool_)
        self._static = pl.DataFrame(
            {
                "customer_id": [world.customers[box.customer].customer_id for box in firewalls],
                "serial_number": [box.serial for box in firewalls],
                "model": [box.model for box in firewalls],
                "operating_system": [box.operating_system for box in firewalls],
                "firmware_version": ["21.0.1" if new else "9.723" for new in sfos],
                "cluster_id": [box.cluster for box in firewalls],
                "cluster_mode": [box.mode for box in firewalls],
                "cluster_role": [box.role for box in firewalls],
            },
            schema=dict.fromkeys(
                (
                    "customer_id",
                    "serial_number",
                    "model",
                    "operating_system",
                    "firmware_version",
                    "cluster_id",
                    "cluster_mode",
                    "cluster_role",
                ),
                pl.String,
            ),
        )

    def _listed(self, day: int) -> Flags:
        lives = self._lives
        return (lives.joined <= day) & (day <= lives.left + _LISTED_AFTER_LEAVING)

    def frame(self, day: int, distributors: list[int]) -> pl.DataFrame:
        """The heartbeat rows of some distributors' customers on a day."""
        place = np.flatnonzero(self._listed(day) & np.isin(self._distributor, distributors))
        lives = self._lives.take(place)
        times = microseconds(lives, last_active_day(lives, np.full(place.size, day)))
        return self._static[place].select(
            pl.Series("snapshot_date", np.full(place.size, day, dtype=np.int32)).cast(pl.Date),
            pl.all(),
            pl.Series("last_heartbeat_at", times).cast(pl.Datetime("us", "UTC")),
        )

    def count(self, day: int, counts: Ints) -> None:
        """Add the firewalls the portal counts on a day to counts[customer, product] (R9)."""
        place = np.flatnonzero(self._listed(day) & self._sfos)
        lives = self._lives.take(place)
        heard = last_active_day(lives, np.full(place.size, day)) > day - WINDOW
        active = np.zeros(self._units, dtype=np.bool_)
        active[self._unit[place[heard]]] = True
        licensed = np.flatnonzero(self._licensed_from <= day)
        keys, first = np.unique(self._unit[licensed], return_index=True)
        box = licensed[first[active[keys]]]
        np.add.at(counts, (self._customer[box], self._product[box]), 1)
