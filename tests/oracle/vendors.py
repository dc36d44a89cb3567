"""Small vendors: what a distributor's months can hold, as landing files in rounds, and seeds.

Only making them up and writing them down; what they should be billed is `rulebook`'s to say.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Row = dict[str, str]  # the cells of a landing file by column, blank ones left out
Draw = Callable[[Any], Any]

CURRENCIES = ("EUR", "USD", "JPY", "KWD")
SINCE = date(2020, 1, 1)  # reference data is valid from long before anything happens
PERIODS = 3
UNREADABLE = "2099-01-01T00:00:00Z"  # a time of the future, which is refused (R3)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Distributor:
    """`cutoffs`: (first day, last day or None, cutoff_day or None), one after the other."""

    id: str
    currency: str
    cutoffs: tuple[tuple[date, date | None, int | None], ...] = ((SINCE, None, None),)


@dataclass(frozen=True)
class Product:
    code: str
    unit: str  # user, device or firewall


@dataclass(frozen=True)
class Price:
    """One price version; `bands`: (smallest quantity, largest or None, price as text).

    It stands in the reference data in these rounds: a price can be corrected after an issue.
    """

    product: str
    currency: str
    model: str  # volume or graduated
    bands: tuple[tuple[int, int | None, str], ...]
    valid_from: date = SINCE
    valid_to: date | None = None
    rounds: tuple[int, int] = (0, PERIODS - 1)


@dataclass(frozen=True)
class Expected:
    """A source whose snapshots are expected every day; a day without one may be a hole (R3)."""

    feed: str
    source: str
    valid_from: date
    valid_to: date | None = None


@dataclass(frozen=True)
class File:
    """A version of a landing file, delivered in a round; without `rows` the slot is retracted."""

    round: int
    feed: str
    day: date
    source: str
    rows: tuple[Row, ...] | None


@dataclass(frozen=True)
class Vendor:
    """One vendor's world. Round r is delivered before month r (counted from `first`) is closed."""

    first: date
    distributors: tuple[Distributor, ...]
    products: tuple[Product, ...]
    prices: tuple[Price, ...]
    files: tuple[File, ...]
    expected: tuple[Expected, ...] = ()
    note: str = field(default="", compare=False)  # where it comes from

    def prices_in(self, number: int) -> tuple[Price, ...]:
        return tuple(p for p in self.prices if p.rounds[0] <= number <= p.rounds[1])

    @property
    def months(self) -> tuple[date, ...]:
        return tuple(month_after(self.first, n) for n in range(PERIODS))


def month_after(first: date, months: int) -> date:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return date(year, month + 1, 1)


def last_day(month: date) -> date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


# --- as text -----------------------------------------------------------------------------------


def to_json(vendor: Vendor) -> str:
    """The vendor as JSON, a row a line, so that a kept example can be read and compared."""
    plain = asdict(vendor)
    files = plain.pop("files")
    head = json.dumps(plain, default=str, indent=1, ensure_ascii=False)
    lines = []
    for file in files:
        rows = file.pop("rows")
        name = json.dumps(file, default=str)[1:-1]
        if rows is None:
            lines.append(f'  {{{name}, "rows": null}}')
        else:
            inside = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in rows)
            lines.append(
                f'  {{{name}, "rows": [\n{inside}]}}' if rows else f'  {{{name}, "rows": []}}'
            )
    return head[:-2] + ',\n "files": [\n' + ",\n".join(lines) + "\n ]\n}\n"


def from_json(text: str) -> Vendor:
    plain = json.loads(text)
    day = date.fromisoformat

    def maybe_day(text: str | None) -> date | None:
        return date.fromisoformat(text) if text else None

    return Vendor(
        first=day(plain["first"]),
        distributors=tuple(
            Distributor(
                one["id"],
                one["currency"],
                tuple((day(a), maybe_day(b), c) for a, b, c in one["cutoffs"]),
            )
            for one in plain["distributors"]
        ),
        products=tuple(Product(**one) for one in plain["products"]),
        prices=tuple(
            Price(
                one["product"],
                one["currency"],
                one["model"],
                tuple((a, b, c) for a, b, c in one["bands"]),
                day(one["valid_from"]),
                maybe_day(one["valid_to"]),
                (one["rounds"][0], one["rounds"][1]),
            )
            for one in plain["prices"]
        ),
        files=tuple(
            File(
                one["round"],
                one["feed"],
                day(one["day"]),
                one["source"],
                None if one["rows"] is None else tuple(one["rows"]),
            )
            for one in plain["files"]
        ),
        expected=tuple(
            Expected(one["feed"], one["source"], day(one["valid_from"]), maybe_day(one["valid_to"]))
            for one in plain["expected"]
        ),
        note=plain["note"],
    )


