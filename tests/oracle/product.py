"""The product beside the oracle: many vendors in one home, its commands run, its figures read.

What is compared with what; which figures are right is `rulebook`'s to say.
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
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import rulebook
from rulebook import Bill, Policies
from vendors import Vendor, last_day

from ingest.contracts import FEEDS

REPOSITORY = Path(__file__).parents[2]
ANCHOR = "anchor"  # a source of its own that tells when a period is over
_LINES = "select period, distributor_id, partner_id, product_code, quantity, unit_price, pricing_model, amount from billing.draft_invoice_lines"
_CUSTOMERS = "select period, distributor_id, partner_id, product_code, customer_id, quantity, amount from billing.draft_invoice_customers"
_ROSTER = "select period, distributor_id, customer_id, product_code, unit_kind, unit_id, is_counted, reason from billing.draft_roster where is_active"
_NOT_BILLED = "select period, distributor_id, customer_id, product_code, reason, units from billing.draft_not_billed"
_BLOCKING = "select period, distributor_id, kind, partner_id, customer_id from billing.draft_discrepancies where severity = 'blocking' and state = 'open'"


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    return text.getvalue().encode()


# Cells that name something of one vendor: they get its key in front, so that nobody meets anybody.
_NAMES = frozenset(
    "customer_id partner_id parent_partner_id from_partner_id to_partner_id distributor_id "
    "product_code device_id serial_number cluster_id licence_id transfer_id".split()
)


@dataclass
class Product:
    """A home with many vendors in it. A vendor's key stands before every name of it."""

    folder: Path
    vendors: dict[str, Vendor]
    policies: Policies = Policies()
    said: list[str] = field(default_factory=list)

    @property
    def first(self) -> date:
        return next(iter(self.vendors.values())).first

    @property
    def months(self) -> tuple[date, ...]:
        return next(iter(self.vendors.values())).months

    # --- writing

    def write_seeds(self) -> None:
        seeds = self.folder / "seeds"
        shutil.copytree(REPOSITORY / "seeds", seeds)
        self._seed("policies", self._changed("policies", "policy", vars(self.policies)))
        wide = {name: 10**9 for name in ("largest_swing_percent", "smallest_swing_units", "volume_swing_percent")}
        self._seed("safety_bounds", self._changed("safety_bounds", "bound", wide))
        for name in ("seller", "excluded_territories"):
            self._seed(name, [{**row, "valid_from": "2020-01-01"} for row in self._rows(name)])
        self._seed("psa_companies", [])
        self._seed("psa_products", [])
        self._seed("distributors", [row for k, v in self.vendors.items() for row in _distributors(k, v)])
        self._seed("products", [row for k, v in self.vendors.items() for row in _products(k, v)])
        self._seed("price_bands", [row for k, v in self.vendors.items() for row in _prices(k, v)])
        self._seed("expected_sources", [row for k, v in self.vendors.items() for row in _expected(k, v)])

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
                row = {"customer_id": ANCHOR, "product_code": "X", "device_id": "d", "last_active_at": "2020-01-01T00:00:00Z"}
                self._landing(path, "usage", last_day(month), [row])

    def _path(self, feed: str, day: date, source: str) -> Path:
        return self.folder / "landing" / feed / str(day) / f"{source}.csv"

    @staticmethod
    def _landing(path: Path, feed: str, day: date, rows: Iterable[Mapping[str, Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"snapshot_date": day, **row} for row in rows]
        path.write_bytes(_csv(FEEDS[feed].column_names, rows))

    # --- running

    def muster(self, *arguments: str, allowed: Iterable[int] = (0,)) -> str:
        command = [str(Path(sys.executable).parent / "muster")]
        command += [f"--{name}={self.folder / name}" for name in ("home", "landing", "seeds")]
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "MUSTER_FIRST_DAY": str(self.first)}
        result = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=environment)
        assert result.returncode in allowed, (arguments, result.stdout[-3000:], result.stderr[-6000:])
        return result.stdout + result.stderr

    # --- reading

    def found(self) -> Found:
        path = self.folder / "home/published/current.duckdb"
        with duckdb.connect(str(path), read_only=True) as conn:
            return Found(*(conn.execute(q).fetchall() for q in (_LINES, _CUSTOMERS, _ROSTER, _NOT_BILLED, _BLOCKING)))


def _named(key: str, row: Mapping[str, str]) -> dict[str, str]:
    return {name: f"{key}-{cell}" if name in _NAMES else cell for name, cell in row.items()}


