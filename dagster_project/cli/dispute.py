"""The command for what distributors contest: dispute.

Notes on issued lines only; what corrects a line is decided elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from dagster_project.cli.group import main
from dagster_project.cli.telling import print_json, print_table
from dagster_project.lib import lock
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.disputes import Dispute


@main.command()
@click.argument("number", required=False)
@click.argument("line", required=False, type=click.IntRange(1))
@click.option("--note", help="What is contested, or what was found out.")
@click.option("--by", "name", metavar="NAME", help="Who writes the note.")
@click.option("--settle", is_flag=True, help="Close the dispute with this note.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The note's day [today, UTC].")
@click.option("--all", "settled_too", is_flag=True, help="List settled ones too.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def dispute(
    settings: Settings,
    number: str | None,
    line: int | None,
    note: str | None,
    name: str | None,
    settle: bool,
    on: datetime | None,
    settled_too: bool,
    as_json: bool,
) -> None:
    """Note that an issued line is contested: NUMBER LINE --note TEXT --by NAME.

    The first note opens the dispute, --settle closes it. It is shown with the line until then and
    changes no document and no export. Without NUMBER and LINE: the open disputes.
    """
    from invoicing import disputes
    from invoicing.ledger import Ledger

    ledger = Ledger(settings.ledger)
    if number is None:
        if note is not None or name is not None or settle or on is not None:
            raise click.UsageError("A note needs its line: NUMBER LINE --note TEXT --by NAME.")
        found = [one for one in disputes.every(ledger) if settled_too or one.is_open]
        if as_json:
            print_json([dataclasses.asdict(one) for one in found])
        else:
            tell_disputes(found, "Disputes" if settled_too else "Open disputes")
            if not found:
                click.echo("No dispute is open." if not settled_too else "There are no disputes.")
        return
    if line is None or note is None or name is None or settled_too:
        raise click.UsageError("Give NUMBER LINE --note TEXT --by NAME, or nothing for the list.")
    day = on.date() if on else datetime.now(UTC).date()
    made, is_new = _record(settings, number, line, text=note, by=name, on=day, settle=settle)
    if as_json:
        print_json(dataclasses.asdict(made))
        return
    did = {"opened": "Opened", "noted": "Noted", "settled": "Settled"}[made.notes[-1].kind]
    before = "" if is_new else f" already, on {made.notes[-1].on}"
    click.echo(
        f"{did}{before}: line {line} of {number}, {made.partner_name}, {made.product_name}, "
        f"{made.amount} {made.currency}. Analysts see it after the next `muster load`."
    )


def tell_disputes(found: Sequence[Dispute], title: str) -> None:
    """A table with every note, nothing at all when there is no dispute."""
    if not found:
        return
    print_table(
        title,
        ("number", "line", "partner", "product", "amount", "currency", "since", "state", "notes"),
        [
            (
                one.number,
                one.line_number,
                f"{one.partner_id} {one.partner_name}",
                one.product_name,
                one.amount,
                one.currency,
                one.since,
                None if one.is_open else one.state,
                "\n".join(f"{note.on} {note.by}: {note.text}" for note in one.notes),
            )
            for one in found
        ],
    )


def _record(
    settings: Settings, number: str, line: int, *, text: str, by: str, on: date, settle: bool
) -> tuple[Dispute, bool]:
    from invoicing import disputes
    from invoicing.ledger import Ledger

    if not settings.ledger.exists():
        # Taking the lock would make a home out of a mistyped path.
        raise click.ClickException(
            f"{settings.ledger} has no issued documents, so there is nothing to dispute. Give the "
            "right home with --home."
        )
    with lock.writer(settings.lock, "muster dispute"):
        ledger = Ledger(settings.ledger)
        return disputes.record(ledger, number, line, text=text, by=by, on=on, settle=settle)
