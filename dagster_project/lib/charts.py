"""Small pictures and tables for the places where a person looks: Markdown for the Dagster UI.

Drawing only; the numbers come from elsewhere.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

_BAR_HEIGHT, _LABEL_WIDTH, _BAR_WIDTH, _VALUE_WIDTH = 18, 190, 300, 110
_COLOUR = "#4f43dd"


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


def bars(title: str, values: Mapping[str, int | float]) -> str:
    """A Markdown image of horizontal bars, one per value, in the order given."""
    largest = max([1.0, *(float(value) for value in values.values())])
    height = _BAR_HEIGHT * len(values) + 24
    width = _LABEL_WIDTH + _BAR_WIDTH + _VALUE_WIDTH
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="4" y="15" font-weight="bold">{escape(title)}</text>',
    ]
    for index, (label, value) in enumerate(values.items()):
        top = 24 + index * _BAR_HEIGHT
        length = _BAR_WIDTH * float(value) / largest
        parts += [
            f'<text x="4" y="{top + 13}">{escape(label[:28])}</text>',
            f'<rect x="{_LABEL_WIDTH}" y="{top + 3}" width="{length:.1f}" '
            f'height="{_BAR_HEIGHT - 5}" fill="{_COLOUR}"/>',
            f'<text x="{_LABEL_WIDTH + length + 6:.1f}" y="{top + 13}">{value:,}</text>',
        ]
    parts.append("</svg>")
    encoded = base64.b64encode("".join(parts).encode()).decode()
    return f"![{escape(title)}](data:image/svg+xml;base64,{encoded})"


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
