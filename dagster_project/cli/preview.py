"""What `muster draft --partner` tells: one partner's part of a draft, fit to be handed on.

What may be shown is decided in `invoicing.preview`.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from dagster_project.cli.telling import print_json, print_table
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.preview import Preview

_HEADERS = ("product", "customer", "units", "joined", "left", "price", "amount", "to next price")


def tell_preview(
    settings: Settings, period: str, partner_id: str, distributor_id: str | None, *, as_json: bool
) -> None:
    """The preview from the publication, which is up to date with what landed."""
    from dagster_project.lib.status import published
    from dagster_project.lib.usage import latest
    from invoicing.ledger import Ledger
    from invoicing.preview import previews

    conn = published(settings)
    if conn is None:
        raise click.ClickException("Nothing is published yet. Run `muster load` first.")
    ledger = Ledger(settings.ledger)
    with conn:
        as_of = latest(conn)
        found = [
            (preview, ledger.issued(period, invoice.distributor_id, invoice.currency) is not None)
            for invoice, preview in previews(conn, period, partner_id)
            if distributor_id in (None, invoice.distributor_id)
        ]
    if not found:
        raise click.ClickException(
            f"{partner_id} has nothing in the draft of {period} for {distributor_id}. "
            "Leave --distributor away to see whose it is."
        )
    if as_json:
        print_json([_as_json(preview, is_closed, as_of) for preview, is_closed in found])
    else:
        for preview, is_closed in found:
            _tell(preview, is_closed, as_of)


def _as_json(preview: Preview, is_closed: bool, as_of: date | None) -> dict[str, Any]:
    return {
        **dataclasses.asdict(preview),
        "as_of": as_of,
        "is_provisional": not is_closed,
    }


def _tell(preview: Preview, is_closed: bool, as_of: date | None) -> None:
    name = (
        f"{preview.partner_name} ({preview.partner_id})"
        if preview.partner_name
        else (preview.partner_id)
    )
    state = "period over" if preview.is_over else "period not over"
    click.echo(
        f"{name}: preview of {preview.period}, as of {as_of}, {state}\n"
        f"Counted: what was active from {preview.window_starts_on} to {preview.cutoff_on}"
    )
    rows: list[tuple[object, ...]] = []
    for line in preview.lines:
        without = "graduated" if line["pricing_model"] else "no price" if line["quantity"] else None
        price = line["unit_price"] or without
        to_next = line["units_to_next_band"]
        figures = (line["quantity"], line["joined"], line["left_since"])
        rows.append((line["product_name"], None, *figures, price, line["amount"], to_next))
        for one in line["customers"]:
            figures = (one["quantity"], one["joined"], one["left_since"])
            customer = f"{one['customer_id']} {one['customer_name']}"
            rows.append((None, customer, *figures, None, one["amount"], None))
    if rows:
        print_table("", _HEADERS, rows)
    click.echo(f"Total {preview.amount} {preview.currency} for {preview.units:,} units, net")
    for warning in preview.warnings:
        click.echo(f"  ! {warning}")
    click.echo(
        "The period is closed: the statement that was sent counts; this is as known today."
        if is_closed
        else "Provisional: units, prices and amounts can change until the period is closed."
    )
