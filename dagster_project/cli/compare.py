"""The command compare: our counts beside somebody else's, and why they differ.

How a difference splits is SQL in the publication; reading the other side's file is lib/compare.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from dagster_project.cli.group import main
from dagster_project.cli.telling import print_json, print_table
from dagster_project.cli.working import check_period
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from dagster_project.lib.compare import Comparison, Difference


@main.command()
@click.option("--period", required=True, help="Our period, such as 2026-01.")
@click.option(
    "--against",
    required=True,
    metavar="portal|psa|period:YYYY-MM|FILE.csv",
    help="The other side. A file has the columns customer_id, product_code, then quantity or "
    "unit_id, and optionally counted_on.",
)
@click.option("--distributor", metavar="ID", help="Only what this distributor is invoiced.")
@click.option("--partner", metavar="ID", help="Only this partner's customers.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def compare(
    settings: Settings,
    period: str,
    against: str,
    distributor: str | None,
    partner: str | None,
    as_json: bool,
) -> None:
    """Say why another count differs from ours: causes that add up exactly to each difference.

    Reads the publication and writes nothing.
    """
    from dagster_project.lib import compare as comparing
    from dagster_project.lib.status import published

    check_period(settings, period)
    scope = comparing.Scope(period, distributor, partner)
    conn = published(settings)
    if conn is None:
        raise click.ClickException("Nothing is published yet. Run `muster load` first.")
    with conn:
        if against in ("portal", "psa"):
            side: Literal["portal", "psa"] = "portal" if against == "portal" else "psa"
            found = comparing.with_published(conn, scope, side)
        elif against.startswith("period:"):
            other = against.removeprefix("period:")
            check_period(settings, other)
            found = comparing.with_period(conn, scope, other)
        elif Path(against).is_file():
            found = comparing.with_file(conn, scope, Path(against))
        else:
            raise click.ClickException(
                f"{against!r} is no file. Give portal, psa, period:YYYY-MM or a CSV file."
            )
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        _tell(found)


def _tell(found: Comparison) -> None:
    unlisted = defaultdict(list)
    for one in found.differences:
        if _is_unlisted(one):
            unlisted[_whose(one)].append(one.ours)
            continue
        click.echo(_headline(one))
        for cause in one.causes:
            click.echo(f"  {cause.units:+} {cause.cause}: {cause.evidence}")
        if one.other_fits:
            plural = "s" if one.other_fits > 1 else ""
            click.echo(f"  {one.other_fits} other explanation{plural} would add up as well.")
    for whose, units in unlisted.items():
        click.echo(
            f"{whose}: {len(units)} products with {sum(units)} units here, nothing there\n"
            f"  {-sum(units):+} unmatched_id: The other side lists nothing of this customer."
        )
    if found.totals:
        print_table(
            "Causes",
            ("cause", "differences", "more", "fewer", "units"),
            [
                (one.cause, one.differences, one.more or None, one.fewer or None, f"{one.units:+}")
                for one in found.totals
            ],
        )
    click.echo(f"{found.agree} agree, {len(found.differences)} differ.")
    if found.left_out:
        click.echo(f"Rows of the file about customers on other bills, left out: {found.left_out}.")
    if found.issued_apart:
        click.echo(
            "Compared is what is known now. Lines that were issued with another quantity: "
            f"{found.issued_apart}; `muster draft {found.period}` shows both."
        )


def _is_unlisted(one: Difference) -> bool:
    """Whether the other side does not have the customer at all: a line a customer is enough."""
    return bool(one.ours) and not one.theirs and [x.cause for x in one.causes] == ["unmatched_id"]


def _whose(one: Difference) -> str:
    bill = " ".join(part for part in (one.distributor_id, one.partner_id) if part)
    name = f" {one.customer_name}" if one.customer_name else ""
    return f"{bill}{' · ' if bill else ''}{one.customer_id}{name}"


def _headline(one: Difference) -> str:
    on = f" on {one.counted_on}" if one.counted_on else ""
    return (
        f"{_whose(one)} · {one.product_code}: {one.ours} here, {one.theirs} there{on}, "
        f"difference {one.difference:+}"
    )