def _distributors(key: str, vendor: Vendor) -> Iterable[dict[str, Any]]:
    for one in vendor.distributors:
        for since, until, day in one.cutoffs:
            yield {
                "distributor_id": f"{key}-{one.id}",
                "distributor_name": f"Distributor {key} {one.id}",
                "country": "AT",
                "currency": one.currency,
                "cutoff_day": day,
                "street": "Street 1",
                "city": "Wien",
                "postal_code": "1010",
                "tax_id": "ATU0",
                "endpoint_id": "9914:ATU0",
                "payment_terms_days": 30,
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


def _prices(key: str, vendor: Vendor) -> Iterable[dict[str, Any]]:
    for price in vendor.prices:
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


# --- comparing ----------------------------------------------------------------------------------


class Found:
    """What was published, by (vendor key, period, distributor), names as the vendor has them."""

    def __init__(self, *tables: list[tuple[Any, ...]]) -> None:
        self.tables: list[defaultdict[tuple[str, str, str], list[tuple[Any, ...]]]] = []
        for rows in tables:
            by: defaultdict[tuple[str, str, str], list[tuple[Any, ...]]] = defaultdict(list)
            for period, distributor, *cells in rows:
                if distributor is None:
                    by["", period, ""].append(tuple(cells))
                    continue
                key, _, name = distributor.partition("-")
                plain = (c[len(key) + 1 :] if isinstance(c, str) and c.startswith(key + "-") else c for c in cells)
                by[key, period, name].append(tuple(plain))
            self.tables.append(by)


def differences(found: Found, key: str, period: str, distributor: str, bill: Bill) -> list[str]:
    """What the product says otherwise than the oracle, in words; empty when they agree."""
    lines, customers, roster, not_billed, blocking = (table[key, period, distributor] for table in found.tables)
    said: list[str] = []

    def compare(what: str, expected: Any, got: Any) -> None:
        if expected != got:
            said.append(f"{period} {distributor} {what}: rules {expected}, product {got}")

    # Units first: what is counted, and the one reason of what is not.
    doubtful = bill.doubtful
    got_units = {(c, p, k, u) for c, p, k, u, counted, _ in roster if counted and c not in doubtful}
    want_units = {unit for unit in bill.billed if unit[0] not in doubtful}
    for unit in sorted(want_units - got_units):
        reasons = [(p, r) for c, p, k, u, counted, r in roster if not counted and (c, k, u) == (unit[0], *unit[2:])]
        said.append(f"{period} {distributor} unit {unit}: rules billed, product not {reasons}")
    for unit in sorted(got_units - want_units):
        why = bill.not_billed.get((unit[0], unit[2], unit[3]))
        said.append(f"{period} {distributor} unit {unit}: product billed, rules not {sorted(why or [])}")
    got_reasons: defaultdict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for c, p, k, u, counted, reason in roster:
        if not counted and c not in doubtful:
            got_reasons[c, k, u].append((p, reason))
    for unit3 in sorted({*bill.not_billed, *got_reasons}):
        if unit3[0] in doubtful:
            continue
        want, got = bill.not_billed.get(unit3, set()), got_reasons.get(unit3, [])
        if not want and set(got) <= bill.may_say.get(unit3, set()):
            continue
        if not got or not set(got) <= want or len({p for p, _ in got}) < len(got):
            said.append(f"{period} {distributor} unit {unit3} not billed: rules {sorted(want)}, product {sorted(got)}")
    counts: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for c, p, _, _, counted, reason in roster:
        if not counted:
            counts[c, p, reason] += 1
    compare("not billed", dict(counts), {(c, p, r): n for c, p, r, n in not_billed})

    # Money. A line some of whose customers are in doubt is in doubt.
    unsure = {(p, r) for p, r, c, _, _ in customers if c in doubtful}
    unsure |= {k for k, line in bill.lines.items() if doubtful & set(line.shares)}
    got_lines = {(p, r): (q, None if m == "graduated" else u, a) for p, r, q, u, m, a in lines}
    want_lines = {k: (line.quantity, line.price, line.amount) for k, line in bill.lines.items()}
    for line_key in sorted({*got_lines, *want_lines} - unsure):
        if line_key in want_lines and want_lines[line_key][2] is None:
            continue  # without one price there is no amount, and the distributor is held
        compare(f"line {line_key}", want_lines.get(line_key), got_lines.get(line_key))
    got_shares = {(p, r, c): (q, a) for p, r, c, q, a in customers if (p, r) not in unsure}
    want_shares: dict[tuple[str, str, str], Any] = {
        (p, r, c): share
        for (p, r), line in bill.lines.items()
        for c, share in line.shares.items()
        if (p, r) not in unsure
    }
    want_shares |= {(p, r, c): (0, Decimal(0)) for p, r, c in bill.zero if (p, r) not in unsure}
    for share in sorted({*got_shares, *want_shares}):
        want, got = want_shares.get(share), got_shares.get(share)
        if want is not None and want[1] is None:
            continue
        compare(f"share {share}", want, got)

    # Holds.
    got_kinds = {kind for kind, _, _ in blocking}
    want_kinds = {kind for kind, _ in bill.blocking}
    for kind in sorted(want_kinds - got_kinds):
        said.append(f"{period} {distributor} hold {kind}: rules hold, product does not")
    for kind in sorted(got_kinds - want_kinds - bill.may_block):
        about = sorted((p, c) for k, p, c in blocking if k == kind)
        said.append(f"{period} {distributor} hold {kind}: product holds {about}, rules do not")
    return said


def compare_drafts(product: Product, after_round: int, found: Found) -> dict[str, list[str]]:
    """Vendor key → differences of every period that round's data reach."""
    result = {}
    for key, vendor in product.vendors.items():
        months = vendor.months[: after_round + 1]
        expected = rulebook.bills(vendor, after_round, product.policies, months)
        said = [
            text
            for (period, distributor), bill in expected.items()
            for text in differences(found, key, period, distributor, bill)
        ]
        if said:
            result[key] = said
    return result
