"""A small warehouse with the billing marts as invoicing reads them, filled by hand.

January 2026 of three distributors; every figure is derived in `fill_january`.
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

VERSION_SET = "a" * 64
SELLER = {
    "seller_id": "musterschild",
    "seller_name": "Musterschild Security BV",
    "country": "NL",
    "street": "Keizersgracht 1",
    "city": "Amsterdam",
    "postal_code": "1015 CC",
    "tax_id": "NL000000024B01",
    "endpoint_id": "9944:NL000000024B01",
    "iban": "NL29BANK0000000024",
    "contact_name": "Billing desk",
    "contact_phone": "+31 20 000 0024",
    "contact_email": "billing@musterschild.example",
    "legal_registration": None,
}
# tax number, electronic address
NUMBERS = {
    "alpenland": ("ATU00000024", "9914:ATU00000024"),
    "cascadia": ("00-0000042", "0199:529900CASCADIA000063"),
    "sakura": ("T6000000000093", "0221:T6000000000093"),
}
POLICIES = {"active_window_days": 30, "issue_days": 1, "release": "automatic"}
PRODUCTS = {
    "EPSTD": ("Endpoint Standard", "endpoint", "user", "MH-EPSTD-M", 1),
    "SVADV": ("Server Advanced", "server", "device", "MH-SVADV-M", 4),
    "FWENT": ("Firewall EnterpriseGuard", "firewall", "firewall", "MH-FWENT-M", 8),
}
PARTNERS = {
    "P0001": "Alpha IT",
    "P0002": "Beta Systems",
    "P0009": "Gamma Security",
    "P0021": "Yama",
}
DISTRIBUTORS = {
    # id: name, country, currency, minor units, cut-off day
    "alpenland": ("Alpenland Distribution GmbH", "AT", "EUR", 2, 31),
    "cascadia": ("Cascadia Channel Partners Inc", "US", "USD", 2, 25),
    "sakura": ("Sakura Shoji KK", "JP", "JPY", 0, 31),
}
REVERSE_CHARGE = "Reverse charge, article 196 of Directive 2006/112/EC"
OUTSIDE = "Service supplied outside the European Union"
# category, rate, reason; as for services from the Netherlands
TAXES = {
    "alpenland": ("AE", "0", REVERSE_CHARGE),
    "cascadia": ("O", "0", OUTSIDE),
    "sakura": ("O", "0", OUTSIDE),
}

DDL = """
create schema raw;
create schema billing;
create table raw.version_set (sha256 varchar);
create table billing.draft_safety_bounds (bound varchar, value decimal(18, 3), meaning varchar);
create table billing.draft_invoices (
    period varchar, distributor_id varchar, currency varchar, distributor_name varchar,
    country varchar, cutoff_on date, period_starts_on date, window_starts_on date,
    minor_units integer, issue_on date, due_on date, line_count bigint,
    total_amount decimal(18, 3), tax_rate_count bigint, tax_category varchar,
    tax_rate decimal(18, 6), tax_reason varchar, tax_amount decimal(18, 3),
    payable_amount decimal(18, 3), is_complete boolean, is_passed_over boolean,
    version_set_sha256 varchar,
    policies varchar, purchase_order varchar, seller varchar, distributor varchar
);
create table billing.draft_invoice_lines (
    period varchar, distributor_id varchar, currency varchar, line_number bigint,
    partner_id varchar, partner_name varchar, product_code varchar, product_name varchar,
    category varchar, billing_unit varchar, sku varchar, quantity bigint,
    pricing_model varchar, unit_price decimal(18, 6), band_min bigint, band_max bigint,
    units_to_next_band bigint, bands varchar, amount decimal(18, 3), customer_count bigint
);
create table billing.draft_invoice_customers (
    period varchar, distributor_id varchar, currency varchar, partner_id varchar,
    partner_name varchar, product_code varchar, product_name varchar, category varchar,
    billing_unit varchar, sku varchar, listing_order bigint, line_number bigint,
    customer_id varchar, customer_name varchar, licence_type varchar, owner varchar,
    quantity bigint, calendar_month_units bigint, whole_month_units bigint,
    amount decimal(18, 3), joined bigint, left_since bigint
);
create table billing.draft_psa_changes (
    period varchar, distributor_id varchar, currency varchar, partner_id varchar,
    customer_id varchar, customer_name varchar, product_code varchar, psa varchar,
    company_id varchar, agreement_id varchar, addition_id varchar, product_id varchar,
    unit_price decimal(18, 6), counted_on date, from_quantity bigint, to_quantity bigint,
    action varchar
);
create table billing.draft_not_billed (
    period varchar, distributor_id varchar, partner_id varchar, customer_id varchar,
    product_code varchar, reason varchar, units bigint
);
create table billing.draft_managed_customers (
    period varchar, distributor_id varchar, currency varchar, partner_id varchar,
    partner_name varchar, customer_id varchar, customer_name varchar, product_code varchar,
    product_name varchar, billing_unit varchar, listing_order bigint, licence_type varchar,
    owner varchar, licensed_quantity bigint, active_units bigint, billed_units bigint
);
create table billing.draft_roster (
    period varchar, distributor_id varchar, currency varchar, line_number bigint,
    partner_id varchar, product_code varchar, customer_id varchar, unit_kind varchar,
    unit_id varchar, is_counted boolean, reason varchar, last_device_id varchar,
    device_count bigint, last_active_on date, active_on date[], source_feed varchar,
    source_snapshot_date date, source_name varchar, source_row bigint
);
create table billing.draft_discrepancies (
    discrepancy_id varchar, period varchar, kind varchar, severity varchar,
    distributor_id varchar, partner_id varchar, customer_id varchar, product_code varchar,
    expected varchar, found varchar, amount_at_stake decimal(18, 3), currency varchar,
    evidence varchar, action varchar, state varchar, decision varchar, decided_by varchar,
    waiver_reason varchar
);
create table billing.issued_invoices (
    distributor_id varchar, sequence bigint, period varchar, version_set_sha256 varchar,
    cancels varchar
);
create table billing.draft_notes (
    period varchar, distributor_id varchar, currency varchar, kind varchar, run_period varchar,
    invoice_currency varchar, corrects_number varchar, corrects_sequence bigint,
    minor_units integer, period_starts_on date, cutoff_on date, window_starts_on date,
    line_count bigint, total_amount decimal(18, 3), tax_rate_count bigint, tax_category varchar,
    tax_rate decimal(18, 6), tax_reason varchar, tax_amount decimal(18, 3),
    payable_amount decimal(18, 3), policies varchar
);
create table billing.draft_note_lines (
    period varchar, distributor_id varchar, currency varchar, line_number bigint,
    corrects_line bigint, partner_id varchar, partner_name varchar, product_code varchar,
    product_name varchar, category varchar, billing_unit varchar, sku varchar,
    listing_order bigint, customer_count bigint, billed_quantity bigint,
    billed_unit_price decimal(18, 6), billed_amount decimal(18, 3), known_quantity bigint,
    pricing_model varchar, unit_price decimal(18, 6), bands varchar, known_amount decimal(18, 3),
    quantity bigint, amount decimal(18, 3), causes varchar
);
create table billing.draft_note_customers (
    period varchar, distributor_id varchar, currency varchar, line_number bigint,
    partner_id varchar, partner_name varchar, product_code varchar, product_name varchar,
    category varchar, billing_unit varchar, sku varchar, listing_order bigint,
    customer_id varchar, customer_name varchar, licence_type varchar, owner varchar,
    billed_quantity bigint, billed_amount decimal(18, 3), known_quantity bigint,
    known_amount decimal(18, 3), quantity bigint, amount decimal(18, 3), causes varchar
);
"""


def taxed(distributor_id: str, total: str) -> dict[str, Any]:
    """The tax columns of a draft without any tax to pay, as TAXES has it."""
    category, rate, reason = TAXES[distributor_id]
    assert not Decimal(rate), "tests that charge tax give the figures themselves"
    return {
        "tax_rate_count": 1,
        "tax_category": category,
        "tax_rate": Decimal(rate),
        "tax_reason": reason,
        "tax_amount": Decimal(0),
        "payable_amount": Decimal(total),
    }


class Warehouse:
    """Puts rows into the marts; a column that is not named is null or the obvious default."""

    def __init__(self) -> None:
        self.conn = duckdb.connect()
        self.conn.execute(DDL)
        self.set_version(VERSION_SET)
        for bound, value in {
            "largest_quantity": 1000,
            "largest_amount": 5000,
            "largest_swing_percent": 60,
            "smallest_swing_units": 50,
        }.items():
            self.put("draft_safety_bounds", bound=bound, value=value)

    def set_version(self, sha256: str) -> None:
        """What is in force now; the drafts keep what they were computed from."""
        self.conn.execute("delete from raw.version_set")
        self.conn.execute("insert into raw.version_set values (?)", [sha256])

    def put(self, table: str, **values: Any) -> None:
        marks = ", ".join("?" for _ in values)
        self.conn.execute(
            f"insert into billing.{table} ({', '.join(values)}) values ({marks})",
            list(values.values()),
        )

    def invoice(self, distributor_id: str, total: str, lines: int, **values: Any) -> None:
        name, country, currency, minor_units, cutoff = DISTRIBUTORS[distributor_id]
        period = values.get("period", "2026-01")
        year, month = (int(part) for part in period.split("-"))
        last = date(year, month, min(cutoff, 28 if month == 2 else cutoff))
        row = {
            "period": period,
            "distributor_id": distributor_id,
            "currency": currency,
            "distributor_name": name,
            "country": country,
            "cutoff_on": last,
            "period_starts_on": date(year, month, 1),
            "window_starts_on": date.fromordinal(last.toordinal() - 29),
            "minor_units": minor_units,
            "issue_on": date.fromordinal(last.toordinal() + 1),
            "due_on": date.fromordinal(last.toordinal() + 31),
            "line_count": lines,
            "total_amount": Decimal(total),
            **taxed(distributor_id, total),
            "is_complete": True,
            "is_passed_over": False,
            "version_set_sha256": VERSION_SET,
            "policies": json.dumps(POLICIES),
            "purchase_order": f"PO-{distributor_id}",
            "seller": json.dumps(SELLER),
            "distributor": json.dumps(
                {
                    "distributor_id": distributor_id,
                    "distributor_name": name,
                    "country": country,
                    "street": "Street 1",
                    "city": "City",
                    "postal_code": "1000",
                    "tax_id": NUMBERS[distributor_id][0],
                    "endpoint_id": NUMBERS[distributor_id][1],
                }
            ),
        }
        self.put("draft_invoices", **{**row, **values})

    def line(
        self, where: tuple[str, str], number: int, product_code: str, *figures: Any, **values: Any
    ) -> None:
        """`where` is (distributor, partner); figures are quantity, unit price and amount."""
        distributor_id, partner_id = where
        product_name, category, billing_unit, sku, _ = PRODUCTS[product_code]
        quantity, unit_price, amount = figures
        price = None if unit_price is None else Decimal(unit_price)
        row = {
            "period": "2026-01",
            "distributor_id": distributor_id,
            "currency": DISTRIBUTORS[distributor_id][2],
            "line_number": number,
            "partner_id": partner_id,
            "partner_name": PARTNERS[partner_id],
            "product_code": product_code,
            "product_name": product_name,
            "category": category,
            "billing_unit": billing_unit,
            "sku": sku,
            "quantity": quantity,
            "pricing_model": "graduated" if price is None else "volume",
            "unit_price": price,
            "band_min": 1,
            "band_max": 99,
            "units_to_next_band": 100 - quantity,
            "bands": json.dumps(
                [
                    {
                        "min_quantity": 1,
                        "max_quantity": 99,
                        "unit_price": unit_price,
                        "quantity": quantity,
                    }
                ]
            ),
            "amount": Decimal(amount),
            "customer_count": 1,
        }
        self.put("draft_invoice_lines", **{**row, **values})

    def customer(
        self,
        where: tuple[str, str],
        number: int | None,
        product_code: str,
        customer_id: str,
        *figures: Any,
        **values: Any,
    ) -> None:
        """Figures are quantity and amount."""
        distributor_id, partner_id = where
        product_name, category, billing_unit, sku, listing_order = PRODUCTS[product_code]
        quantity, amount = figures
        row = {
            "period": "2026-01",
            "distributor_id": distributor_id,
            "currency": DISTRIBUTORS[distributor_id][2],
            "partner_id": partner_id,
            "partner_name": PARTNERS[partner_id],
            "product_code": product_code,
            "product_name": product_name,
            "category": category,
            "billing_unit": billing_unit,
            "sku": sku,
            "listing_order": listing_order,
            "line_number": number,
            "customer_id": customer_id,
            "customer_name": f"Customer {customer_id}",
            "licence_type": "monthly",
            "owner": "partner",
            "quantity": quantity,
            "calendar_month_units": quantity,
            "whole_month_units": quantity,
            "amount": Decimal(amount),
            "joined": 0,
            "left_since": 0,
        }
        row |= values
        self.put("draft_invoice_customers", **row)
        shared = ("period", "currency", "customer_name", "licence_type", "owner", "partner_name")
        same = {name: row[name] for name in shared}
        self.managed(where, product_code, customer_id, quantity, quantity, **same)

    def managed(
        self,
        where: tuple[str, str],
        product_code: str,
        customer_id: str,
        *figures: int,
        **values: Any,
    ) -> None:
        """Figures are active and billed units; `customer` says it of what is on the invoice."""
        distributor_id, partner_id = where
        product_name, _, billing_unit, _, listing_order = PRODUCTS[product_code]
        active_units, billed_units = figures
        row = {
            "period": "2026-01",
            "distributor_id": distributor_id,
            "currency": DISTRIBUTORS[distributor_id][2],
            "partner_id": partner_id,
            "partner_name": PARTNERS[partner_id],
            "customer_id": customer_id,
            "customer_name": f"Customer {customer_id}",
            "product_code": product_code,
            "product_name": product_name,
            "billing_unit": billing_unit,
            "listing_order": listing_order,
            "licence_type": "monthly",
            "owner": "partner",
            "active_units": active_units,
            "billed_units": billed_units,
        }
        self.put("draft_managed_customers", **{**row, **values})

    def unit(
        self,
        where: tuple[str, str],
        product_code: str,
        customer_id: str,
        unit_id: str,
        **values: Any,
    ) -> None:
        distributor_id, partner_id = where
        row = {
            "period": "2026-01",
            "distributor_id": distributor_id,
            "currency": DISTRIBUTORS[distributor_id][2],
            "line_number": 1,
            "partner_id": partner_id,
            "product_code": product_code,
            "customer_id": customer_id,
            "unit_kind": "user",
            "unit_id": unit_id,
            "is_counted": True,
            "last_device_id": f"D-{unit_id}",
            "device_count": 1,
            "last_active_on": date(2026, 1, 20),
            "active_on": [date(2026, 1, 20), date(2026, 1, 5)],
            "source_feed": "usage",
            "source_snapshot_date": date(2026, 1, 21),
            "source_name": "eu-central",
            "source_row": 12,
        }
        self.put("draft_roster", **{**row, **values})

    def discrepancy(self, discrepancy_id: str, distributor_id: str | None, **values: Any) -> None:
        row = {
            "discrepancy_id": discrepancy_id,
            "period": "2026-01",
            "kind": "unapproved_transfer",
            "severity": "blocking",
            "distributor_id": distributor_id,
            "state": "open",
            "action": "Get the missing approval.",
        }
        self.put("draft_discrepancies", **{**row, **values})


ALPHA = ("alpenland", "P0001")
BETA = ("alpenland", "P0002")
GAMMA = ("cascadia", "P0009")
YAMA = ("sakura", "P0021")


def fill_january(warehouse: Warehouse) -> None:
    """Alpenland 47.35 EUR, Cascadia 4.62 USD, Sakura nothing.

    Alpha IT, Endpoint Standard, volume at 0.335: 3 users, 3 x 0.335 = 1.005, rounded half away
      from zero 1.01. Shares of 101 cents by 2:1 users: 67.33 and 33.67, floors 67 and 33, the
      last cent to the larger remainder: 0.67 and 0.34. A third customer used nothing.
    Alpha IT, firewalls, graduated: 5 = 3 x 10 + 2 x 8 = 46.
    Beta Systems, Endpoint Standard: 1 x 0.335 = 0.34. Its Server Advanced was not used.
    Alpenland: 1.01 + 46.00 + 0.34 = 47.35.
    Cascadia: Gamma Security 2 x 2.31 = 4.62. Sakura: one customer, no use: nil.
    """
    warehouse.invoice("alpenland", "47.35", 3)
    warehouse.line(ALPHA, 1, "EPSTD", 3, "0.335000", "1.010", customer_count=2)
    warehouse.customer(ALPHA, 1, "EPSTD", "C001", 2, "0.67", calendar_month_units=3)
    warehouse.customer(ALPHA, 1, "EPSTD", "C002", 1, "0.34", joined=1)
    warehouse.customer(ALPHA, 1, "EPSTD", "C003", 0, "0", left_since=2)
    bands = [
        {"min_quantity": 1, "max_quantity": 3, "unit_price": "10.000000", "quantity": 3},
        {"min_quantity": 4, "max_quantity": None, "unit_price": "8.000000", "quantity": 2},
    ]
    warehouse.line(
        ALPHA,
        2,
        "FWENT",
        5,
        None,
        "46",
        bands=json.dumps(bands),
        band_min=4,
        band_max=None,
        units_to_next_band=None,
    )
    warehouse.customer(ALPHA, 2, "FWENT", "C001", 5, "46")
    warehouse.line(BETA, 3, "EPSTD", 1, "0.335000", "0.34")
    warehouse.customer(BETA, 3, "EPSTD", "C004", 1, "0.34")
    warehouse.customer(BETA, None, "SVADV", "C004", 0, "0")
    for customer_id, unit_id in (("C001", "u-b"), ("C001", "u-a"), ("C002", "u-c")):
        warehouse.unit(ALPHA, "EPSTD", customer_id, unit_id)
    warehouse.unit(ALPHA, "EPSTD", "C003", "u-z", is_counted=False, reason="inactive")
    for number in range(1, 6):
        warehouse.unit(ALPHA, "FWENT", "C001", f"FW{number}", line_number=2, unit_kind="firewall")
    warehouse.unit(BETA, "EPSTD", "C004", "u-d", line_number=3)
    warehouse.put(
        "draft_not_billed",
        period="2026-01",
        distributor_id="alpenland",
        partner_id="P0002",
        customer_id="C004",
        product_code="SVADV",
        reason="trial",
        units=4,
    )

    warehouse.invoice("cascadia", "4.62", 1)
    warehouse.line(GAMMA, 1, "EPSTD", 2, "2.310000", "4.62")
    warehouse.customer(GAMMA, 1, "EPSTD", "C900", 2, "4.62", customer_name="Niner LLC")
    for unit_id in ("u-x", "u-y"):
        warehouse.unit(GAMMA, "EPSTD", "C900", unit_id)

    warehouse.invoice("sakura", "0", 0)
    warehouse.customer(YAMA, None, "EPSTD", "C700", 0, "0")


def add_period(warehouse: Warehouse, period: str, distributor_id: str = "alpenland") -> None:
    """One line of 1 x 0.335 = 0.34 for Beta Systems (Alpenland) or 3 x 100 yen (Sakura)."""
    if distributor_id == "alpenland":
        warehouse.invoice("alpenland", "0.34", 1, period=period)
        warehouse.line(BETA, 1, "EPSTD", 1, "0.335000", "0.34", period=period)
        warehouse.customer(BETA, 1, "EPSTD", "C004", 1, "0.34", period=period)
        warehouse.unit(BETA, "EPSTD", "C004", "u-d", period=period)
    else:
        warehouse.invoice("sakura", "300", 1, period=period)
        warehouse.line(YAMA, 1, "EPSTD", 3, "100.000000", "300", period=period)
        warehouse.customer(YAMA, 1, "EPSTD", "C700", 3, "300", period=period)
        for unit_id in ("u-1", "u-2", "u-3"):
            warehouse.unit(YAMA, "EPSTD", "C700", unit_id, period=period)


def correct_january(warehouse: Warehouse, known_ledger: int = 1) -> None:
    """What the marts say in February's run when Alpha's customer C001 turns out to have had one
    user less in January: a credit note of 0.34 EUR.

    2 x 0.335 = 0.67 instead of 1.01. Shares of 67 cents by 1:1 users: 33.5 each, floors 33, the
    last cent to the smaller id: C001 0.34 (was 0.67, so -0.33), C002 0.33 (was 0.34, so -0.01).
    `known_ledger` is the sequence of the last document these drafts know of.
    """
    where = {"period": "2026-01", "distributor_id": "alpenland", "currency": "EUR"}
    product_name, category, billing_unit, sku, listing_order = PRODUCTS["EPSTD"]
    product = {
        "partner_id": "P0001",
        "partner_name": PARTNERS["P0001"],
        "product_code": "EPSTD",
        "product_name": product_name,
        "category": category,
        "billing_unit": billing_unit,
        "sku": sku,
        "listing_order": listing_order,
    }
    warehouse.put("issued_invoices", distributor_id="alpenland", sequence=known_ledger)
    warehouse.put(
        "draft_notes",
        **where,
        kind="credit_note",
        run_period="2026-02",
        invoice_currency="EUR",
        corrects_number="ALPENLAND-000001",
        corrects_sequence=1,
        minor_units=2,
        period_starts_on=date(2026, 1, 1),
        cutoff_on=date(2026, 1, 31),
        window_starts_on=date(2026, 1, 2),
        line_count=1,
        total_amount=Decimal("-0.34"),
        **taxed("alpenland", "-0.34"),
        policies=json.dumps(POLICIES),
    )
    late = {"cause": "late_data", "quantity": -1, "amount": "-0.340"}
    moved = {"cause": "reallocation", "quantity": 0}
    warehouse.put(
        "draft_note_lines",
        **where,
        line_number=1,
        corrects_line=1,
        **product,
        customer_count=2,
        billed_quantity=3,
        billed_unit_price=Decimal("0.335"),
        billed_amount=Decimal("1.01"),
        known_quantity=2,
        pricing_model="volume",
        unit_price=Decimal("0.335"),
        bands=json.dumps(
            [{"min_quantity": 1, "max_quantity": 99, "unit_price": "0.335000", "quantity": 2}]
        ),
        known_amount=Decimal("0.67"),
        quantity=-1,
        amount=Decimal("-0.34"),
        causes=json.dumps([late]),
    )
    for customer_id, billed, known, amounts, causes in (
        ("C001", 2, 1, ("0.67", "0.34"), [late, {**moved, "amount": "0.010"}]),
        ("C002", 1, 1, ("0.34", "0.33"), [{**moved, "amount": "-0.010"}]),
    ):
        before, after = (Decimal(amount) for amount in amounts)
        warehouse.put(
            "draft_note_customers",
            **where,
            line_number=1,
            **product,
            customer_id=customer_id,
            customer_name=f"Customer {customer_id}",
            licence_type="monthly",
            owner="partner",
            billed_quantity=billed,
            billed_amount=before,
            known_quantity=known,
            known_amount=after,
            quantity=known - billed,
            amount=after - before,
            causes=json.dumps(causes),
        )
