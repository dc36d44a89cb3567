"""One file of an export folder, and how its table becomes CSV bytes.

The dialect is here: UTF-8 without BOM, comma, RFC 4180 quoting and CRLF, formulas neutralised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Cell = str | int | None

# Where a spreadsheet would run or follow a text instead of showing it: a sign at the start, or
# after what another country's spreadsheet takes for the end of a cell (it splits at semicolons, and
# then our quotes mean nothing to it); wide signs count in Japan. Apostrophes that are there already
# are part of the pattern, so that taking one away always gives the text back.
_SIGN = r"'* *[=+\-@\uff1d\uff0b\uff0d\uff20]"
_LIVE = re.compile(rf"(?:\A|(?<=[;\t\r\n]))(?={_SIGN})|\A(?='*[\t\r\n])")
# A plain number is harmless.
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_NEEDS_QUOTES = re.compile(r'[",\r\n]')


@dataclass(frozen=True)
class ExportedFile:
    """A file at `path` inside the folder: its bytes, or the file whose bytes it copies.

    `rows` and `totals` are its control figures in the manifest; totals are the document's own.
    """

    path: str
    body: bytes | Path
    rows: int
    totals: dict[str, str | int] = field(default_factory=dict)


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """A CSV table; every row ends with CRLF, the last one too."""
    lines = [",".join(_cell(value) for value in row) for row in (header, *rows)]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8")


def _cell(value: Cell) -> str:
    """Null is empty. Where a spreadsheet would begin a formula, an apostrophe comes before it."""
    text = "" if value is None else str(value)
    if not _NUMBER.fullmatch(text):
        text = _LIVE.sub("'", text)
    if _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
