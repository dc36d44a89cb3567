"""Commands about single lines and free questions: explain, sql.

Whole months are `months`.
"""

from __future__ import annotations

import dataclasses
import sys
from datetime import date
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from dagster_project.cli.dispute import tell_disputes
from dagster_project.cli.group import main
from dagster_project.cli.telling import days_in_words, plain, print_json, print_table
from dagster_project.cli.terminal import exact
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from invoicing.explain import Explanation, Unit


@main.command()
@click.argument("line", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def explain(settings: Settings, line: tuple[str, ...], as_json: bool) -> None:
    """Show the roster behind a line: PERIOD DISTRIBUTOR LINE, or NUMBER LINE.

    Every user, device or firewall that was counted, the dates it was active, and the row that said
    so; then those that came close.
    """
    from dagster_project.lib.status import published
    from invoicing.explain import explain as find
    from invoicing.ledger import Ledger

    found = find(Ledger(settings.ledger), published(settings), " ".join(line))
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        _tell_explanation(found)


@main.command()
@click.argument("query")
@click.option("--csv", "as_csv", is_flag=True, help="CSV instead of a table.")
@click.pass_obj
def sql(settings: Settings, query: str, as_csv: bool) -> None:
    """Run one SELECT on the publication; it reads nothing else and writes nothing."""
    import duckdb

    from dagster_project.lib.status import published

    conn = published(settings)
    if conn is None:
        raise click.ClickException("Nothing is published yet. Run `muster load` first.")
    with conn, TemporaryDirectory(prefix="muster-sql-") as spill:
        _shut(conn, settings, spill)
        try:
            statements = duckdb.extract_statements(query)
            # COPY, EXPORT and EXPLAIN ANALYZE of these would write files whatever the database is.
            if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
                raise click.ClickException(
                    "Only one SELECT (or FROM, DESCRIBE, SUMMARIZE, SHOW) is run here. For all "
                    f"else open {settings.published / 'current.duckdb'} read-only in DuckDB."
                )
            cursor = conn.execute(query)
            headers = [column[0] for column in cursor.description or []]
            rows = [[plain(value) for value in row] for row in cursor.fetchall()]
        except duckdb.Error as error:
            raise click.ClickException(
                f"The query cannot be run: {error}\n"
                '`muster sql "show all tables"` lists tables and their columns.'
            ) from error
    if as_csv:
        import csv

        writer = csv.writer(exact(sys.stdout), lineterminator="\n")
        writer.writerow(headers)
        writer.writerows(rows)
    else:
        print_table(None, headers, rows)


def _shut(conn: duckdb.DuckDBPyConnection, settings: Settings, spill: str) -> None:
    """Let a query see what is published and use memory and `spill`: nothing else, and for good.

    A SELECT can call functions that read files and other databases, write logs and profiles, fetch
    extensions, look at this program's variables, or change the settings that forbid it.
    """
    conn.execute("set memory_limit = ?", [settings.memory_limit])
    conn.execute("set temp_directory = ?", [spill])
    conn.execute("set autoinstall_known_extensions = false")
    conn.execute("set autoload_known_extensions = false")
    conn.execute("set python_enable_replacements = false")
    conn.execute("set enable_external_access = false")
    conn.execute("set lock_configuration = true")


def _tell_explanation(found: Explanation) -> None:
    line = found.line
    click.echo(
        f"{found.number or 'Draft'} · {found.period} {found.distributor_id} · line "
        f"{line['line_number']}: {line['partner_name']}, {line['product_name']}, "
        f"{line['quantity']} {line['billing_unit']}s, {line['amount']} {found.currency}\n"
        f"Active from {found.window_starts_on} to {found.cutoff_on}"
    )
    tell_disputes([found.dispute] if found.dispute else [], "Disputed")
    titles = ("Counted", "Not counted") if found.kind == "invoice" else ("Added", "Taken back")
    for title, units in zip(titles, (found.counted, found.not_counted), strict=True):
        if units:
            print_table(
                f"{title}: {len(units)}",
                ("customer", "unit", "last active", "active on", "said by", "why not"),
                [_unit_row(unit) for unit in units],
            )


def _unit_row(unit: Unit) -> tuple[object, ...]:
    return (
        unit.customer_id,
        unit.unit_id,
        unit.last_active_on,
        days_in_words([date.fromisoformat(day) for day in unit.active_on]),
        unit.source,
        unit.reason,
    )
