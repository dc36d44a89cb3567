"""How tables become the bytes of a workbook: cells, number formats, the limits of a sheet, the zip.

What is on which sheet is `workbooks`; nothing here knows a document.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

Cell = str | int | Decimal | date | None

# Limits of the format. A sheet's rows include its header; a cell's length is counted in UTF-16;
# a number is a double, of which spreadsheets show 15 digits.
MOST_DIGITS = 15
MOST_ROWS = 1_048_576
LONGEST_TEXT = 32_767
_CUT = " [cut here: a cell holds no more. The JSON and CSV files have the whole text.]"
# XML 1.0 has no place for these, or a reader would turn them into something else.
_NOT_IN_XML = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WIDEST, _NARROWEST = 40, 8
_GREY, _DARK_GREY = "#EEF1F4", "#8A94A0"
_HEADER = "header"


@dataclass(frozen=True)
class Table:
    """One row of headings and the rows under it; on a sheet of its own it can be filtered."""

    name: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Page:
    """A sheet to be read: a title, and small tables one below the other, headers optional."""

    name: str
    title: str
    tables: tuple[Table, ...]


def workbook(sheets: Sequence[Page | Table], *, title: str, on: date) -> bytes:
    """The .xlsx file. `on` is the date in its properties.

    Every value is what it looks like: text is text, whatever it begins with; int, Decimal and date
    are numbers with a format. There is no formula and no link. A Decimal keeps its decimals; one
    with more digits than a cell shows is written as text. A table that is longer than a
    sheet goes on in `<name> 2`; a text that is longer than a cell ends with a note that says so.
    """
    buffer = io.BytesIO()
    book = Workbook(
        buffer,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    created = datetime(on.year, on.month, on.day)  # noqa: DTZ001  (the format has no zone)
    book.set_properties({"title": _text(title), "created": created})
    formats = _Formats(book)
    for sheet in sheets:
        if isinstance(sheet, Page):
            _write_page(book.add_worksheet(sheet.name), sheet, formats)
        else:
            for part in _parts(sheet):
                _write_table(book.add_worksheet(part.name), part, formats)
    book.close()
    return _stored(buffer)


class _Formats:
    """The formats of one workbook, each made once."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._made: dict[tuple[str, str], Format] = {}
        self.title: Format = book.add_format({"bold": True, "font_size": 16, "num_format": "@"})
        self.heading: Format = book.add_format({"bold": True, "font_size": 12})

    def of(self, number_format: str, align: str = "") -> Format:
        """Without `align` a spreadsheet puts text to the left and numbers to the right."""
        key = (number_format, align)
        if key not in self._made:
            is_header = number_format == _HEADER
            look: dict[str, str | int] = {
                "num_format": "@" if is_header else number_format,
                "text_wrap": is_header or number_format == "@",
                "valign": "top",
            }
            if align:
                look["align"] = align
            if is_header:
                look |= {"bold": True, "bg_color": _GREY, "bottom": 1, "bottom_color": _DARK_GREY}
            self._made[key] = self._book.add_format(look)
        return self._made[key]


def _write_table(sheet: Worksheet, table: Table, formats: _Formats) -> None:
    last_row, last_column = len(table.rows), len(table.header) - 1
    _write_header(sheet, 0, table, formats)
    for number, row in enumerate(table.rows, start=1):
        for column, value in enumerate(row):
            _write(sheet, number, column, value, formats)
    _set_widths(sheet, [table.header, *table.rows])
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, last_row, last_column)
    sheet.repeat_rows(0)
    sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{last_row + 1}"})
    _for_printing(sheet, landscape=True)


