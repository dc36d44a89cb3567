"""The oracle: what a vendor should be billed, from its data and the numbered rules alone.

Plain Python, one object at a time, slow and obvious; it shares nothing with the product. Where the
rules allow more than one answer it gives them all, and the comparison accepts any of them.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property

from vendors import Distributor, Price, Row, Vendor

_DAY = timedelta(days=1)
MINOR_UNITS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
# A distributor's country goes with its currency, and a rate changes inside a month.
COUNTRIES = {"EUR": "NL", "USD": "US", "JPY": "JP", "KWD": "KW"}
# Country → first day, last day or None, category, rate in per cent, why none is charged.
TAX_RATES = {
    "NL": (
        (date(2020, 1, 1), date(2024, 1, 27), "S", "19", None),
        (date(2024, 1, 28), date(2026, 1, 27), "S", "21", None),
        (date(2026, 1, 28), None, "S", "20.5", None),
    ),
    "US": ((date(2020, 1, 1), None, "O", "0", "Outside"),),
    "JP": (
        (date(2020, 1, 1), date(2025, 10, 30), "S", "8", None),
        (date(2025, 10, 31), None, "S", "10", None),
    ),
    "KW": ((date(2020, 1, 1), None, "S", "5.125", None),),
}
FLEX, CONNECT = "connect_flex", "connect"
# Of the countries in these vendors the only one that may be billed: GB is excluded, `gb` and `UK`
# are no countries of ISO 3166-1.
SOLD_TO = "AT"
NO_PRODUCT = "firewall_unassigned"
KEYS = {
    "usage": ("customer_id", "product_code", "device_id", "user_id"),
    "heartbeat": ("customer_id", "serial_number"),
    "customers": ("customer_id",),
    "partners": ("partner_id",),
    "licences": ("licence_id", "customer_id"),
    "transfers": ("transfer_id",),
}


@dataclass(frozen=True)
class Policies:
    active_window_days: int = 30
    device_user_attribution: str = "latest"
    firewall_evidence: str = "sfos"
    replaced_hardware: str = "once"
    clock_skew_minutes: int = 10
    correction_periods: int = 3


STANDARD = Policies()


# --- R1, R2: periods and windows ------------------------------------------------------------------


def cutoff(distributor: Distributor, month: date) -> date | None:
    """R1: the version valid on the month's first day, or the first that begins in it, clamped to
    the month's end; none for a distributor that has not begun or has ended on that day.
    """
    last = month.replace(day=calendar.monthrange(month.year, month.month)[1])
    for since, until, day in sorted(distributor.cutoffs, key=lambda version: version[0]):
        if since <= last and (until is None or month <= until):
            found = last if day is None or day > last.day else last.replace(day=day)
            return found if _is_there(distributor, found) else None
    return None


def cutoffs(vendor: Vendor, month: date) -> dict[str, date]:
    """The cut-offs of the distributors that have a period in a month."""
    found = {one.id: cutoff(one, month) for one in vendor.distributors}
    return {name: day for name, day in found.items() if day is not None}


def _is_there(distributor: Distributor, day: date) -> bool:
    return any(
        since <= day and (until is None or day <= until) for since, until, _ in distributor.cutoffs
    )


def _day_of_version(distributor: Distributor, month: date) -> date:
    """The cut-off a month would have by the version that a later month has: calendar arithmetic."""
    later = (month + 31 * _DAY).replace(day=1)
    last = month.replace(day=calendar.monthrange(month.year, month.month)[1])
    end = later.replace(day=calendar.monthrange(later.year, later.month)[1])
    for since, until, day in sorted(distributor.cutoffs, key=lambda version: version[0]):
        if since <= end and (until is None or later <= until):
            return last if day is None or day > last.day else last.replace(day=day)
    raise AssertionError(f"{distributor.id} has no version in {later}")


def days(first: date, last: date) -> list[date]:
    return [first + n * _DAY for n in range((last - first).days + 1)]


# --- the files in force -------------------------------------------------------------------------


def accepted(rows: Sequence[Row], feed: str, day: date, policies: Policies) -> list[Row]:
    """Rows that count: none of the future (R3), repeats once, contradicting keys not at all."""
    moment = {"usage": "last_active_at", "heartbeat": "last_heartbeat_at"}.get(feed)
    limit = datetime.combine(day + _DAY, datetime.min.time()) + timedelta(
        minutes=policies.clock_skew_minutes
    )
    good = []
    for row in rows:
        if moment and datetime.fromisoformat(row[moment].rstrip("Z")) > limit:
            continue
        if row not in good:
            good.append(row)

    def key(row: Row) -> tuple[str | None, ...]:
        return tuple(row.get(name) for name in KEYS[feed])

    keys = [key(row) for row in good]
    return [row for row in good if keys.count(key(row)) == 1]


class Files:
    """The versions in force after a round: the last delivered of each slot, unless retracted."""

    def __init__(self, vendor: Vendor, after_round: int, policies: Policies) -> None:
        slots: dict[tuple[str, date, str], tuple[Row, ...] | None] = {}
        for file in sorted(vendor.files, key=lambda f: f.round):
            if file.round <= after_round:
                slots[file.feed, file.day, file.source] = file.rows
        taken = {
            slot: accepted(rows, slot[0], slot[1], policies)
            for slot, rows in slots.items()
            if rows is not None
        }
        # R3: rows were sent and none of them is good: as if no file had come.
        self.refused = {slot for slot, rows in taken.items() if slots[slot] and not rows}
        self.slots = {slot: rows for slot, rows in taken.items() if slot not in self.refused}

    def rows(self, feed: str) -> Iterator[tuple[date, str, Row]]:
        for (one, day, source), rows in self.slots.items():
            if one == feed:
                for row in rows:
                    yield day, source, row

    def days(self, feed: str, source: str) -> list[date]:
        return sorted(day for one, day, other in self.slots if (one, other) == (feed, source))


# --- R11: the registry on a day -------------------------------------------------------------------


class Registry:
    """What the registry said on each day, as far as snapshots up to `known_to` tell."""

    def __init__(self, files: Files, known_to: date) -> None:
        self.known_to = known_to
        self._files = files
        self._states: dict[tuple[str, date], dict[tuple[str | None, ...], Row]] = {}
        self._sources: dict[str, dict[str, list[date]]] = defaultdict(lambda: defaultdict(list))
        for feed, day, source in sorted(files.slots):
            if day <= known_to:
                self._sources[feed][source].append(day)
        told = [d for sources in self._sources.values() for ds in sources.values() for d in ds]
        self.begins = min(told, default=known_to) - _DAY  # before it, nothing ever differs

    def state(self, feed: str, day: date) -> dict[tuple[str | None, ...], Row]:
        if (feed, day) not in self._states:
            self._states[feed, day] = self._state(feed, day)
        return self._states[feed, day]

    def _state(self, feed: str, day: date) -> dict[tuple[str | None, ...], Row]:
        offers = []
        for source, dates in self._sources[feed].items():
            before = [d for d in dates if d <= day]
            chosen = before[-1] if before else dates[0]
            for row in self._files.slots[feed, chosen, source]:
                # A first snapshot carried back never overrides one that is of those days, and of
                # two carried back the earlier holds; else the later snapshot goes before the
                # earlier. Last, the smaller source name before others.
                nearness = chosen.toordinal() if before else -chosen.toordinal()
                offers.append((bool(before), nearness, (*(-ord(c) for c in source), 1), row))
        found: dict[tuple[str | None, ...], Row] = {}
        for _, _, _, row in sorted(offers, key=lambda offer: offer[:3]):
            found[tuple(row.get(name) for name in KEYS[feed])] = row
        return found

    def days(self, last: date | None = None) -> list[date]:
        return days(self.begins, last or self.known_to)

    @cached_property
    def customers(self) -> list[str]:
        seen = {key[0] for day in self.days() for key in self.state("customers", day)}
        return sorted(name for name in seen if name is not None)

    def partner_on(self, customer: str, day: date) -> str | None:
        """R14: a customer that vanished stays with its last partner."""
        for earlier in reversed(days(min(self.begins, day), day)):
            row = self.state("customers", earlier).get((customer,))
            if row:
                return row["partner_id"]
        return None

    @cached_property
    def _closed(self) -> dict[str, set[date]]:
        """R11: from the day after `closed` first appears, and from the first day it is gone."""
        found: dict[str, set[date]] = {}
        for customer in self.customers:
            shut: set[date] = set()
            seen, was_closed = False, False
            for n, day in enumerate(self.days()):
                row = self.state("customers", day).get((customer,))
                if row is None:
                    is_shut = seen
                elif row["status"] == "active":
                    is_shut = False
                else:  # `closed` first appears today: from tomorrow; if it always was, always
                    is_shut = was_closed or n == 0
                seen = seen or row is not None
                was_closed = is_shut or (row is not None and row["status"] == "closed")
                if is_shut:
                    shut.add(day)
            found[customer] = shut
        return found

    def is_closed(self, customer: str, day: date) -> bool:
        return max(day, self.begins) in self._closed.get(customer, ())

    def in_effect(self, day: date) -> list[Row]:
        """The licences in effect on a day."""
        return [
            row
            for row in self.state("licences", day).values()
            if row["starts_on"] <= str(day) <= row.get("ends_on", "9999-12-31")
            and not self.is_closed(row["customer_id"], day)
        ]

    def distributor_of(self, partner: str | None, day: date) -> str | None:
        row = self.state("partners", day).get((partner,))
        return row["distributor_id"] if row else None


# --- what the oracle says -------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """One user, device or firewall that was active for a customer."""

    customer: str
    kind: str
    id: str


@dataclass
class Line:
    quantity: int
    price: Decimal | None  # of one unit; None when graduated
    amount: Decimal | None  # None when no price, or more than one, holds
    shares: dict[str, tuple[int, Decimal | None]]


@dataclass
class Bill:
    """What one distributor is billed for one period, and why the rest is not.

    lines        (partner, product) → line; customers with nothing used stand in `shares` with 0
    billed       (customer, product, unit kind, unit id)
    not_billed   (customer, unit kind, unit id) → the (product, reason) pairs the rules allow
    may_say      the same for units the rules neither ask to list nor forbid
    blocking     (kind, partner) that must hold the distributor
    may_block    kinds that the rules neither ask for nor forbid
    doubtful     customers whose figures the rules leave open until somebody decides
    warnings     (kind, customer, product) → units, and what they are worth at list price
    in_month     (customer, product) → users or devices active in the calendar month up to the
                 cut-off, on days the customer was with the distributor
    nobodys      customer nobody is billed for → whether it is active, and what may be said of it
    """

    lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    zero: set[tuple[str, str, str]] = field(default_factory=set)
    billed: set[tuple[str, str, str, str]] = field(default_factory=set)
    not_billed: dict[tuple[str, str, str], set[tuple[str, str]]] = field(default_factory=dict)
    may_say: dict[tuple[str, str, str], set[tuple[str, str]]] = field(default_factory=dict)
    blocking: set[tuple[str, str | None]] = field(default_factory=set)
    may_block: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    warnings: dict[tuple[str, str, str], tuple[int, Decimal | None]] = field(default_factory=dict)
    in_month: dict[tuple[str, str], int] = field(default_factory=dict)
    nobodys: dict[str, tuple[bool, set[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A change of a customer's partner, first seen on `day`."""

    customer: str
    before: str
    after: str
    day: date
    approved: bool


