"""The product beside the oracle: many vendors in one home, its commands run, its figures read.

Writing, running and reading; what is compared with what is `comparison`'s.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from rulebook import COUNTRIES, STANDARD, TAX_RATES, Policies
from vendors import Vendor, last_day

from ingest.contracts import FEEDS

REPOSITORY = Path(__file__).parents[2]
ANCHOR = "anchor"  # a source of its own that tells when a period is over
# What is compared: name → (table, columns after period and distributor).
_TABLES = {
    "lines": (
        "billing.draft_invoice_lines",
        "partner_id, product_code, quantity, unit_price, pricing_model, amount",
    ),
    "customers": (
        "billing.draft_invoice_customers",
        "partner_id, product_code, customer_id, quantity, amount",
    ),
    "roster": (
        "billing.draft_roster where is_active",
        "customer_id, product_code, unit_kind, unit_id, is_counted, reason",
    ),
    "not_billed": ("billing.draft_not_billed", "customer_id, product_code, reason, units"),
    "blocking": (
        "billing.draft_discrepancies where severity = 'blocking' and state = 'open'",
        "kind, partner_id, customer_id",
    ),
    "in_month": (
        "billing.draft_invoice_customers",
        "product_code, customer_id, calendar_month_units",
    ),
    "warnings": (
        "quality.discrepancies "
        "where kind in ('usage_of_firewall_product', 'device_at_two_customers')",
        "kind, customer_id, product_code, units, amount_at_stake",
    ),
    "nobodys": (
        "quality.discrepancies "
        "where distributor_id is null and kind in ('orphan_usage', 'unknown_partner')",
        "kind, customer_id",
    ),
    "drafts": ("billing.draft_invoices", "currency"),
    "taxes": (
        "(from billing.draft_invoices union all by name from billing.draft_notes)",
        "currency, cutoff_on, tax_category, tax_rate, total_amount, tax_amount, payable_amount",
    ),
    "pending": (
        "billing.draft_note_customers",
        "currency, partner_id, product_code, customer_id, quantity, amount",
    ),
    "unbilled": (
        "billing.unbilled_corrections",
        "currency, partner_id, product_code, customer_id, quantity, amount",
    ),
}


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    return text.getvalue().encode()


# Cells that name something of one vendor: they get its key in front, so that nobody meets anybody.
_NAMES = frozenset(
    [
        "customer_id",
        "partner_id",
        "parent_partner_id",
        "from_partner_id",
        "to_partner_id",
        "distributor_id",
        "product_code",
        "device_id",
        "serial_number",
        "cluster_id",
        "licence_id",
        "transfer_id",
    ]
)


@dataclass
class Home:
    """A home with many vendors in it. A vendor's key stands before every name of it."""

    folder: Path
    vendors: dict[str, Vendor]
    policies: Policies = STANDARD

    @property
    def first(self) -> date:
        return next(iter(self.vendors.values())).first

    @property
    def months(self) -> tuple[date, ...]:
        return next(iter(self.vendors.values())).months

    # --- writing

    def write_seeds(self, number: int) -> None:
        """The reference data as they stand in a round."""
        shutil.copytree(REPOSITORY / "seeds", self.folder / "seeds", dirs_exist_ok=True)
        self._seed("policies", self._changed("policies", "policy", vars(self.policies)))
        wide = dict.fromkeys(
            ("largest_swing_percent", "smallest_swing_units", "volume_swing_percent"), 10**9
        )
        self._seed("safety_bounds", self._changed("safety_bounds", "bound", wide))
        for name in ("seller", "excluded_territories"):
            self._seed(name, [{**row, "valid_from": "2020-01-01"} for row in self._rows(name)])
        self._seed("psa_companies", [])
        self._seed("psa_products", [])
        self._seed(
            "distributors", [row for k, v in self.vendors.items() for row in _distributors(k, v)]
        )
        self._seed("products", [row for k, v in self.vendors.items() for row in _products(k, v)])
        self._seed(
            "price_bands", [row for k, v in self.vendors.items() for row in _prices(k, v, number)]
        )
        self._seed("tax_rates", _tax_rates())
        self._seed(
            "expected_sources", [row for k, v in self.vendors.items() for row in _expected(k, v)]
        )

    def _header(self, name: str) -> list[str]:
        with (REPOSITORY / f"seeds/{name}.csv").open(encoding="utf-8") as file:
            return file.readline().strip().split(",")

    def _seed(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        (self.folder / f"seeds/{name}.csv").write_bytes(_csv(self._header(name), rows))

    def _rows(self, name: str) -> list[dict[str, str]]:
        with (REPOSITORY / f"seeds/{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def _changed(self, name: str, key: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{**r, "value": values.get(r[key], r["value"])} for r in self._rows(name)]

    def deliver(self, number: int) -> None:
        """Write a round's files into the landing folder."""
        for key, vendor in self.vendors.items():
            for file in vendor.files:
                if file.round == number:
                    path = self._path(file.feed, file.day, f"{key}-{file.source}")
                    if file.rows is None:
                        sha = hashlib.sha256(path.read_bytes()).hexdigest()
                        why = {"sha256": sha, "who": "somebody", "why": "sent by mistake"}
                        path.with_name(path.name + ".retracted.json").write_text(json.dumps(why))
                    else:
                        rows = [_named(key, row) for row in file.rows]
                        self._landing(path, file.feed, file.day, rows)
        # The days a vendor told nothing are not the product's concern: somebody tells every end.
        for month in self.months[: number + 1]:
            path = self._path("usage", last_day(month), ANCHOR)
            if not path.exists():
                row = {
                    "customer_id": ANCHOR,
                    "product_code": "X",
                    "device_id": "d",
                    "last_active_at": "2020-01-01T00:00:00Z",
                }
                self._landing(path, "usage", last_day(month), [row])

    def _path(self, feed: str, day: date, source: str) -> Path:
        return self.folder / "landing" / feed / str(day) / f"{source}.csv"

    @staticmethod
    def _landing(path: Path, feed: str, day: date, rows: Iterable[Mapping[str, Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"snapshot_date": day, **row} for row in rows]
        header, _, body = _csv(FEEDS[feed].column_names, rows).partition(b"\n")
        # Two sources may say the same on a day, but the same bytes under two names are a copy in
        # the wrong place: each source quotes other names of the header.
        quoted = zlib.crc32(path.stem.encode())
        names = [
            f'"{name}"' if quoted >> n & 1 else name
            for n, name in enumerate(header.decode().split(","))
        ]
        path.write_bytes(",".join(names).encode() + b"\n" + body)

    # --- running

    def muster(self, *arguments: str, allowed: Iterable[int] = (0,)) -> str:
        command = [str(Path(sys.executable).parent / "muster")]
        command += [f"--{name}={self.folder / name}" for name in ("home", "landing", "seeds")]
        environment = {
            **os.environ,
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "MUSTER_FIRST_DAY": str(self.first),
        }
        result = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, env=environment
        )
        assert result.returncode in allowed, (
            arguments,
            result.stdout[-3000:],
            result.stderr[-6000:],
        )
        return result.stdout + result.stderr

    # --- reading

    def found(self) -> Found:
        path = self.folder / "home/published/current.duckdb"
        with duckdb.connect(str(path), read_only=True) as conn:
            return Found(
                {
                    name: conn.execute(
                        f"select period, distributor_id, {columns} from {table}"
                    ).fetchall()
                    for name, (table, columns) in _TABLES.items()
                }
            )

    def retracts(self, number: int) -> bool:
        """Whether a file is retracted in a round."""
        files = [file for vendor in self.vendors.values() for file in vendor.files]
        return any(file.rows is None and file.round == number for file in files)

    def documents(self) -> Documents:
        """(vendor key, distributor) → the content of its documents in their order."""
        documents: Documents = defaultdict(list)
        for path in sorted((self.folder / "home/ledger").glob("*/[0-9]*.json")):
            key, _, name = path.parent.name.partition("-")
            documents[key, name].append(json.loads(path.read_text(encoding="utf-8"))["content"])
        return documents


def _named(key: str, row: Mapping[str, str]) -> dict[str, str]:
    return {name: f"{key}-{cell}" if name in _NAMES else cell for name, cell in row.items()}


def _distributors(key: str, vendor: Vendor) -> Iterable[dict[str, Any]]:
    for one in vendor.distributors:
        for since, until, day in one.cutoffs:
            yield {
                "distributor_id": f"{key}-{one.id}",
                "distributor_name": f"Distributor {key} {one.id}",
                "country": COUNTRIES[one.currency],
                "currency": one.currency,
                "cutoff_day": day,
                "street": "Street 1",
                "city": "Wien",
                "postal_code": "1010",
                "tax_id": "ATU00000024",
                "endpoint_id": "9914:ATU00000024",
                "payment_terms_days": 30,
                "valid_from": since,
                "valid_to": until,
            }


def _tax_rates() -> Iterable[dict[str, Any]]:
    for country, rates in TAX_RATES.items():
        for since, until, category, rate, reason in rates:
            yield {
                "seller_country": "NL",
                "buyer_country": country,
                "tax_category": category,
                "rate": rate,
                "reason": reason,
                "valid_from": since,
                "valid_to": until,
            }


def _products(key: str, vendor: Vendor) -> Iterable[dict[str, Any]]:
    for n, one in enumerate(vendor.products, 1):
        code = f"{key}-{one.code}"
        yield {
            "product_code": code,
            "product_name": f"Product {code}",
            "category": one.unit,
            "billing_unit": one.unit,
            "sku": code,
            "listing_order": n,
            "valid_from": "2020-01-01",
        }


def _prices(key: str, vendor: Vendor, number: int) -> Iterable[dict[str, Any]]:
    for price in vendor.prices_in(number):
        for low, high, each in price.bands:
            yield {
                "product_code": f"{key}-{price.product}",
                "currency": price.currency,
                "pricing_model": price.model,
                "min_quantity": low,
                "max_quantity": high,
                "unit_price": each,
                "valid_from": price.valid_from,
                "valid_to": price.valid_to,
            }


def _expected(key: str, vendor: Vendor) -> Iterable[dict[str, Any]]:
    for one in vendor.expected:
        yield {
            "feed": one.feed,
            "source": f"{key}-{one.source}",
            "valid_from": one.valid_from,
            "valid_to": one.valid_to,
        }


Rows = list[tuple[Any, ...]]
# (vendor key, distributor) → the content of its documents in their order
Documents = dict[tuple[str, str], list[dict[str, Any]]]


class Found:
    """What is published: table → (vendor key, period, distributor) → rows, in vendors' names."""

    def __init__(self, tables: Mapping[str, Rows]) -> None:
        self.tables: dict[str, defaultdict[tuple[str, str, str], Rows]] = {}
        for name, rows in tables.items():
            by: defaultdict[tuple[str, str, str], Rows] = defaultdict(list)
            for period, distributor, *cells in rows:
                key, _, plain = (distributor or "").partition("-")
                by[key, period, plain].append(
                    tuple(c.removeprefix(f"{key}-") if isinstance(c, str) else c for c in cells)
                )
            self.tables[name] = by
