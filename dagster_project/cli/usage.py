"""The command usage: what managed customers use now, before anything is invoiced.

How it is counted is lib/usage; what the page looks like is `invoicing`'s.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dagster_project.cli.group import main
from dagster_project.cli.telling import print_json, print_table
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.exports.managed_customer_usage import ProductUse, Usage


@main.command()
@click.option("--partner", metavar="ID", help="Only this partner's customers, one by one.")
@click.option("--distributor", metavar="ID", help="Only what this distributor is invoiced.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Another date than the latest every source has delivered.",
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the page that a partner or distributor can be shown.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def usage(
    settings: Settings,
    partner: str | None,
    distributor: str | None,
    as_of: datetime | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show what every managed customer uses: in the 30-day window and since the period began.

    Reads the publication, locks nothing, and is provisional: what counts is the invoice.
    """
    from dagster_project.lib.status import published
    from dagster_project.lib.usage import latest
    from dagster_project.lib.usage import usage as usage_on
    from invoicing.exports.managed_customer_usage import page
    from invoicing.ledger import Ledger

    conn = published(settings)
    if conn is None:
        raise click.ClickException("Nothing is published yet. Run `muster load` first.")
    with conn:
        known_to = latest(conn)
        on = as_of.date() if as_of else known_to
        if on is None or known_to is None:
            raise click.ClickException("No usage is published yet. Run `muster load` first.")
        if on > known_to:
            raise click.ClickException(
                f"Usage is known up to {known_to}, not up to {on}. Give no later --as-of."
            )
        found = usage_on(conn, Ledger(settings.ledger), on, partner, distributor)
    if html is not None:
        if len(found) > 1:
            names = ", ".join(one.owner_id for one in found)
            raise click.ClickException(
                f"A page is one partner's or one distributor's. Give --distributor, one of {names}."
            )
        html.write_bytes(page(found[0]))
        click.echo(f"{html}: {found[0].owner_name}, provisional, as of {on}", err=as_json)
    if as_json:
        print_json([_as_json(one) for one in found])
    elif html is None:
        for one in found:
            _tell(one, by_customer=partner is not None)


def _as_json(usage: Usage) -> dict[str, Any]:
    return {
        "state": usage.state,
        "as_of": usage.as_of,
        "period": usage.period,
        usage.owner_kind: usage.owner_id,
        "window_starts_on": usage.window_starts_on,
        "customers": [
            {
                "partner_id": use.partner_id,
                "customer_id": use.customer_id,
                "customer_name": use.customer_name,
                "product_code": use.product_code,
                "licence_type": use.licence_type,
                "owner": use.owner,
                "licensed_quantity": use.licensed_quantity,
                "active_units": use.active_units,
                "billed_units": use.billed_units,
                "month_to_date_units": use.month_to_date,
                "joined": use.joined,
                "left_since": use.left_since,
            }
            for use in usage.uses
        ],
    }


def _tell(usage: Usage, *, by_customer: bool) -> None:
    click.echo(
        f"{usage.owner_name} ({usage.owner_id}): usage as of {usage.as_of}, provisional\n"
        f"Active: from {usage.window_starts_on} to {usage.as_of}; month to date: {usage.period}"
    )
    places = {one.product_code: at for at, one in enumerate(usage.products)}
    groups: dict[tuple[str, int, str], list[ProductUse]] = defaultdict(list)
    for use in usage.uses:
        who = f"{use.customer_id} {use.customer_name}"
        if not by_customer:
            who = f"{use.partner_id} {use.partner_name}"
        groups[who, places[use.product_code], use.licence_type].append(use)
    rows = [
        (
            name,
            usage.products[product].product_name,
            licence_type,
            len({use.customer_id for use in uses}),
            sum(use.active_units for use in uses),
            sum(use.billed_units for use in uses),
            sum(use.month_to_date or 0 for use in uses),
        )
        for (name, product, licence_type), uses in sorted(groups.items())
    ]
    who = "customer" if by_customer else "partner"
    print_table(
        "",
        (who, "product", "licence", "customers", "active", "billable", "month to date"),
        rows,
    )
    customers = {use.customer_id for use in usage.uses}
    click.echo(
        f"{len(customers):,} managed customers, "
        f"{sum(use.active_units for use in usage.uses):,} active units"
    )