def in_words(vendor: Vendor) -> str:
    """The vendor for a person to read: who there is, what it costs, and every row that was told."""
    said = [f"{vendor.note or 'a vendor'}, months from {vendor.first:%Y-%m}"]
    for one in vendor.distributors:
        cutoffs = [f"{day or 'end'} from {since}" for since, _, day in one.cutoffs]
        said.append(f"distributor {one.id} {one.currency}, cut-off {', '.join(cutoffs)}")
    said += [f"product {one.code} by {one.unit}" for one in vendor.products]
    for price in vendor.prices:
        bands = ", ".join(f"{low}-{high or ''} at {each}" for low, high, each in price.bands)
        dates = f"{price.valid_from} to {price.valid_to or ''}"
        which = f"price {price.product} {price.currency} {price.model}"
        said.append(f"{which} {bands}, {dates}, in rounds {price.rounds[0]} to {price.rounds[1]}")
    for one in vendor.expected:
        said.append(f"expected {one.feed}/{one.source} {one.valid_from} to {one.valid_to or ''}")
    for file in vendor.files:
        said.append(f"round {file.round} {file.feed}/{file.day}/{file.source}")
        if file.rows is None:
            said.append("    retracted")
        for row in file.rows or ():
            said.append("    " + " ".join(f"{name}={cell}" for name, cell in row.items()))
    return "\n".join(said)


# --- the calendar a vendor lives by ---------------------------------------------------------------


def cutoff_in(distributor: Distributor, month: date) -> date:
    """The cut-off in a month, to aim at; `rulebook` has its own from R1."""
    versions = (c for a, b, c in distributor.cutoffs if a <= month and (b is None or month <= b))
    wanted = next(versions, distributor.cutoffs[0][2])
    last = last_day(month)
    return last if wanted is None else last.replace(day=min(wanted, last.day))


def _telling_days(vendor_months: Sequence[date], distributors: Sequence[Distributor]) -> list[date]:
    """The days at which a rule turns: ends of windows, of periods and of months."""
    found = set()
    for distributor in distributors:
        for month in vendor_months:
            cutoff = cutoff_in(distributor, month)
            found |= {cutoff + n * _DAY for n in (-30, -29, -28, -1, 0, 1, 2, 3)}
            found |= {month, month + _DAY, last_day(month)}
    return sorted(found)


_BITS = st.tuples(*[st.booleans()] * 10)


