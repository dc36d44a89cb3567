"""Two PSAs read a day apart, and what they bill though nothing is billed here, to the last file.

Each rule by itself is a unit test beside its model.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb
import pytest
from house import House
from tiny import month_end, seeds, usage, write

# psa, company, agreement, addition, product, quantity, price. Of ConnectWise on the 31st: C1's 2
# of EPADV, 9 of WEB, which C1 has no licence for any more, and 3 of a company nobody names.
CONNECTWISE = [
    ("connectwise", "K1", "A1", "1", "PE", 2, "4.50"),
    ("connectwise", "K1", "A1", "2", "PW", 9, "3.00"),
    ("connectwise", "K9", "A9", "3", "PE", 3, "4.50"),
]
# Of Autotask on the 30th: C2's 7 of EPADV, as many as are used.
AUTOTASK = [("autotask", "T2", "B1", "1", "TE", 7, "5.00")]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("psas")
    reference = seeds(root / "seeds")
    _rows(
        reference / "psa_companies.csv",
        ("connectwise", "K1", "C1", "2025-01-01", ""),
        ("autotask", "T2", "C2", "2025-01-01", ""),
    )
    _rows(
        reference / "psa_products.csv",
        ("connectwise", "PE", "EPADV", "2025-01-01", ""),
        ("connectwise", "PW", "WEB", "2025-01-01", ""),
        ("autotask", "TE", "EPADV", "2025-01-01", ""),
    )
    house = House(root / "home", root / "landing", reference)
    month_end(
        house.landing,
        "2026-01-31",
        [*usage("C1", "ab", "2026-01-20"), *usage("C2", "cdefghi", "2026-01-20")],
    )
    licences = house.landing / "licences/2026-01-31/crm.csv"
    with licences.open("a", newline="") as file:
        ended = ("L-W", "C1", "WEB", "monthly", "partner", "", "", "2025-01-01", "2025-12-15")
        csv.writer(file, lineterminator="\n").writerow(("2026-01-31", *ended))
    write(house.landing, "psa_additions", "2026-01-31", "connectwise", CONNECTWISE)
    write(house.landing, "psa_additions", "2026-01-30", "autotask", AUTOTASK)
    house.muster("close", "2026-01")
    return house


def _rows(path: Path, *rows: tuple[str, ...]) -> None:
    header = path.read_text(encoding="utf-8").splitlines()[0]
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")


def test_every_source_is_read_on_its_own_latest_day(house: House) -> None:
    """Autotask's 7 of the 30th agree: kept, neither added again nor a difference."""
    path = house.home / "exports/2026-01/alpenland/partners/P1/psa_additions.csv"
    with path.open(newline="") as file:
        found = {
            (row["psa"], row["company_id"], row["product_code"]): (
                f"{row['from_quantity']}→{row['to_quantity']}",
                row["action"],
                row["counted_on"],
            )
            for row in csv.DictReader(file)
        }
    assert found == {
        ("autotask", "T2", "EPADV"): ("7→7", "keep", "2026-01-30"),
        ("connectwise", "K1", "EPADV"): ("2→2", "keep", "2026-01-31"),
        ("connectwise", "K1", "WEB"): ("9→0", "remove", "2026-01-31"),
        ("connectwise", "K9", "EPADV"): ("3→0", "unknown_customer", "2026-01-31"),
    }


def test_what_a_psa_bills_alone_is_found_with_its_amount(house: House) -> None:
    """First bands in EUR: WEB 1.250 x 9 = 11.25; EPADV 3.350 x 3 = 10.05."""
    with duckdb.connect(str(house.home / "published/current.duckdb"), read_only=True) as conn:
        found = conn.execute(
            "select kind, partner_id, customer_id, product_code, subject, units, "
            "amount_at_stake::varchar, currency from quality.discrepancies "
            "where kind like '%psa%' order by all"
        ).fetchall()
    assert found == [
        ("psa_without_licence", "P1", "C1", "WEB", "connectwise K1", 9, "11.250", "EUR"),
        ("unknown_psa_company", "P1", None, "EPADV", "connectwise K9", 3, "10.050", "EUR"),
    ]


def test_compare_names_the_cause(house: House) -> None:
    found: Any = house.ask("compare", "--period", "2026-01", "--against", "psa")
    assert [
        (one["customer_id"], one["product_code"], one["difference"], one["causes"][0]["cause"])
        for one in found["differences"]
    ] == [
        ("C1", "WEB", 9, "no_monthly_licence"),
        ("connectwise K9", "EPADV", 3, "unmatched_id"),
    ]
