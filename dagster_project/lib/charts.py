"""Small tables and bars for the places where a person looks: Markdown for the Dagster UI.

Drawing only; the numbers come from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ingest.reasons import printable

_BAR_WIDTH = 20  # characters
# A backslash takes its meaning from each of them. An underscore or dash inside a word has none, and
# most ids have one.
_MARKDOWN = re.compile(r"[\\|`*\[\]<>&~#!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# A full block is U+2588; U+2589 to U+258F are seven eighths down to one.
_EIGHTHS = ("", *(chr(0x2590 - eighths) for eighths in range(1, 8)))


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; None is an empty cell, a number is set to the right by its column."""
    if not rows:
        return "_nothing_"
    numeric = [
        all(isinstance(row[column], int | float) for row in rows) for column in range(len(headers))
    ]
    lines = [
        "| " + " | ".join(headers) + " |",
        "| " + " | ".join("---:" if right else "---" for right in numeric) + " |",
    ]
    for row in rows:
        lines.append("| " + " | ".join(_cell(value) for value in row) + " |")
    return "\n".join(lines)


def bars(label: str, unit: str, values: Mapping[str, int]) -> str:
    """A Markdown table with a bar beside each value, in the order given.

    Drawn with block characters, which are short: the UI hides long values behind a link.
    """
    largest = max([1, *values.values()])
    rows = [(name, value, _bar(value / largest)) for name, value in values.items()]
    return table([label, unit, ""], rows)


def _bar(share: float) -> str:
    eighths = round(share * _BAR_WIDTH * 8)
    return "\u2588" * (eighths // 8) + _EIGHTHS[eighths % 8]


def literal(text: str) -> str:
    """A name or id as Markdown that shows its very characters: no link, tag, emphasis or code."""
    return _MARKDOWN.sub(r"\\\g<0>", printable(" ".join(text.splitlines())))


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else literal(str(value))