class _World:
    """What a vendor is made of while it is being drawn."""

    def __init__(self, draw: Draw, first: date) -> None:
        self.draw = draw
        self.first = first
        self.months = [month_after(first, n) for n in range(PERIODS)]
        self.end = last_day(self.months[-1])

    def number(self, smallest: int, largest: int) -> int:
        # Of bits, as `integers()` also draws numbers it finds in whatever modules are imported:
        # a seed would be another vendor in another run.
        return smallest + sum(bit << n for n, bit in enumerate(self.draw(_BITS))) % (
            largest - smallest + 1
        )

    def chance(self, percent: int) -> bool:
        return self.number(0, 99) >= 100 - percent

    def one_of(self, *choices: Any) -> Any:
        return choices[self.number(0, len(choices) - 1)]

    def some(self, items: Sequence[Any], smallest: int, largest: int) -> list[Any]:
        """Between so many and so many of the items, each once."""
        left, found = list(items), []
        for _ in range(min(len(left), self.number(smallest, largest))):
            found.append(left.pop(self.number(0, len(left) - 1)))
        return found

    def day(self, smallest: date | None = None, largest: date | None = None) -> date:
        """A day, twice out of three one at which a rule turns."""
        smallest, largest = smallest or self.first, largest or self.end
        telling = [d for d in self.telling if smallest <= d <= largest]
        if telling and not self.chance(33):
            return self.one_of(*telling)
        return smallest + _DAY * self.number(0, max(0, (largest - smallest).days))

    def time(self) -> str:
        return self.one_of("12:00:00", "00:00:00", "23:59:59", "07:30:00")

    # --- who there is

    def distributors_and_prices(self) -> None:
        if self.chance(35):
            days = self.one_of((25, None), (None, 25), (25, 31), (30, 28), (1, None))
            currencies = (self.one_of(*CURRENCIES), self.one_of(*CURRENCIES))
        else:
            days = (self.one_of(None, 25, 1, 28, 30, 31, 15),)
            currencies = (self.one_of(*CURRENCIES),)
        made = []
        for name, day, currency in zip("ab", days, currencies, strict=False):
            cutoffs: tuple[tuple[date, date | None, int | None], ...] = ((SINCE, None, day),)
            if self.chance(8):  # another cut-off from the second month, or the day after it began
                turn = self.months[1] + _DAY * self.one_of(0, 1)
                cutoffs = ((SINCE, turn - _DAY, day), (turn, None, self.one_of(25, None, 10)))
            elif self.chance(10):  # it begins inside a month, or ends inside one
                turn = self.months[self.one_of(0, 1)] + _DAY * self.one_of(0, 9, 24, 27)
                cutoffs = (
                    ((turn, None, day),)
                    if self.chance(50)
                    else ((SINCE, turn + _DAY * self.one_of(3, 21, 30), day),)
                )
            made.append(Distributor(name, currency, cutoffs))
        self.distributors = tuple(made)
        self.telling = _telling_days(self.months, self.distributors)
        units = ["user", *self.some(["device", "user", "firewall", "firewall"], 1, 3)]
        if self.chance(25):
            units += ["firewall", "firewall"]
        self.products = tuple(Product(f"{u[0].upper()}{n}", u) for n, u in enumerate(units))
        prices = []
        for product in self.products:
            for currency in sorted(set(currencies)):
                prices += self.price_versions(product.code, currency)
        self.prices = tuple(prices)

    def price_versions(self, product: str, currency: str) -> list[Price]:
        def bands() -> tuple[tuple[int, int | None, str], ...]:
            ends = sorted(self.some([1, 2, 3, 4, 6], 0, 2))
            starts = [1, *(end + 1 for end in ends)]
            price = lambda: self.one_of(  # noqa: E731
                "0.335",
                "2.100",
                "1.005",
                "0.125",
                "10",
                "0.333",
                "3.3335",
                "0.001",
                "7.77",
                "0.5",
                "336",
            )
            return tuple((a, b, price()) for a, b in zip(starts, [*ends, None], strict=True))

        model = self.one_of("volume", "graduated")
        if self.chance(8):  # corrected in the reference data, when a month was issued with it
            turn = self.one_of(1, 2)
            old = Price(product, currency, model, bands(), rounds=(0, turn - 1))
            return [old, replace(old, bands=bands(), rounds=(turn, PERIODS - 1))]
        if self.chance(15):
            turn = self.day(self.months[0], self.end)
            gap = self.one_of(0, 0, 0, 1, -1)  # days without a price, or with two
            return [
                Price(product, currency, model, bands(), SINCE, turn - _DAY * (1 + gap)),
                Price(product, currency, self.one_of(model, "volume"), bands(), turn, None),
            ]
        return [Price(product, currency, model, bands())]

    def partners_and_customers(self) -> None:
        """Timelines: of each partner and customer, [(from day, its row or None when gone)]."""
        self.is_clean = not self.chance(30)
        self.partners: dict[str, list[tuple[date, Row | None]]] = {}
        for distributor in self.distributors:
            for n in range(self.number(1, 2)):
                name = f"p{distributor.id}{n}"
                row = {
                    "partner_id": name,
                    "partner_name": f"Partner {name}",
                    "distributor_id": distributor.id,
                    "country": "AT",
                    "programme": "connect_flex",
                    "registered_on": "2016-01-01",
                }
                timeline: list[tuple[date, Row | None]] = [(SINCE, row)]
                if not self.is_clean and self.chance(40):
                    odd = dict(row)
                    kind = self.one_of("connect", "msp_v1", "msp_v2", "country", "parent")
                    if kind == "country":
                        odd["country"] = self.one_of("GB", "UK", "gb")
                    elif kind == "parent":
                        odd["parent_partner_id"] = "pa0" if name != "pa0" else "pelse"
                    else:
                        odd["programme"] = kind
                    if self.chance(50):
                        day = self.day()
                        both = [odd, row] if self.chance(50) else [row, odd]
                        timeline = [(SINCE, both[0]), (day, both[1])]
                    else:
                        timeline = [(SINCE, odd)]
                if self.chance(6):  # not yet registered, or no longer (R10)
                    day = self.day()
                    timeline = [(SINCE, None), (day, row)]
                    if self.chance(50):
                        timeline = [(SINCE, row), (day, None)]
                self.partners[name] = timeline
        self.customers: dict[str, list[tuple[date, Row | None]]] = {}
        self.transfers: list[tuple[date, Row]] = []
        for n in range(self.number(1, 6)):
            self.customer(f"c{n}")

    def customer(self, name: str) -> None:
        firsts = [p for p in self.partners if p.endswith("0")]
        partner = self.one_of(*firsts) if self.chance(60) else self.one_of(*self.partners)
        row: Row = {
            "customer_id": name,
            "customer_name": f"Customer {name}",
            "partner_id": partner,
            "status": "active",
        }
        timeline: list[tuple[date, Row | None]] = [(SINCE, row)]
        if self.chance(8):  # it comes later
            timeline = [(SINCE, None), (self.day(), row)]
        self.customers[name] = timeline
        moves = 1 if self.chance(35) else 0
        moves += 1 if moves and self.chance(25) else 0
        for _ in range(moves):
            others = [p for p in self.partners if p != row["partner_id"]]
            if not others:
                break
            day = self.day(
                timeline[-1][0] + _DAY if timeline[-1][0] > SINCE else self.first + 2 * _DAY
            )
            if day <= timeline[-1][0]:
                break
            moved = {**row, "partner_id": self.one_of(*others)}
            self.transfer(row, moved, day)
            row = moved
            timeline.append((day, row))
        if self.chance(20) and timeline[-1][0] < self.end:
            day = self.day(max(timeline[-1][0], self.first) + _DAY)
            if day > timeline[-1][0]:
                gone = None if self.chance(50) else {**row, "status": "closed"}
                timeline.append((day, gone))
                if self.chance(30) and day < self.end:
                    back = self.day(day + _DAY)
                    if back > day:
                        timeline.append((back, row))

    def transfer(self, before: Row, after: Row, day: date) -> None:
        approvals = 3 if self.is_clean else self.one_of(3, 2, 2, 0, -1)
        if approvals < 0:
            return
        row = {
            "transfer_id": f"t{len(self.transfers)}{before['customer_id']}",
            "customer_id": before["customer_id"],
            "from_partner_id": before["partner_id"],
            "to_partner_id": after["partner_id"],
            "effective_on": str(day),
        }
        names = ["current_partner_approved_on", "new_partner_approved_on", "customer_approved_on"]
        missing = self.one_of(*names) if approvals == 2 else ""
        late = not self.is_clean and approvals == 3 and self.chance(30)
        told_on = self.day(day) if late else day
        for name in names:
            if approvals and name != missing:
                row[name] = str(told_on if late and name == names[2] else day)
        if late and told_on > day:
            self.transfers.append((day, {k: v for k, v in row.items() if k != names[2]}))
        self.transfers.append((told_on, row))

    def licences(self) -> None:
        """`self.licensed`: for each licence [(from day, its row or None)]."""
        self.licensed: dict[str, list[tuple[date, Row | None]]] = {}
        usable = [p for p in self.products if p.unit != "firewall"]
        for customer in self.customers:
            for product in self.some(usable, 1, 3):
                self.licence(customer, product.code)

    def add_licence(
        self,
        customer: str,
        product: str,
        serial: str | None,
        kind: str,
        start: date = SINCE,
        end: date | None = None,
    ) -> str:
        name = f"l{len(self.licensed)}"
        row = {
            "licence_id": name,
            "customer_id": customer,
            "product_code": product,
            "licence_type": kind,
            "owner": "partner",
            "starts_on": str(start),
        }
        if kind == "term":
            row["quantity"] = "3"
        if serial:
            row["serial_number"] = serial
        if end:
            row["ends_on"] = str(end)
        self.licensed[name] = [(SINCE, row)]
        return name

    def licence(self, customer: str, product: str, serial: str | None = None) -> None:
        add = partial(self.add_licence, customer, product, serial)

        def change(name: str, day: date, **values: str) -> None:
            row = self.licensed[name][-1][1]
            assert row is not None
            self.licensed[name].append((day, {**row, **values}))

        scenario = max(0, self.number(-3, 12))
        day = self.day()
        if scenario <= 3:
            add("monthly")
        elif scenario == 4:
            add(self.one_of("trial", "term"))
        elif scenario == 5:  # converted, by the type of the licence that is held
            change(add(self.one_of("trial", "trial", "term")), day, licence_type="monthly")
        elif scenario == 6:  # converted, by a second licence
            add("trial", end=day - _DAY)
            add("monthly", start=day)
        elif scenario == 7:
            add("monthly", start=day)
        elif scenario == 8:  # cancelled: from the start, or as it comes to be known
            name = add("monthly", end=day if self.chance(50) else None)
            row = self.licensed[name][-1][1]
            if row is not None and "ends_on" not in row and day < self.end:
                told = self.day(day)
                if told > self.first:
                    change(name, told, ends_on=str(day))
        elif scenario == 9:  # it vanishes, or comes later
            name = add("monthly")
            row = self.licensed[name][0][1]
            late = [(SINCE, None), (day, row)] if self.chance(40) else [(SINCE, row), (day, None)]
            self.licensed[name] = late
        elif scenario == 10:
            add("monthly", start=day, end=self.day(day))
            add(self.one_of("term", "trial"))
        elif scenario == 11:
            add("trial")
            add("term")
        # 12: no licence at all

    # --- what happened: activity as facts, hidden until a snapshot shows them

    def usage(self) -> None:
        """`self.used`: (customer, product, device, user or "") → its days, with a time."""
        self.used: dict[tuple[str, str, str, str], list[tuple[date, str]]] = {}
        usable = [p.code for p in self.products if p.unit != "firewall"]
        customers = list(self.customers)
        if self.chance(6):
            customers.append("nobody")
        users = ["u1", "u2", "U3", "é4", ""]
        by_firewall = [p.code for p in self.products if p.unit == "firewall"]
        licensed = [
            (row["customer_id"], row["product_code"])
            for timeline in self.licensed.values()
            for _, row in timeline
            if row is not None
        ]
        for n in range(self.number(3, 16)):
            product = "X9" if self.chance(2) else self.one_of(*usable)
            customer, user = self.one_of(*customers), self.one_of(*users)
            if licensed and self.chance(75):
                customer, product = self.one_of(*licensed)
            if by_firewall and self.chance(5):  # no evidence of a firewall (R10)
                product = self.one_of(*by_firewall)
            for month in (self.first - 15 * _DAY, *self.months):
                for _ in range(self.one_of(0, 1, 1, 2)):
                    if self.chance(8):
                        customer = self.one_of(*customers)
                    if self.chance(25):
                        user = self.one_of(*users)
                    day = self.day(month, min(month + 34 * _DAY, self.end))
                    key = (customer, product, f"d{n}", user)
                    self.used.setdefault(key, []).append((day, self.time()))
                    if self.chance(10):  # the same day, by somebody else or elsewhere
                        somewhere = self.one_of(customer, customer, *customers)
                        key = (somewhere, product, f"d{n}", self.one_of(*users))
                        self.used.setdefault(key, []).append((day, self.time()))

    def firewalls(self) -> None:
        """`self.heard`: (customer, serial) → [(day, time, what it said)]; with their licences."""
        self.heard: dict[tuple[str, str], list[tuple[date, str, Row]]] = {}
        products = [p.code for p in self.products if p.unit == "firewall"]
        serials = [f"s{n}" for n in range(self.number(0, 5) if products else self.number(0, 1))]
        clusters: dict[str, tuple[str, str, str]] = {}
        if len(serials) > 1 and self.chance(60):
            mode = self.one_of("active-active", "active-passive", "active-passive")
            owner = self.one_of(*self.customers)
            for serial in serials[: self.number(2, 3)]:
                clusters[serial] = (owner, "k1", mode)
        for serial in serials:
            customer = self.one_of(*self.customers)
            if serial in clusters:
                customer, *_ = clusters[serial]
            self.box(customer, serial, clusters.get(serial))
            for product in (
                self.some(products, 0, 2) if self.chance(25) else self.some(products, 1, 1)
            ):
                if self.chance(80):
                    self.licence(customer, product, serial)
            if len(products) > 1 and self.chance(10):  # one licence after the other
                turn = self.day()
                one, other = self.some(products, 2, 2)
                self.add_licence(customer, one, serial, "monthly", end=turn - _DAY)
                self.add_licence(customer, other, serial, "monthly", start=turn)
            if self.chance(15):
                self.replacement(customer, serial, clusters.get(serial), products)

    def box(self, customer: str, serial: str, cluster: tuple[str, str, str] | None) -> None:
        """A firewall and what it sends; the system it sends as may change from time to time."""
        said = {
            "serial_number": serial,
            "model": "XGS 107",
            "operating_system": self.operating_system() if self.chance(20) else "SFOS",
            "firmware_version": "20.0.1",
        }
        if cluster:
            _, said["cluster_id"], said["cluster_mode"] = cluster
        changes = 40 if self.chance(15) else 4
        for month in (self.first - 15 * _DAY, *self.months):
            for _ in range(self.one_of(0, 1, 1, 2)):
                if self.chance(changes):
                    said = {**said, "operating_system": self.operating_system()}
                day = self.day(month, min(month + 34 * _DAY, self.end))
                fact = (day, self.time(), {**said, "customer_id": customer})
                self.heard.setdefault((customer, serial), []).append(fact)

    def operating_system(self) -> str:
        return self.one_of(
            "SFOS", "SFOS", "UTM 9", "UTM 9", "UTM 9", "sfos", "SFOS 20.0", " SFOS ", "XGOS 2"
        )

    def replacement(
        self,
        customer: str,
        serial: str,
        cluster: tuple[str, str, str] | None,
        products: Sequence[str],
    ) -> None:
        """The licences of a serial go to new hardware, and some of them back, or on to a third."""
        mine = [
            name
            for name, timeline in self.licensed.items()
            if any(row and row.get("serial_number") == serial for _, row in timeline)
        ]
        new = f"{serial}n"
        for name in self.some(mine, 1, 2):
            (_, row), turn = self.licensed[name][-1], self.day(self.first + _DAY)
            if row is None or turn <= self.licensed[name][-1][0]:
                continue
            self.licensed[name].append((turn, {**row, "serial_number": new}))
            if self.chance(25) and turn < self.end:
                again, then = self.day(turn + _DAY), self.one_of(serial, f"{new}n")
                if again > turn:
                    self.licensed[name].append((again, {**row, "serial_number": then}))
        if self.chance(85):
            self.box(customer, new, cluster if self.chance(50) else None)
        if products and self.chance(15):  # it has a licence of its own
            self.licence(customer, self.one_of(*products), new)

    # --- what is told: snapshots

    def snapshots(self) -> list[File]:
        files = []
        activity_days = {
            cutoff_in(d, m) for d in self.distributors for m in self.months if self.chance(90)
        }
        activity_days |= {self.day() for _ in range(self.number(0, 4))}
        for day in sorted(activity_days):
            files.append(self.usage_file(day))
            if self.heard and self.chance(85):
                files.append(self.heartbeat_file(day))
        begins = self.first + _DAY * self.one_of(0, 0, 0, 0, 0, 0, 1, 2, 9)
        for feed, timelines in (
            ("customers", self.customers),
            ("partners", self.partners),
            ("licences", self.licensed),
        ):
            turns = {d for t in timelines.values() for d, _ in t if d > begins}
            turns |= {self.day(begins) for _ in range(self.one_of(0, 0, 1))}
            for day in sorted({begins, *turns}):
                files.append(self.registry_file(feed, day, "crm", timelines))
        for day in sorted({max(begins, d) for d, _ in self.transfers}):
            known: dict[str, Row] = {}
            for told_on, row in self.transfers:
                if told_on <= day:
                    known[row["transfer_id"]] = row
            files.append(self.file("transfers", day, "crm", list(known.values())))
        for _ in range(self.one_of(0, 0, 1, 2)):
            told = {(f.feed, f.day, f.source) for f in files}
            files += [
                f for f in self.second_source(begins) if (f.feed, f.day, f.source) not in told
            ]
        return files

    def file(self, feed: str, day: date, source: str, rows: Iterable[Row]) -> File:
        n = (day.year - self.first.year) * 12 + day.month - self.first.month
        return File(min(n, PERIODS - 1), feed, day, source, tuple(rows))

    def usage_file(self, day: date) -> File:
        rows = []
        for (customer, product, device, user), facts in self.used.items():
            told = [fact for fact in facts if fact[0] <= day]
            if told:
                last = max(told)
                row = {"customer_id": customer, "product_code": product, "device_id": device}
                row |= {"user_id": user} if user else {}
                rows.append({**row, "last_active_at": f"{last[0]}T{last[1]}Z"})
        return self.file("usage", day, "eu", rows)

    def heartbeat_file(self, day: date) -> File:
        rows = []
        for facts in self.heard.values():
            told = [fact for fact in facts if fact[0] <= day]
            if told:
                last = max(told, key=lambda fact: fact[:2])
                rows.append({**last[2], "last_heartbeat_at": f"{last[0]}T{last[1]}Z"})
        return self.file("heartbeat", day, "eu", rows)

    def registry_file(self, feed: str, day: date, source: str, timelines: Any) -> File:
        rows = []
        for timeline in timelines.values():
            now = [row for since, row in timeline if since <= day]
            if now and now[-1] is not None:
                rows.append(now[-1])
        return self.file(feed, day, source, rows)

    def second_source(self, begins: date) -> list[File]:
        """Another registry that knows some customers or licences, and some of them otherwise."""
        files = []
        feed = self.one_of("customers", "licences", "licences")
        timelines = self.customers if feed == "customers" else self.licensed
        if not timelines:
            return []
        keys = self.some(sorted(timelines), 1, 3)
        source = self.one_of("crm2", "a-crm")
        turns = sorted({max(begins, d) for timeline in timelines.values() for d, _ in timeline})
        days = {
            self.one_of(*turns) if self.chance(40) else self.day(begins)
            for _ in range(self.number(1, 3))
        }
        for day in sorted(days):
            rows = []
            for key in keys:
                now = [row for since, row in timelines[key] if since <= day]
                if now and now[-1] is not None:
                    row = now[-1]
                    if self.chance(40):
                        row = self.otherwise(feed, row)
                    rows.append(row)
            files.append(self.file(feed, day, source, rows))
        return files

    def otherwise(self, feed: str, row: Row) -> Row:
        if feed == "customers":
            return {**row, "status": "closed" if row["status"] == "active" else "active"}
        if feed == "licences":
            if self.chance(60):
                others = [t for t in ("monthly", "trial", "term") if t != row["licence_type"]]
                return {**row, "licence_type": self.one_of(*others)}
            day = self.day()
            if str(day) >= row["starts_on"]:
                return {**row, "ends_on": str(day)}
        return row

    # --- what comes late

    def late(self, files: list[File]) -> list[File]:
        """Deliveries of later rounds for months gone by: late, replaced and retracted files."""
        found: list[File] = []
        for late_round in range(1, PERIODS):
            for _ in range(self.one_of(0, 1, 2, 3)):
                old = [f for f in [*files, *found] if f.round < late_round]
                taken = {
                    (f.feed, f.day, f.source) for f in [*files, *found] if f.round >= late_round
                }
                gone = {(f.feed, f.day, f.source) for f in old if f.rows is None}
                old = [f for f in old if (f.feed, f.day, f.source) not in taken | gone]
                kind = self.number(0, 7)
                if kind <= 1:
                    day = self.day(self.first, self.months[late_round] - _DAY)
                    made = self.usage_file(day) if self.chance(70) else self.heartbeat_file(day)
                    slot = (made.feed, day, made.source)
                    if slot in taken | {(f.feed, f.day, f.source) for f in old} | gone:
                        continue
                    found.append(replace(made, round=late_round, rows=self.changed(made)))
                elif not old:
                    continue
                else:
                    wanted = "usage heartbeat" if kind <= 4 else "licences licences customers"
                    old = [f for f in old if f.feed in wanted.split()]
                    if not old:
                        continue
                    chosen = self.one_of(*old)
                    newest = [
                        f
                        for f in old
                        if (f.feed, f.day, f.source) == (chosen.feed, chosen.day, chosen.source)
                    ][-1]
                    versions = sum(
                        (f.feed, f.day, f.source) == (chosen.feed, chosen.day, chosen.source)
                        for f in old
                    )
                    if versions == 1 and self.chance(30):
                        found.append(replace(newest, round=late_round, rows=None))
                    else:
                        found.append(replace(newest, round=late_round, rows=self.changed(newest)))
        return found

    def changed(self, file: File) -> tuple[Row, ...]:
        """The rows of a file after a correction: one gone, one new, or one that says otherwise."""
        rows = [dict(row) for row in file.rows or ()]
        kind = self.number(0, 2)
        if rows and kind == 0:
            rows.pop(self.number(0, len(rows) - 1))
        elif rows and kind == 1 and file.feed in ("customers", "licences"):
            at = self.number(0, len(rows) - 1)
            rows[at] = self.otherwise(file.feed, rows[at])
        elif file.feed == "usage":
            usable = [p.code for p in self.products if p.unit != "firewall"]
            pairs = [
                (row["customer_id"], row["product_code"])
                for timeline in self.licensed.values()
                for _, row in timeline
                if row is not None and "serial_number" not in row
            ]
            for _ in range(self.number(1, 4)):
                day = self.day(file.day - 40 * _DAY, file.day)
                customer, product = self.one_of(*self.customers), self.one_of(*usable)
                if pairs and self.chance(85):
                    customer, product = self.one_of(*pairs)
                row = {
                    "customer_id": customer,
                    "product_code": product,
                    "device_id": f"e{self.number(0, 9)}",
                    "last_active_at": f"{day}T{self.time()}Z",
                }
                user = self.one_of("u1", "u2", "w5", "x6", "y7", "")
                row |= {"user_id": user} if user else {}
                rows.append(row)
        return tuple(rows)

    def oddities(self, files: list[File]) -> list[File]:
        """Rows at the edge of what is accepted: clocks that run ahead, keys told twice (R3)."""
        made = []
        for file in files:
            if file.feed == "usage" and file.rows and self.chance(6):
                rows = [dict(row) for row in file.rows]
                at = self.number(0, len(rows) - 1)
                kind = self.number(0, 4)
                if kind == 4:  # no row of it is good
                    rows = [{**row, "last_active_at": UNREADABLE} for row in rows]
                elif kind == 0:
                    rows[at]["last_active_at"] = f"{file.day + _DAY}T00:10:00Z"
                elif kind == 1:
                    rows[at]["last_active_at"] = f"{file.day + _DAY}T00:10:01Z"
                elif kind == 2:
                    rows.append(dict(rows[at]))
                else:
                    rows.append({**rows[at], "last_active_at": f"{file.day - 3 * _DAY}T01:00:00Z"})
                file = replace(file, rows=tuple(rows))
            made.append(file)
        return made

    def expectations(self, files: Sequence[File]) -> tuple[Expected, ...]:
        """A source is expected to have told every day, in some vendors; often the last is there."""
        made = []
        for feed in ("usage", "heartbeat"):
            days = [f.day for f in files if f.feed == feed and f.round == 0 and f.rows]
            if days and self.chance(30 if self.is_clean else 60):
                until = self.one_of(
                    None, min(max(days), cutoff_in(self.distributors[0], self.first))
                )
                made.append(Expected(feed, "eu", self.first, until))
        return tuple(made)


