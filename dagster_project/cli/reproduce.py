"""The command reproduce: an issued document made again, and beside its period as known today.

Making and comparing is `lib.reproduce`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dagster_project.cli.group import main
from dagster_project.cli.telling import print_json, print_table
from dagster_project.cli.working import progress, tell_not_loaded
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.as_known import AsKnown, Changed
    from invoicing.ledger import Document
    from invoicing.reproduce import Reproduction

IDENTICAL, DIFFERENT = 0, 1


@main.command()
@click.argument("document", nargs=-1, required=True)
@click.option("--now", is_flag=True, help="Then show what differs in the period as known today.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def reproduce(settings: Settings, document: tuple[str, ...], now: bool, as_json: bool) -> None:
    """Make an issued DOCUMENT again from the file versions it names, and compare every byte.

    DOCUMENT is a number, or PERIOD DISTRIBUTOR [CURRENCY]. Works in a temporary folder; the home is
    only read. Ends with 0 when it is identical, 1 when it differs or cannot be made.
    """
    from dagster_project.lib.reproduce import as_known_today
    from dagster_project.lib.reproduce import reproduce as make_again
    from invoicing.ledger import Ledger
    from invoicing.reproduce import find, other_versions

    found = find(Ledger(settings.ledger), " ".join(document))
    if now and found.is_note:
        raise click.ClickException(
            f"{found.name} corrects {found.billed_period}: ask for its invoice as known today."
        )
    versions = other_versions(found)
    if not as_json:
        for difference in versions:
            click.echo(f"{found.name} was {difference}.")
    with progress() as tell:
        made = make_again(settings, found, tell)
        today = as_known_today(settings, found, tell) if now else None
    if as_json:
        print_json(_as_json(found, made, versions, today))
    else:
        _tell(found, made)
        if today:
            _tell_today(found, today)
            tell_not_loaded(settings)
    click.get_current_context().exit(IDENTICAL if made.is_identical else DIFFERENT)


def _as_json(
    document: Document, made: Reproduction, versions: list[str], today: AsKnown | None
) -> dict[str, object]:
    return {
        "document": document.name,
        "period": document.period,
        "distributor_id": document.distributor_id,
        "currency": document.currency,
        "is_identical": made.is_identical,
        **dataclasses.asdict(made),
        "other_versions": versions,
        **({"as_known_today": dataclasses.asdict(today)} if today else {}),
    }


def _tell(document: Document, made: Reproduction) -> None:
    click.echo(
        f"{document.name}, {document.period} {document.distributor_id}, made again from version "
        f"set {document.provenance['version_set_sha256'][:12]}"
    )
    for what, expected, found in (
        ("content", made.content_sha256_expected, made.content_sha256_found),
        ("roster", made.roster_sha256_expected, made.roster_sha256_found),
    ):
        if expected == found:
            click.echo(f"  {what} {found}: identical")
        else:
            click.echo(f"  {what} issued with {expected}\n  {what}    made now {found}")
    difference = made.first_difference
    if difference:
        click.echo(
            f"First difference: {difference.path} was {difference.expected}, is {difference.found}"
        )
    if made.roster_sha256_expected != made.roster_sha256_found:
        rows = made.roster_rows_different
        click.echo(
            f"{rows} roster rows are in one of the two only."
            if rows
            else "The rosters hold the same rows; another DuckDB wrote them in other bytes."
        )
    click.echo("Identical, byte for byte." if made.is_identical else "Different.")


def _tell_today(document: Document, today: AsKnown) -> None:
    currency = document.currency
    if today.is_same:
        click.echo(f"\nAs known today the same: {today.total_now} {currency}, the same units.")
        return
    for title, changed in (("Lines", today.lines), ("Customers", today.customers)):
        if changed:
            print_table(f"\n{title} as issued and as known today", _CHANGED, _rows(changed))
    if today.units:
        print_table(
            f"\nUnits counted now or then, not both: {len(today.units)}",
            ("", "product", "customer", "unit", "why", "said by"),
            [
                (
                    "+" if unit.is_counted_now else "-",
                    unit.product_code,
                    unit.customer_id,
                    unit.unit_id,
                    unit.why,
                    unit.source,
                )
                for unit in today.units
            ],
        )
    click.echo(f"Issued with {today.total_issued}, as known today {today.total_now} {currency}.")


_CHANGED = ("partner", "product", "customer", "units", "now", "price", "price", "amount", "amount")


def _rows(changed: Sequence[Changed]) -> list[tuple[object, ...]]:
    return [
        (
            f"{one.partner_id} {one.partner_name}",
            one.product_name,
            one.customer_id and f"{one.customer_id} {one.customer_name}",
            one.units_issued,
            one.units_now,
            one.price_issued,
            one.price_now,
            one.amount_issued,
            one.amount_now,
        )
        for one in changed
    ]
