"""What `muster draft --set` and `--cutoff-day` tell: a draft beside what it would be.

Computing it is `lib.whatif`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from dagster_project.cli.telling import money, print_json, print_table
from dagster_project.cli.working import progress, tell_not_loaded
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from dagster_project.lib.whatif import ChangedLine, Figures, Outcome, WhatIf


def tell_what_if(
    settings: Settings,
    period: str,
    policies: Sequence[str],
    cutoff_day: str | None,
    distributor_id: str | None,
    *,
    as_json: bool,
) -> None:
    """`policies` are texts NAME=VALUE."""
    from dagster_project.lib.whatif import Trial, what_if

    trial = Trial(period, _named(policies), cutoff_day, distributor_id)
    with progress() as tell:
        found = what_if(settings, trial, tell)
    if as_json:
        print_json(
            {
                "period": period,
                "policies": trial.policies,
                "cutoff_day": cutoff_day,
                "issued": found.issued,
                "failed_tests": found.failed_tests,
                "drafts": [_in_text(asdict(one), one.minor_units) for one in found.outcomes],
            }
        )
    else:
        _tell(settings, period, found)


def _named(policies: Sequence[str]) -> dict[str, str]:
    named = {}
    for text in policies:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.UsageError(f"--set {text!r}: write POLICY=VALUE, active_window_days=31.")
        if name in named:
            raise click.UsageError(f"--set gives {name} twice: leave one.")
        named[name] = value
    return named


def _tell(settings: Settings, period: str, found: WhatIf) -> None:
    tell_not_loaded(settings)
    for distributor_id in found.issued:
        click.echo(
            f"{period} {distributor_id} is issued and keeps the policies and the cut-off recorded "
            "in its document (R22): nothing was tried on it."
        )
    for one in found.outcomes:
        _tell_outcome(period, one)
    if found.failed_tests:
        click.echo("With these settings no run would go on; tests of the models fail:")
        for test in found.failed_tests:
            click.echo(f"- {test}")
    click.echo("Nothing was written: this was computed in a temporary folder.")


def _tell_outcome(period: str, one: Outcome) -> None:
    places = one.minor_units
    title = f"{period} {one.distributor_id}: window {_window(one.now)}, then {_window(one.then)}"
    rows = []
    for partner, of_partner in itertools.groupby(
        one.lines, key=lambda line: f"{line.partner_id} {line.partner_name}"
    ):
        lines = list(of_partner)
        rows += [_row(partner, line.product_name, [line], places) for line in lines]
        if len(lines) > 1:
            rows.append(_row(partner, "these together", lines, places))
    headers = ("partner", "product", "units now", "then", "more", "amount now", "then", "more")
    if rows:
        print_table(title, headers, rows)
    else:
        click.echo(f"{title}\nNo line changes.")
    click.echo(
        f"Total {money(one.now.amount, places)} now, {money(one.then.amount, places)} then: "
        f"{money(one.then.amount - one.now.amount, places)} {one.currency} and "
        f"{one.then.units - one.now.units:,} units more."
    )
    for kind in sorted(one.now.blocking.keys() | one.then.blocking.keys()):
        before, after = one.now.blocking.get(kind, 0), one.then.blocking.get(kind, 0)
        if before != after:
            click.echo(f"Blocking {kind}: {before} now, {after} then.")
    click.echo()


def _row(
    partner: str, product: str, lines: Sequence[ChangedLine], places: int
) -> tuple[object, ...]:
    units = [sum(line.units_now for line in lines), sum(line.units_then for line in lines)]
    none = Decimal(0)
    now = _money(sum((line.amount_now for line in lines), none), places)
    then = _money(sum((line.amount_then for line in lines), none), places)
    return (partner, product, *units, units[1] - units[0], now, then, then - now)


def _window(figures: Figures) -> str:
    if figures.cutoff_on is None:
        return "none"
    return f"{figures.window_starts_on} to {figures.cutoff_on}"


def _money(amount: Decimal, places: int) -> Decimal:
    """A number, so that the table puts it to the right."""
    return amount.quantize(Decimal(1).scaleb(-places))


def _in_text(value: Any, places: int) -> Any:
    """The same for JSON, with money as text to the currency's digits."""
    if isinstance(value, Decimal):
        return str(_money(value, places))
    if isinstance(value, dict):
        return {name: _in_text(one, places) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_in_text(one, places) for one in value]
    return value
