"""How long the folder of a distributor with many partners takes, format by format, in one run.

    python tests/benchmarks/render_folders.py --partners 1000

A partner has 10 customers of two products with 50 users in all. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/invoicing"))

from billing_marts import ALPHA, PARTNERS, Warehouse

from invoicing import documents, gate
from invoicing.exports import folder
from invoicing.ledger import Ledger

_CUSTOMERS, _USERS = 10, 5
# Each partner is a copy of the first with another id.
_LINE = ("printf('P%05d', copy) as partner_id", "line_number + 2 * copy as line_number")
_CUSTOMER = (*_LINE, "customer_id || '-' || copy as customer_id")
_COPIES = {
    "draft_invoice_lines": _LINE,
    "draft_invoice_customers": _CUSTOMER,
    "draft_managed_customers": (_LINE[0], _CUSTOMER[-1]),
    "draft_roster": _CUSTOMER,
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--partners", type=int, default=1000)
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="render-") as root:
        ledger = Ledger(Path(root) / "ledger")
        _issue(ledger, wanted.partners)
        spent = _watch()
        began = time.perf_counter()
        (rendered,) = folder.render_period(ledger, "2026-01", Path(root) / "exports")
        seconds, spent = time.perf_counter() - began, dict(spent)
        again = time.perf_counter()
        folder.render_period(ledger, "2026-01", Path(root) / "exports")
        again = time.perf_counter() - again
        size = sum((rendered.folder / name).stat().st_size for name in rendered.files)
    print(
        f"{wanted.partners} partners: {len(rendered.files):,} files, {size / 1e6:,.0f} MB in "
        f"{seconds:.1f} s; rendered again to find nothing changed {again:.1f} s"
    )
    for name, took in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {name:30} {took:6.1f} s  {took / seconds:4.0%}")


def _issue(ledger: Ledger, partners: int) -> None:
    warehouse = Warehouse()
    warehouse.conn.execute("update billing.draft_safety_bounds set value = 1000000000")
    units = _CUSTOMERS * _USERS
    for number, product in ((1, "EPSTD"), (2, "FWENT")):
        warehouse.line(ALPHA, number, product, units, "2.000000", str(2 * units))
        for customer in range(_CUSTOMERS):
            name = f"C{customer:03d}"
            warehouse.customer(ALPHA, number, product, name, _USERS, str(2 * _USERS))
            for user in range(_USERS):
                warehouse.unit(ALPHA, product, name, f"u{customer}-{user}", line_number=number)
    for table, change in _COPIES.items():
        warehouse.conn.execute(
            f"""
            insert into billing.{table}
            select * exclude (copy) replace ({", ".join(change)})
            from billing.{table}, range(1, {partners}) as copies(copy)
            """
        )
    PARTNERS.update({f"P{copy:05d}": f"Partner {copy}" for copy in range(1, partners)})
    lines = 2 * partners
    warehouse.invoice("alpenland", str(2 * units * lines), lines)
    gate.decide(warehouse.conn, ledger, "2026-01", [])
    documents.issue(warehouse.conn, ledger, "2026-01")


def _watch() -> dict[str, float]:
    """Seconds by the function of `folder` that made a file; what is written is in `_write`."""
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, function: Any) -> Any:
        def run(*arguments: Any) -> Any:
            began = time.perf_counter()
            made = function(*arguments)
            found = made if not hasattr(made, "__next__") else list(made)
            spent[name] += time.perf_counter() - began
            return found

        return run

    for name in (
        *("invoice_json", "invoice_csv", "invoice_xlsx", "invoice_pdf", "usage_csv", "_ubl"),
        *("discrepancies_csv", "statements", "statements_xlsx", "statements_pdf"),
        *("psa_additions", "managed_customer_usage", "focus", "_write", "_is_same", "_manifest"),
    ):
        setattr(folder, name, timed(name, getattr(folder, name)))
    return spent


if __name__ == "__main__":
    main()