@st.composite
def vendors(draw: Draw, first: date, corrections: bool = True) -> Vendor:
    """One vendor whose first month begins on `first`."""
    world = _World(draw, first)
    world.distributors_and_prices()
    world.partners_and_customers()
    world.licences()
    world.usage()
    world.firewalls()
    files = world.oddities(world.snapshots())
    expected = world.expectations(files)
    if corrections:
        files += world.late(files)
    files.sort(key=lambda f: (f.round, f.feed, f.day, f.source))
    return Vendor(first, world.distributors, world.products, world.prices, tuple(files), expected)


def made_up(first: date, number: int, corrections: bool = True) -> Vendor:
    """The vendor of a seed: always the same one under one release of Hypothesis."""
    found: list[Vendor] = []

    @seed(number)
    @settings(
        max_examples=3,  # the first is the smallest there is
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(vendors(first, corrections))
    def collect(vendor: Vendor) -> None:
        found.append(vendor)

    collect()
    largest = max(found, key=lambda v: sum(len(f.rows or ()) for f in v.files))
    return replace(sound(largest), note=f"seed {number}")


def sound(vendor: Vendor) -> Vendor:
    """The vendor as it may live beside others: an expected source that has shown nobody it knows
    concerns everybody (R3), so it is not expected.
    """

    def shows(expected: Expected, after: int) -> bool:
        slots = {(f.feed, f.day, f.source): f.rows for f in vendor.files if f.round <= after}
        known = {
            row["customer_id"]
            for (feed, day, _), rows in slots.items()
            if feed == "customers" and day <= vendor.first + 20 * _DAY
            for row in rows or ()
        }
        shown = {
            row["customer_id"]
            for (feed, _, source), rows in slots.items()
            if (feed, source) == (expected.feed, expected.source)
            for row in rows or ()
            if row.get("last_active_at") != UNREADABLE
        }
        return bool(shown & known)

    rounds = {f.round for f in vendor.files} | {0}
    keep = tuple(e for e in vendor.expected if all(shows(e, n) for n in rounds))
    retracted = {(f.round, f.feed, f.day, f.source) for f in vendor.files if f.rows is None}
    there = {(f.feed, f.day, f.source) for f in vendor.files if f.rows is not None}
    files = tuple(
        f for f in vendor.files if f.rows is not None or (f.feed, f.day, f.source) in there
    )
    used = {p.currency for p in vendor.prices} & {d.currency for d in vendor.distributors}
    return replace(
        vendor,
        expected=keep,
        files=files if retracted else vendor.files,
        prices=tuple(p for p in vendor.prices if p.currency in used),
    )
