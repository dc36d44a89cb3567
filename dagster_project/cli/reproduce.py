"""The command reproduce: an issued document made again, and beside what is known today.

Making it is `lib.reproduce`, comparing it with today `lib.as_known`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from dagster_project.cli.group import main
from dagster_project.cli.telling import print_json
from dagster_project.cli.working import progress
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.ledger import Document
    from invoicing.reproduce import Reproduction

IDENTICAL, DIFFERENT = 0, 1


@main.command()
@click.argument("document", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def reproduce(settings: Settings, document: tuple[str, ...], as_json: bool) -> None:
    """Make an issued DOCUMENT again from the file versions it names, and compare every byte.

    DOCUMENT is a number, or PERIOD DISTRIBUTOR [CURRENCY]. Works in a temporary folder; the home is
    only read. Ends with 0 when it is identical, 1 when it differs or cannot be made.
    """
    from dagster_project.lib.reproduce import reproduce as make_again
    from invoicing.ledger import Ledger
    from invoicing.reproduce import find, other_versions

    found = find(Ledger(settings.ledger), " ".join(document))
    versions = other_versions(found)
    if not as_json:
        for difference in versions:
            click.echo(f"{found.name} was {difference}.")
    with progress() as tell:
        made = make_again(settings, found, tell)
    if as_json:
        print_json(_as_json(found, made, versions))
    else:
        _tell(found, made)
    click.get_current_context().exit(IDENTICAL if made.is_identical else DIFFERENT)


def _as_json(document: Document, made: Reproduction, versions: list[str]) -> dict[str, object]:
    return {
        "document": document.name,
        "period": document.period,
        "distributor_id": document.distributor_id,
        "currency": document.currency,
        "is_identical": made.is_identical,
        **dataclasses.asdict(made),
        "other_versions": versions,
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
