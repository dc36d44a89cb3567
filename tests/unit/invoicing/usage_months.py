"""Two issued months of Alpenland with customers of every kind, for the page of managed customers.

Every figure is derived in `fill_usage`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from billing_marts import ALPHA, BETA, Warehouse

from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]
IMAGE = '<img src=x onerror="window.hacked=1">'
SCRIPT = "</script><script>window.hacked=2</script>\u2028&amp;"
FORMULA = '=HYPERLINK("x");=1+1\t=2'
# As the page and the CSV file name them.
NAMES = {
    "C001": "Zoë Ærøskøbing GmbH",
    "C002": IMAGE,
    "C003": SCRIPT,
    "C004": FORMULA,
    "C005": "さくら商事",
    "C006": "\u202egnp.exe\x1b[2J",
    "C007": "Äpfel",
    "C008": "Zebra",
    "C009": "Beta's customer",
}
FEBRUARY = [date(2026, 2, number) for number in range(1, 29)]


def fill_usage(warehouse: Warehouse) -> None:
    """January and February of Alpenland; what is told of February:

    Alpha IT, Endpoint Standard, monthly: C001 3 users (u-a, u-b, u-c), C002 1, C003 1, C004 0: 5.
      u-c joined: not in January's roster. u-old was in it and left.
    Server Advanced, term, owned by the customer: C001 bought 10, 2 active, not billed.
    Firewall: C001 2 active, 1 billed, the other counted through it.
    C005: trial, Endpoint, 1 active. C006: monthly, nothing used. C007, C008: monthly, 2 and 11.
    So Endpoint: 3 + 1 + 1 + 0 + 0 + 2 + 11 = 18 billed, 18 + 1 = 19 active; server 2 active, 0
    billed; firewall 2 active, 1 billed. Alpha's page: 23 active, 19 billed, 8 customers: all 8
    with a licence the partner owns, 1 with one the customer owns.
    Beta Systems: C009 4 users. The distributor's page: 27 active, 23 billed, 9 customers.
    """
    january = {"period": "2026-01"}
    warehouse.invoice("alpenland", "1.01", 1, **january)
    warehouse.line(ALPHA, 1, "EPSTD", 3, "0.335000", "1.010", **january)
    warehouse.customer(ALPHA, 1, "EPSTD", "C001", 3, "1.01", **january)
    for unit_id in ("u-a", "u-b", "u-old"):
        warehouse.unit(ALPHA, "EPSTD", "C001", unit_id, **january)

    february = {"period": "2026-02"}
    warehouse.invoice("alpenland", "17.37", 3, **february)
    # 18 x 0.335 = 6.03; 1 x 10 = 10; 4 x 0.335 = 1.34; 6.03 + 10 + 1.34 = 17.37
    warehouse.line(ALPHA, 1, "EPSTD", 18, "0.335000", "6.03", customer_count=5, **february)
    # Shares in proportion to units: 603 cents by 3:1:1:2:11 are 100.5, 33.5, 33.5, 67, 368.5;
    # floors 601, the two cents left to C001 and C002.
    for customer_id, units, amount, changes in (
        ("C001", 3, "1.01", {"joined": 1, "left_since": 1}),
        ("C002", 1, "0.34", {}),
        ("C003", 1, "0.33", {}),
        ("C004", 0, "0", {}),
        ("C006", 0, "0", {}),
        ("C007", 2, "0.67", {}),
        ("C008", 11, "3.68", {}),
    ):
        _customer(warehouse, customer_id, "EPSTD", units, amount, **changes)
    warehouse.line(ALPHA, 2, "FWENT", 1, "10", "10", **february)
    _customer(warehouse, "C001", "FWENT", 1, "10")
    warehouse.conn.execute(
        "update billing.draft_managed_customers set active_units = 2 "
        "where product_code = 'FWENT' and customer_id = 'C001'"
    )
    warehouse.line(BETA, 3, "EPSTD", 4, "0.335000", "1.34", **february)
    warehouse.customer(BETA, 3, "EPSTD", "C009", 4, "1.34", customer_name=NAMES["C009"], **february)
    for product_code, customer_id, units, licence in (
        ("SVADV", "C001", 2, {"licence_type": "term", "owner": "customer"}),
        ("EPSTD", "C005", 1, {"licence_type": "trial", "owner": "partner"}),
    ):
        name = {"customer_name": NAMES[customer_id]}
        bought = {"licensed_quantity": 10} if licence["licence_type"] == "term" else {}
        warehouse.managed(
            ALPHA, product_code, customer_id, units, 0, **licence, **name, **bought, **february
        )
    for customer_id, product_code, reason, units in (
        ("C001", "SVADV", "term", 2),
        ("C001", "FWENT", "ha_member", 1),
        ("C005", "EPSTD", "trial", 1),
    ):
        warehouse.put(
            "draft_not_billed",
            **february,
            distributor_id="alpenland",
            partner_id="P0001",
            customer_id=customer_id,
            product_code=product_code,
            reason=reason,
            units=units,
        )
    # u-a on every date up to the 27th, u-b on the 1st and 2nd, u-c on the 28th: 2, 2, 1, ..., 1, 1.
    _unit(warehouse, "EPSTD", "C001", "u-a", FEBRUARY[:27])
    _unit(warehouse, "EPSTD", "C001", "u-b", FEBRUARY[:2])
    _unit(warehouse, "EPSTD", "C001", "u-c", FEBRUARY[27:])
    _unit(warehouse, "EPSTD", "C001", "u-near", [], is_counted=False, reason="outside_window")
    _unit(warehouse, "EPSTD", "C002", IMAGE, FEBRUARY[:1])
    _unit(warehouse, "EPSTD", "C003", SCRIPT, FEBRUARY[:1])
    for number in (1, 2):
        _unit(warehouse, "EPSTD", "C007", f"u-7-{number}", FEBRUARY[:5])
    for number in range(11):
        _unit(warehouse, "EPSTD", "C008", f"u-8-{number:02d}", FEBRUARY[:3])
    _unit(warehouse, "EPSTD", "C005", "u-trial", FEBRUARY[:1], is_counted=False, reason="trial")
    for unit_id in ("s-1", "s-2"):
        _unit(warehouse, "SVADV", "C001", unit_id, FEBRUARY[:1], is_counted=False, reason="term")
    _unit(warehouse, "FWENT", "C001", "FW1", FEBRUARY, unit_kind="firewall")
    _unit(
        warehouse,
        "FWENT",
        "C001",
        "FW2",
        FEBRUARY,
        unit_kind="firewall",
        is_counted=False,
        reason="ha_member",
    )
    for number in range(4):
        warehouse.unit(BETA, "EPSTD", "C009", f"u-9-{number}", **february)


def _customer(
    warehouse: Warehouse,
    customer_id: str,
    product_code: str,
    units: int,
    amount: str,
    **values: Any,
) -> None:
    warehouse.customer(
        ALPHA,
        1 if product_code == "EPSTD" else 2,
        product_code,
        customer_id,
        units,
        amount,
        period="2026-02",
        customer_name=NAMES[customer_id],
        **values,
    )


def _unit(
    warehouse: Warehouse,
    product_code: str,
    customer_id: str,
    unit_id: str,
    active_on: list[date],
    **values: Any,
) -> None:
    warehouse.unit(
        ALPHA,
        product_code,
        customer_id,
        unit_id,
        period="2026-02",
        active_on=active_on,
        last_active_on=max(active_on, default=date(2026, 1, 28)),
        **values,
    )
