"""How results look in a terminal: tables, money, days, JSON.

What there is to tell is found by the commands.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import click

from ingest.reasons import printable

LINE_HEADERS = ("line", "partner", "product", "units", "price", "amount")

# More lines than this of one kind say less.
LISTED = 10


def price(price: Decimal | None, pricing_model: str | None, minor_units: int) -> str:
    from invoicing.canonical import price_text

    if pricing_model is None:
        return "no price"
    return "graduated" if price is None else price_text(price, minor_units)


def money(amount: Decimal, minor_units: int) -> str:
    return f"{amount:,.{minor_units}f}"


def days_in_words(days: Sequence[date]) -> str:
    """Ascending dates by month, runs of days joined: `2026-01: 2 5-9 12-16; 2026-02: 1`."""
    months: dict[str, list[list[int]]] = {}
    for day in days:
        runs = months.setdefault(f"{day:%Y-%m}", [])
        if runs and runs[-1][1] == day.day - 1:
            runs[-1][1] = day.day
        else:
            runs.append([day.day, day.day])
    return "; ".join(
        f"{month}: " + " ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
        for month, runs in months.items()
    )


def shortened(texts: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + more


def print_table(
    title: str | None, headers: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """A table on standard output; numbers to the right, empty columns left out."""
    from rich.console import Console
    from rich.table import Table

    shown = [
        index
        for index in range(len(headers))
        if title is None or any(row[index] not in (None, "") for row in rows)
    ]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index in shown:
        numeric = all(isinstance(row[index], int | float | Decimal | None) for row in rows)
        is_amount = headers[index] in ("amount", "price")
        table.add_column(
            headers[index],
            justify="right" if numeric or is_amount else "left",
            # What a narrow terminal cannot hold goes on the next line: nothing is cut off.
            overflow="fold",
        )
    for row in rows:
        # Only our own tables group digits: in an answer to a query 2026 may be a year.
        table.add_row(*(_cell(row[index], grouped=title is not None) for index in shown))

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            # Left to itself rich ends the process; the command group knows better.
            raise BrokenPipeError

    # A file or a pipe is as wide as what is in it. Names are text, never markup.
    width = None if sys.stdout.isatty() else 10_000
    Piped(width=width, markup=False, highlight=False, emoji=False).print(table)


def _cell(value: object, *, grouped: bool) -> str:
    if value is None:
        return ""
    if grouped and type(value) is int:
        return f"{value:,}"
    return printable(str(value), longest=None)


def plain(value: object) -> object:
    """A value of a query as text a person or a program reads back; null stays null."""
    if isinstance(value, list | dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def print_json(value: object) -> None:
    click.echo(json.dumps(value, default=str, ensure_ascii=False, indent=2))
