"""What a distributor with a long roster takes to issue and render: peak memory against its rows.

    python tests/benchmarks/roster.py --rows 500000 5000000

One partner's customers with a thousand users each, thirty active dates a user. Each step of each
size is its own process, so that the peaks are its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/invoicing"))

from report import Spent, Table, run, tell

_USERS = 1_000
_LIMIT = "2GiB"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, nargs="+", default=[500_000, 5_000_000])
    asked.add_argument("--step", choices=["issue", "render"], help=argparse.SUPPRESS)
    asked.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    wanted = asked.parse_args()
    if wanted.step == "issue":
        _issue(wanted.folder, wanted.rows[0])
    elif wanted.step == "render":
        _render(wanted.folder)
    else:
        with tempfile.TemporaryDirectory(prefix="roster-") as folder:
            tell(measure(Path(folder), wanted.rows))


def measure(folder: Path, sizes: list[int]) -> Table:
    """Peak memory and seconds of issuing and of rendering, for each number of roster rows."""
    lines = []
    for size in sizes:
        place = folder / str(size)
        place.mkdir()
        issued, rendered = (_step(step, size, place) for step in ("issue", "render"))
        roster = next((place / "exports").rglob("roster.parquet")).stat().st_size
        lines.append(
            (
                f"{size:,}",
                f"{roster / 1e6:,.0f} MB",
                *(f"{spent.wall:.0f} s" for spent in (issued, rendered)),
                *(f"{spent.peak / 2**30:.2f} GiB" for spent in (issued, rendered)),
            )
        )
    columns = (
        *("Roster rows", "roster.parquet", "Issue", "Render"),
        *("Peak, issue", "Peak, render"),
    )
    return Table("roster", columns, lines)


def _step(step: str, size: int, place: Path) -> Spent:
    return run(
        [sys.executable, __file__, "--step", step, "--rows", str(size), "--folder", place], place
    )


def _issue(folder: Path, size: int) -> None:
    """The draft is made in a file, as in a home, with a limit to DuckDB's memory."""
    import duckdb
    from billing_marts import ALPHA, DDL, Warehouse

    from invoicing import documents, gate
    from invoicing.ledger import Ledger

    warehouse = Warehouse()
    warehouse.conn.execute("update billing.draft_safety_bounds set value = 1000000000")
    customers = size // _USERS
    warehouse.line(ALPHA, 1, "EPSTD", size, "2.000000", str(2 * size))
    for number in range(customers):
        name = f"C{number:06d}"
        warehouse.customer(ALPHA, 1, "EPSTD", name, _USERS, str(2 * _USERS))
    warehouse.unit(ALPHA, "EPSTD", "C000000", "u", line_number=1)
    warehouse.invoice("alpenland", str(2 * size), 1)
    conn = duckdb.connect(str(folder / "draft.duckdb"))
    conn.execute(f"set memory_limit = '{_LIMIT}'")
    conn.execute(DDL)
    for schema, table in warehouse.conn.execute(
        "select schema_name, table_name from duckdb_tables()"
    ).fetchall():
        name = f"{schema}.{table}"
        held = warehouse.conn.execute(f"from {name}").fetchall()
        conn.execute(f"delete from {name}")
        if held:
            marks = ", ".join("?" * len(held[0]))
            conn.executemany(f"insert into {name} values ({marks})", held)
    conn.execute(
        """
        create table one as from billing.draft_roster;
        delete from billing.draft_roster;
        insert into billing.draft_roster by name
        select one.* replace (
            format('C{:06d}', customer) as customer_id,
            format('u-{:016x}', hash(customer, user)) as unit_id,
            format('d-{:016x}', hash(user, customer)) as last_device_id,
            list_transform(range(30), lambda day: date '2026-01-02' + cast(day as integer))
                as active_on,
            1000 * customer + user as source_row
        )
        from one, range($customers) as customers(customer), range($users) as users(user)
        """.replace("$customers", str(customers)).replace("$users", str(_USERS))
    )
    ledger = Ledger(folder / "ledger")
    gate.decide(conn, ledger, "2026-01", [])
    documents.issue(conn, ledger, "2026-01")


def _render(folder: Path) -> None:
    from invoicing.exports.folder import render_period
    from invoicing.ledger import Ledger

    (rendered,) = render_period(Ledger(folder / "ledger"), "2026-01", folder / "exports")
    assert rendered.is_changed


if __name__ == "__main__":
    main()