class Month:
    """One distributor's period, as known after a round."""

    def __init__(
        self,
        vendor: Vendor,
        files: Files,
        month: date,
        distributor: Distributor,
        policies: Policies,
    ) -> None:
        self.vendor, self.files, self.month, self.policies = vendor, files, month, policies
        self.distributor = distributor
        self.cutoffs = cutoffs(vendor, month)
        self.cutoff = self.cutoffs[distributor.id]
        before = (month - _DAY).replace(day=1)
        self.starts_on = (
            cutoff(distributor, before) or _day_of_version(distributor, before)
        ) + _DAY
        self.window_starts_on = self.cutoff - _DAY * (policies.active_window_days - 1)
        self.registry = Registry(files, self.cutoff)
        self.units = {product.code: product.unit for product in vendor.products}
        self._distributors = {one.id: one for one in vendor.distributors}
        self.period_days = days(self.starts_on, self.cutoff)

    def in_window(self, day: date) -> bool:
        return self.window_starts_on <= day <= self.cutoff

    # --- R14: whose month it is

    def record(self, customer: str) -> tuple[str | None, str | None, date]:
        """(distributor, partner, the day it is read) of a customer's month."""
        last = self.month.replace(day=calendar.monthrange(self.month.year, self.month.month)[1])
        had = {
            self.registry.distributor_of(self.registry.partner_on(customer, day), day)
            for day in days(self.month, min(last, self.cutoff))
        }
        known = [self.cutoffs[d] for d in had if d in self.cutoffs]
        if not known:
            return None, None, self.cutoff
        read_on = min(known)
        partner = self.registry.partner_on(customer, read_on)
        if (
            read_on < self.cutoff
            and Registry(self.files, read_on).partner_on(customer, read_on) is None
        ):
            return None, None, self.cutoff  # R11: nobody knew it by the day that decides
        distributor = self.registry.distributor_of(partner, read_on)
        known_as = self._distributors.get(distributor or "")
        if distributor not in self.cutoffs or not known_as or not _is_there(known_as, read_on):
            return None, None, self.cutoff  # R10: not there, or not any more: nobody can be billed
        return distributor, partner, read_on

    @cached_property
    def records(self) -> dict[str, tuple[str | None, str | None, date]]:
        return {customer: self.record(customer) for customer in self.registry.customers}

    @cached_property
    def others_after(self) -> set[str]:
        """Customers that come to be its own only after the cut-off, and are another's this month.

        R14 looks at the calendar month, R11 not past the cut-off: to list them or not is left open.
        """
        last = self.month.replace(day=calendar.monthrange(self.month.year, self.month.month)[1])
        later = Month(self.vendor, self.files, self.month, self.distributor, self.policies)
        later.registry = Registry(self.files, last)
        found = set()
        for customer in later.registry.customers:
            had = {
                later.registry.distributor_of(later.registry.partner_on(customer, day), day)
                for day in days(self.month, last)
            }
            if self.distributor.id in had and had - {None, self.distributor.id}:
                found.add(customer)
        return found

    @cached_property
    def others(self) -> dict[str, str]:
        """Customers it had in the month that another distributor bills, with their partner here."""
        last = self.month.replace(day=calendar.monthrange(self.month.year, self.month.month)[1])
        found = {}
        for customer, (distributor, _, _) in self.records.items():
            if distributor not in (None, self.distributor.id):
                for day in days(self.month, min(last, self.cutoff)):
                    partner = self.registry.partner_on(customer, day)
                    if self.registry.distributor_of(partner, day) == self.distributor.id:
                        assert partner is not None
                        found[customer] = partner
        return found

    # --- R11: licences

    @cached_property
    def licence_types(self) -> dict[tuple[str, str], set[str]]:
        """(customer, product) → the types in effect on any day of the period."""
        found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for day in self.period_days:
            for row in self.registry.in_effect(day):
                found[row["customer_id"], row["product_code"]].add(row["licence_type"])
        return found

    # --- R5, R6, R8: users and devices

    @cached_property
    def active_devices(self) -> dict[tuple[str, str], dict[tuple[str, str], set[date]]]:
        """(product, device) → the days it was active by (customer, user)."""
        active: defaultdict[tuple[str, str], dict[tuple[str, str], set[date]]] = defaultdict(
            lambda: defaultdict(set)
        )
        for _, _, row in self.files.rows("usage"):
            day = date.fromisoformat(row["last_active_at"][:10])
            if self.in_window(day) and self.units.get(row["product_code"]) != "firewall":
                active[row["product_code"], row["device_id"]][
                    row["customer_id"], row.get("user_id", "")
                ].add(day)
        return dict(active)

    @staticmethod
    def at_customers(told: Mapping[tuple[str, str], set[date]]) -> list[str]:
        """R8: the customers of a device's latest active date; it counts for the first of them."""
        last = max(max(seen) for seen in told.values())
        found = {customer for (customer, _), seen in told.items() if last in seen}
        return sorted(found, key=str.encode)

    def units_of(self, product: str, device: str, customer: str) -> set[Unit]:
        """R6: what a device counts as, were it the customer's."""
        told = self.active_devices[product, device]
        named = {u: max(seen) for (c, u), seen in told.items() if c == customer and u}
        if self.units.get(product, "user") == "device" or not named:
            return {Unit(customer, "device", device)}
        if self.policies.device_user_attribution == "any":
            return {Unit(customer, "user", u) for u in named}
        user = min(named, key=lambda u: (-named[u].toordinal(), u.encode()))
        return {Unit(customer, "user", user)}

    def usage_units(self) -> dict[tuple[str, str], set[Unit]]:
        """(customer, product) → its active users, or devices."""
        found: defaultdict[tuple[str, str], set[Unit]] = defaultdict(set)
        for (product, device), told in self.active_devices.items():
            customer = self.at_customers(told)[0]
            found[customer, product] |= self.units_of(product, device, customer)
        return found

    def units_in_month(self) -> dict[tuple[str, str], int]:
        """R2, R14: the coverage of the calendar month, up to the cut-off, of its own customers."""
        whole = Month(self.vendor, self.files, self.month, self.distributor, self.policies)
        whole.window_starts_on = self.month
        found: defaultdict[tuple[str, str], set[Unit]] = defaultdict(set)
        for (product, device), told in whole.active_devices.items():
            customer = self.at_customers(told)[0]
            for unit in whole.units_of(product, device, customer):
                is_shared = self.policies.device_user_attribution == "any" and unit.kind == "user"
                seen = {
                    day
                    for (c, user), days_of in told.items()
                    for day in days_of
                    if c == customer and (not is_shared or user == unit.id)
                }
                partners = {day: self.registry.partner_on(customer, day) for day in seen}
                if any(
                    self.registry.distributor_of(partner, day) == self.distributor.id
                    for day, partner in partners.items()
                ):
                    found[customer, product].add(unit)
        return {key: len(units) for key, units in found.items()}

    def at_two_customers(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(customer, product) → devices that are at another one on the same latest date, and the
        units that count there, or would, through such devices only.
        """
        devices: defaultdict[tuple[str, str], int] = defaultdict(int)
        units: defaultdict[tuple[str, str], set[Unit]] = defaultdict(set)
        anyway: defaultdict[tuple[str, str], set[Unit]] = defaultdict(set)
        for (product, device), told in self.active_devices.items():
            first, *others = self.at_customers(told)
            if not others:
                anyway[first, product] |= self.units_of(product, device, first)
            for customer in [first, *others] if others else ():
                devices[customer, product] += 1
                units[customer, product] |= self.units_of(product, device, customer)
        return {key: (count, len(units[key] - anyway[key])) for key, count in devices.items()}

    # --- R9, R10: firewalls

    def _heard(self) -> tuple[dict[str, tuple[date, Row]], set[str]]:
        """serial → the date and row of the heartbeat that describes it; which run SFOS."""
        heard: defaultdict[str, list[tuple[datetime, Row]]] = defaultdict(list)
        for _, _, row in self.files.rows("heartbeat"):
            moment = datetime.fromisoformat(row["last_heartbeat_at"].rstrip("Z"))
            if self.in_window(moment.date()):
                heard[row["serial_number"]].append((moment, row))
        described, sfos = {}, set()
        for serial, told in heard.items():
            if self.policies.firewall_evidence == "sfos":
                # "read trimmed, in any case, by prefix"; sent as another system is no evidence
                evidence = [
                    one
                    for one in told
                    if one[1]["operating_system"].strip(" ").lower().startswith("sfos")
                ]
            else:
                last = max(told, key=lambda one: one[0])
                evidence = [last] if last[1]["operating_system"] == "SFOS" else []
            if evidence:
                sfos.add(serial)
            moment, row = max(evidence or told, key=lambda one: one[0])
            described[serial] = (moment.date(), row)
        return described, sfos

    def usage_of_firewalls(self) -> dict[tuple[str, str], set[str]]:
        """(customer, product) → the devices whose usage names a product counted by firewall."""
        found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for _, _, row in self.files.rows("usage"):
            day = date.fromisoformat(row["last_active_at"][:10])
            if self.in_window(day) and self.units.get(row["product_code"]) == "firewall":
                found[row["customer_id"], row["product_code"]].add(row["device_id"])
        return found

    def firewall_units(
        self,
    ) -> tuple[set[tuple[str, Unit]], dict[Unit, set[tuple[str, str]]]]:
        """({(product, unit)} under a monthly licence, the others with what may be said)."""
        latest, sfos = self._heard()
        claims, replaced, others = self._claims(sfos)
        counted: set[tuple[str, Unit]] = set()
        rest: dict[Unit, set[tuple[str, str]]] = {}
        clusters: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for serial, (_, row) in sorted(latest.items()):
            held = claims.get(serial, set()) | replaced.get(serial, set())
            unit = Unit(row["customer_id"], "firewall", serial)
            if serial not in sfos:
                products = {p for _, p in held} | {p for _, p, _ in others.get(serial, ())}
                for customer in {c for c, _ in held} or {unit.customer}:
                    rest[Unit(customer, "firewall", serial)] = {
                        (p, "not_sfos") for p in products | {NO_PRODUCT}
                    }
            elif row.get("cluster_id") and row.get("cluster_mode") == "active-passive":
                clusters[row["customer_id"], row["cluster_id"]].append(serial)
            else:
                for customer, product in claims.get(serial, ()):
                    counted.add((product, Unit(customer, "firewall", serial)))
                if not claims.get(serial):
                    self._say_why(rest, serial, unit, replaced, others)
        for (_, _), members in clusters.items():
            chosen_products = set()
            for product in sorted({p for s in members for _, p in claims.get(s, ())}):
                licensed = [s for s in members if any(p == product for _, p in claims.get(s, ()))]
                best = min(licensed, key=lambda s: (-latest[s][0].toordinal(), s.encode()))
                chosen_products.add(product)
                for serial in licensed:
                    for customer, p in claims[serial]:
                        if p == product and serial == best:
                            counted.add((product, Unit(customer, "firewall", serial)))
                        elif p == product:
                            unit = Unit(customer, "firewall", serial)
                            rest.setdefault(unit, set()).add((product, "ha_member"))
            for serial in members:
                if not claims.get(serial):
                    unit = Unit(latest[serial][1]["customer_id"], "firewall", serial)
                    if chosen_products and serial not in replaced:
                        rest[unit] = {(p, "ha_member") for p in chosen_products | {NO_PRODUCT}}
                        rest[unit] |= {(p, "ha_member") for _, p, _ in others.get(serial, ())}
                    else:
                        self._say_why(rest, serial, unit, replaced, others)
        return counted, rest

    def _say_why(
        self,
        rest: dict[Unit, set[tuple[str, str]]],
        serial: str,
        unit: Unit,
        replaced: Mapping[str, set[tuple[str, str]]],
        others: Mapping[str, set[tuple[str, str, str]]],
    ) -> None:
        """Why an active SFOS firewall that no monthly licence covers is not billed."""
        for customer, product in replaced.get(serial, ()):
            was = Unit(customer, "firewall", serial)
            rest.setdefault(was, set()).add((product, "replaced_hardware"))
        if serial not in replaced:
            rest[unit] = self._without_claim(serial, others)

    @staticmethod
    def _without_claim(
        serial: str, others: Mapping[str, set[tuple[str, str, str]]]
    ) -> set[tuple[str, str]]:
        """R10 says unlicensed, R11 says trial or term: the rulebook does not choose."""
        found = {(product, kind) for _, product, kind in others.get(serial, ())}
        return found | {(NO_PRODUCT, "unlicensed")}

    def _claims(
        self, active: set[str]
    ) -> tuple[
        dict[str, set[tuple[str, str]]],
        dict[str, set[tuple[str, str]]],
        dict[str, set[tuple[str, str, str]]],
    ]:
        """serial → (customer, product) of the monthly licences that count; of serials all of whose
        licences cover another one; others with type.
        """
        held: defaultdict[str, dict[tuple[str, str, str], set[date]]] = defaultdict(
            lambda: defaultdict(set)
        )
        others: defaultdict[str, set[tuple[str, str, str]]] = defaultdict(set)
        for day in self.period_days:
            for row in self.registry.in_effect(day):
                serial = row.get("serial_number")
                if serial and self.units.get(row["product_code"]) == "firewall":
                    if row["licence_type"] == "monthly":
                        key = row["licence_id"], row["customer_id"], row["product_code"]
                        held[serial][key].add(day)
                    else:
                        others[serial].add(
                            (row["customer_id"], row["product_code"], row["licence_type"])
                        )
        elsewhere = self._covering_others(held, active)
        claims: dict[str, set[tuple[str, str]]] = {}
        replaced: dict[str, set[tuple[str, str]]] = {}
        for serial, licences in held.items():
            overlapping = {
                a for a in licences for b in licences if a != b and licences[a] & licences[b]
            }
            latest = max(licences, key=lambda key: (max(licences[key]), key))
            if latest in overlapping or not overlapping:
                keep = {latest} | {a for a in overlapping if licences[a] & licences[latest]}
            else:
                keep = {latest}
            here = {key for key in keep if key[0] not in elsewhere.get(serial, ())}
            found = {(customer, product) for _, customer, product in here or keep}
            (claims if here else replaced)[serial] = found
        return claims, replaced, dict(others)

    def _covering_others(
        self, held: Mapping[str, Mapping[tuple[str, str, str], set[date]]], active: set[str]
    ) -> dict[str, set[str]]:
        """serial → the licences it had in the period that cover a later, active one."""
        if self.policies.replaced_hardware == "each":
            return {}
        of_licence: defaultdict[str, defaultdict[str, set[date]]] = defaultdict(
            lambda: defaultdict(set)
        )
        for serial, licences in held.items():
            for (licence, _, _), on_days in licences.items():
                of_licence[licence][serial] |= on_days
        found: defaultdict[str, set[str]] = defaultdict(set)
        for licence, serials in of_licence.items():
            for serial, on_days in serials.items():
                later = [
                    other
                    for other in serials
                    if max(serials[other]) > max(on_days) and not serials[other] & on_days
                ]
                if set(later) & active:
                    found[serial].add(licence)
        return dict(found)

    # --- R15, R16: what keeps a partner's units from being billed

    def obstacles(self, partner: str | None, read_on: date) -> set[str]:
        row = self.registry.state("partners", read_on).get((partner,))
        if row is None:
            return {"unknown_partner"}
        found = set()
        if row["programme"] == CONNECT:
            found.add("outside_flex")
        elif row["programme"] != FLEX:
            found.add("legacy_programme")
        if row["country"] != SOLD_TO:
            found.add("excluded_territory")
        if row.get("parent_partner_id"):
            found.add("partner_resale")
        return found

    # --- R14: transfers

    def changes(self, customer: str, known_to: date) -> list[Change]:
        registry = Registry(self.files, known_to)
        found = []
        previous: str | None = None
        for day in registry.days():
            now = registry.partner_on(customer, day)
            if previous is not None and now is not None and now != previous:
                approved = any(
                    (row["customer_id"], row["from_partner_id"], row["to_partner_id"])
                    == (customer, previous, now)
                    and all(
                        row.get(name) and row[name] <= str(known_to)
                        for name in (
                            "current_partner_approved_on",
                            "new_partner_approved_on",
                            "customer_approved_on",
                        )
                    )
                    for row in registry.state("transfers", known_to).values()
                )
                found.append(Change(customer, previous, now, day, approved))
            previous = now or previous
        return found

    def unapproved(self) -> list[Change]:
        """The changes of partner that block this distributor's month."""
        found = []
        latest = max(self.cutoffs.values())
        everything = Registry(self.files, latest)
        for customer in everything.customers:
            case: Change | None = None
            for change in self.changes(customer, latest):
                sides = {
                    everything.distributor_of(change.before, change.day),
                    everything.distributor_of(change.after, change.day),
                }
                until = max((self.cutoffs[d] for d in sides if d in self.cutoffs), default=date.min)
                if change.day > until:
                    continue
                # As known on that day: what only a later snapshot says does not touch the month.
                known = [
                    c
                    for c in self.changes(customer, until)
                    if (c.day, c.before, c.after) == (change.day, change.before, change.after)
                ]
                if any(c.approved for c in known):
                    case = None
                elif case is None and known:
                    case = known[0]
            if case is not None:
                sides = {
                    everything.distributor_of(case.before, case.day),
                    everything.distributor_of(case.after, case.day),
                }
                if self.distributor.id in sides:
                    found.append(case)
        return found

    # --- R3: holes

    def has_hole(self, anybody: bool = False) -> bool:
        """Whether a hole concerns it; with `anybody`, whomever the hole concerns.

        The source concerns "the distributors whose customers it has shown": surely those whose
        month these customers are in; whether those they were with in another month, is left open.
        """
        for expected in self.vendor.expected:
            wanted = {
                day
                for day in days(self.window_starts_on, self.cutoff)
                if expected.valid_from <= day
                and (expected.valid_to is None or day <= expected.valid_to)
            }
            got = self.files.days(expected.feed, expected.source)
            got = [day for day in got if day <= self.cutoff]
            if any(not [d for d in got if d >= day] for day in wanted) and (
                anybody or self._is_concerned(expected.feed, expected.source)
            ):
                return True
        for feed, day, source in self.files.refused:
            if feed in ("usage", "heartbeat") and self.in_window(day):
                healed = any(day < d <= self.cutoff for d in self.files.days(feed, source))
                if not healed and (anybody or self._is_concerned(feed, source, False)):
                    return True
        return False

    def _is_concerned(self, feed: str, source: str, when_unshown: bool = True) -> bool:
        shown = {row["customer_id"] for _, other, row in self.files.rows(feed) if other == source}
        if not shown & set(self.registry.customers):
            return when_unshown
        return any(self.records[c][0] == self.distributor.id for c in shown if c in self.records)

    # --- the bill

    def bill(self) -> Bill:
        bill = Bill()
        usage = self.usage_units()
        firewalls, unlicensed_firewalls = self.firewall_units()
        quantities: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(
            lambda: defaultdict(int)
        )

        def settle(product: str, unit: Unit, licence: set[tuple[str, str]]) -> None:
            """Bill a unit, or say why not. `licence`: reasons that lie in the licence, if any."""
            key = (unit.customer, unit.kind, unit.id)
            if unit.customer in self.others_after:
                bill.may_say.setdefault(key, set()).update(
                    (p, "other_partner_of_record") for p in {product, NO_PRODUCT}
                )
            if unit.customer not in self.records:
                return  # nobody knows the customer: no distributor's
            distributor, partner, read_on = self.records[unit.customer]
            if distributor != self.distributor.id:
                if unit.customer in self.others:
                    reasons = {(p, "other_partner_of_record") for p in {product, NO_PRODUCT}}
                    bill.not_billed.setdefault(key, set()).update(reasons)
                return
            obstacles = {(product, reason) for reason in self.obstacles(partner, read_on)}
            if product not in self.units and product != NO_PRODUCT:
                licence = licence | {(product, "unknown_product")}
            if licence or obstacles:
                bill.not_billed.setdefault(key, set()).update(licence | obstacles)
                return
            assert partner is not None
            bill.billed.add((unit.customer, product, unit.kind, unit.id))
            quantities[partner, product][unit.customer] += 1

        for (customer, product), units in usage.items():
            types = self.licence_types.get((customer, product), set())
            why: set[tuple[str, str]] = set()
            if "monthly" not in types:  # R11: monthly before term before trial
                kind = "term" if "term" in types else "trial" if "trial" in types else "unlicensed"
                why = {(product, kind)}
            for unit in units:
                settle(product, unit, why)
        for product, unit in sorted(firewalls, key=str):
            settle(product, unit, set())
        for unit, reasons in unlicensed_firewalls.items():
            settle(NO_PRODUCT, unit, reasons)

        self._warn(bill)
        bill.in_month = self.units_in_month()
        self._hold(bill)
        for (customer, product), types in self.licence_types.items():
            distributor, partner, read_on = self.records.get(customer, (None, None, self.cutoff))
            if distributor != self.distributor.id or product not in self.units:
                continue
            assert partner is not None
            obstacles = self.obstacles(partner, read_on)
            if "monthly" in types and not obstacles:
                quantities[partner, product].setdefault(customer, 0)
            if "monthly" in types and "outside_flex" in obstacles:
                bill.blocking.add(("monthly_outside_flex", partner))
        for (partner, product), of_customers in quantities.items():
            units_used = sum(of_customers.values())
            bill.zero |= {(partner, product, c) for c, n in of_customers.items() if not n}
            if units_used:
                line = self.priced(product, dict(of_customers))
                bill.lines[partner, product] = line
                if line.amount is None:
                    prices = len(self.prices(product))
                    bill.blocking.add(("price_ambiguous" if prices else "price_missing", None))
        return bill

    def _warn(self, bill: Bill) -> None:
        def warn(kind: str, customer: str, product: str, units: int, billable: int) -> None:
            distributor, _, _ = self.records.get(customer, (None, None, self.cutoff))
            if distributor == self.distributor.id:
                price = self.list_price(product)
                minor = Decimal(1).scaleb(-MINOR_UNITS[self.distributor.currency])
                # Nothing is worth 0 without a price too.
                stake = (price or Decimal(0)) * billable if price or not billable else None
                stake = stake and stake.quantize(minor, ROUND_HALF_UP)
                bill.warnings[kind, customer, product] = units, stake

        for (customer, product), devices in self.usage_of_firewalls().items():
            warn("usage_of_firewall_product", customer, product, len(devices), len(devices))
        for (customer, product), (count, units) in self.at_two_customers().items():
            _, partner, read_on = self.records.get(customer, (None, None, self.cutoff))
            is_monthly = "monthly" in self.licence_types.get((customer, product), set())
            bills = is_monthly and not self.obstacles(partner, read_on)
            warn("device_at_two_customers", customer, product, count, units if bills else 0)

        active = {customer for customer, _ in self.usage_units()}
        named = {row["customer_id"] for _, _, row in self.files.rows("usage")}
        for customer in named | set(self.registry.customers):
            if self.records.get(customer, (None, None, self.cutoff))[0] is None:
                bill.nobodys[customer] = customer in active, self.said_of_nobodys(customer)

    def said_of_nobodys(self, customer: str) -> set[str]:
        """R10: whether it is unknown, or only its partner or distributor, as the cut-off knows.

        Between the earliest cut-off and the month's end either may be right.
        """
        last = self.month.replace(day=calendar.monthrange(self.month.year, self.month.month)[1])
        cutoffs = [cutoff(one, self.month) for one in self.vendor.distributors]
        first = min((day for day in cutoffs if day), default=last)
        if customer in Registry(self.files, first).customers:
            return {"unknown_partner"}
        if customer in Registry(self.files, last).customers:
            return {"unknown_partner", "orphan_usage"}
        return {"orphan_usage"}

    def _hold(self, bill: Bill) -> None:
        for change in self.unapproved():
            bill.blocking.add(("unapproved_transfer", None))
            bill.doubtful.add(change.customer)
        if self.has_hole():
            bill.blocking.add(("missing_file", None))
        if self.has_hole(anybody=True):
            bill.may_block.add("missing_file")
        for customer, (distributor, partner, read_on) in self.records.items():
            if distributor != self.distributor.id:
                continue
            for kind in self.obstacles(partner, read_on) & {"excluded_territory", "partner_resale"}:
                types = {
                    t for (c, _), ts in self.licence_types.items() if c == customer for t in ts
                }
                if "monthly" in types:
                    bill.blocking.add((kind, partner))
                else:
                    bill.may_block.add(kind)
        for partner in self.vendor_partners():
            if self.registry.distributor_of(partner, self.cutoff) == self.distributor.id:
                bill.may_block |= self.obstacles(partner, self.cutoff)

    def vendor_partners(self) -> set[str]:
        return {row["partner_id"] for _, _, row in self.files.rows("partners")}

    # --- R17, R18, R19: money

    def prices(self, product: str) -> list[Price]:
        return [
            price
            for price in self.vendor.prices
            if (price.product, price.currency) == (product, self.distributor.currency)
            and price.valid_from <= self.cutoff
            and (price.valid_to is None or self.cutoff <= price.valid_to)
        ]

    def list_price(self, product: str) -> Decimal | None:
        """The first band's price; of two versions the lower."""
        found = [
            Decimal(each)
            for price in self.prices(product)
            for low, _, each in price.bands
            if low == 1
        ]
        return min(found, default=None)

    def priced(self, product: str, quantities: dict[str, int]) -> Line:
        used = {customer: n for customer, n in quantities.items() if n}
        total = sum(used.values())
        prices = self.prices(product)
        if len(prices) != 1:
            return Line(total, None, None, {c: (n, None) for c, n in used.items()})
        price = prices[0]
        unit_price: Decimal | None = None
        exact = Decimal(0)
        if price.model == "volume":
            unit_price = next(
                Decimal(each)
                for low, high, each in price.bands
                if low <= total and (high is None or total <= high)
            )
            exact = unit_price * total
        else:
            for low, high, each in price.bands:
                inside = min(total, high or total) - low + 1
                exact += Decimal(each) * max(0, inside)
        minor = Decimal(1).scaleb(-MINOR_UNITS[self.distributor.currency])
        amount = exact.quantize(minor, ROUND_HALF_UP)
        shares = largest_remainder(amount, minor, used)
        return Line(total, unit_price, amount, {c: (n, shares[c]) for c, n in used.items()})


def tax(
    currency: str, cutoff: date, net: Decimal
) -> tuple[str, Decimal, Decimal, Decimal, Decimal]:
    """R20: category, rate, what is taxed, the tax (rounded once), and both together."""
    (found,) = (
        (category, Decimal(rate))
        for since, until, category, rate, _ in TAX_RATES[COUNTRIES[currency]]
        if since <= cutoff and (until is None or cutoff <= until)
    )
    category, rate = found
    minor = Decimal(1).scaleb(-MINOR_UNITS[currency])
    amount = (net * rate / 100).quantize(minor, ROUND_HALF_UP)
    return category, rate, net, amount, net + amount


def largest_remainder(
    amount: Decimal, minor: Decimal, weights: Mapping[str, int]
) -> dict[str, Decimal]:
    """R17: minor units in proportion to the weights; what is left goes to the largest rests."""
    pieces = int(amount / minor)
    total = sum(weights.values())
    shares = {name: pieces * weight // total for name, weight in weights.items()}
    rests = {name: pieces * weight % total for name, weight in weights.items()}
    left = pieces - sum(shares.values())
    for name in sorted(weights, key=lambda n: (-rests[n], n.encode()))[:left]:
        shares[name] += 1
    return {name: minor * share for name, share in shares.items()}


def bills(
    vendor: Vendor, after_round: int, policies: Policies, months: Iterable[date] | None = None
) -> dict[tuple[str, str], Bill]:
    """(period, distributor) → bill, for the months asked for, as known after a round."""
    files = Files(vendor, after_round, policies)
    vendor = replace(vendor, prices=vendor.prices_in(after_round))
    return {
        (f"{month:%Y-%m}", distributor.id): Month(
            vendor, files, month, distributor, policies
        ).bill()
        for month in (vendor.months if months is None else months)
        for distributor in vendor.distributors
        if distributor.id in cutoffs(vendor, month)
    }