def _write_page(sheet: Worksheet, page: Page, formats: _Formats) -> None:
    sheet.write_string(0, 0, _text(page.title), formats.title)
    row = 2
    laid_out: list[Sequence[Cell]] = []
    for table in page.tables:
        sheet.write_string(row, 0, table.name, formats.heading)
        row += 1
        if table.header:
            laid_out.append(table.header)
            _write_header(sheet, row, table, formats)
            row += 1
        for values in table.rows:
            laid_out.append(values)
            for column, value in enumerate(values):
                # Beside a label a value is read, below a heading it is added up.
                _write(sheet, row, column, value, formats, "" if table.header else "left")
            row += 1
        row += 1
    _set_widths(sheet, laid_out)
    sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{row}"})
    _for_printing(sheet, landscape=False)


def _write_header(sheet: Worksheet, row: int, table: Table, formats: _Formats) -> None:
    """Headings of numbers are above their last digit."""
    for column, heading in enumerate(table.header):
        is_number = any(isinstance(values[column], int | Decimal) for values in table.rows)
        sheet.write_string(row, column, heading, formats.of(_HEADER, "right" if is_number else ""))


def _write(
    sheet: Worksheet,
    row: int,
    column: int,
    value: Cell,
    formats: _Formats,
    align: str = "",
) -> None:
    if value is None:
        return
    if isinstance(value, str):
        code = sheet.write_string(row, column, _text(value), formats.of("@", align))
    elif isinstance(value, date):
        code = sheet.write_datetime(row, column, value, formats.of("yyyy-mm-dd", align))
    elif len(Decimal(value).as_tuple().digits) > MOST_DIGITS:
        code = sheet.write_string(row, column, str(value), formats.of("@", align))
    else:
        code = sheet.write_number(
            row, column, float(value), formats.of(_number_format(value), align)
        )
    assert code == 0, f"{value!r} in row {row} did not fit its cell"


def _number_format(value: int | Decimal) -> str:
    exponent = value.as_tuple().exponent if isinstance(value, Decimal) else 0
    assert isinstance(exponent, int), "money is finite"
    return "#,##0" + ("." + "0" * -exponent if exponent < 0 else "")


def _text(text: str) -> str:
    text = _NOT_IN_XML.sub("\ufffd", text)
    units = text.encode("utf-16-le")
    if len(units) <= 2 * LONGEST_TEXT:
        return text
    return units[: 2 * (LONGEST_TEXT - len(_CUT))].decode("utf-16-le", "ignore") + _CUT


def _parts(table: Table) -> Iterator[Table]:
    """The table in pieces that fit a sheet: `Customers`, `Customers 2`."""
    at_once = MOST_ROWS - 1
    for part, start in enumerate(range(0, max(len(table.rows), 1), at_once), start=1):
        name = table.name if part == 1 else f"{table.name} {part}"
        yield Table(name, table.header, table.rows[start : start + at_once])


def _set_widths(sheet: Worksheet, rows: Sequence[Sequence[Cell]]) -> None:
    widths: dict[int, int] = {}
    for row in rows:
        for column, value in enumerate(row):
            if value is not None:
                widths[column] = max(widths.get(column, _NARROWEST), _width(value))
    for column, width in widths.items():
        # Some spreadsheets have a wider font, and a heading an arrow beside it.
        sheet.set_column(column, column, round(min(width, _WIDEST) * 1.1) + 3)


def _width(value: Cell) -> int:
    """About how many digits wide: a character from Hangul on takes the room of two."""
    if isinstance(value, str):
        return sum(2 if ord(character) >= 0x1100 else 1 for character in value[: 2 * _WIDEST])
    return 10 if isinstance(value, date) else len(f"{value:,}")


def _for_printing(sheet: Worksheet, *, landscape: bool) -> None:
    if landscape:
        sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&RPage &P of &N")


def _stored(buffer: io.BytesIO) -> bytes:
    """The same files uncompressed: what deflate makes of a text depends on the zlib installed."""
    out = io.BytesIO()
    with ZipFile(buffer) as packed, ZipFile(out, "w", ZIP_STORED) as stored:
        for name in packed.namelist():
            # With its default date, 1980-01-01, which is what spreadsheets write.
            info = ZipInfo(name)
            info.create_system = 0
            stored.writestr(info, packed.read(name))
    return out.getvalue()
