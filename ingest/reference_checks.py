"""What is wrong with a folder of reference data, told by file, line, column and value.

Reading and judging only; nothing is written and nothing is corrected here.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ingest import identifiers
from ingest.contracts import IDENTIFIER_PATTERN, RESERVED_PATTERN, ColumnType
from ingest.reference_contracts import SEEDS, SeedColumn, SeedContract

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INTEGER = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN)
_RESERVED = re.compile(RESERVED_PATTERN)
# No control character but tab and line ends: XML 1.0, and so every e-invoice, cannot carry them.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_LISTED_PROBLEMS = 100
_SHOWN_CHARACTERS = 80
# The csv module has such a bound too, but any library in this process may have moved it.
_LONGEST_CELL = 65_536


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a seed. `line` is the physical line of the file, the header being 1."""

    file: str
    line: int | None
    column: str | None
    value: str | None
    what: str
    action: str

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f", line {self.line}"
        if self.column is not None:
            place += f", column {self.column}"
        shown = "" if self.value is None else f"{escaped(self.value)} "
        return f"{place}: {shown}{self.what}. {self.action}."


class ReferenceDataError(Exception):
    """The reference data was refused. `problems` holds all of them, in file and line order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        listed = [f"  {problem}" for problem in self.problems[:_LISTED_PROBLEMS]]
        if len(self.problems) > _LISTED_PROBLEMS:
            listed.append(f"  … and {len(self.problems) - _LISTED_PROBLEMS} more")
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"Reference data refused, {count}:", *listed]))


@dataclass(frozen=True)
class Row:
    """One row of a seed as text, and the physical line it starts on."""

    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]


class _RecordError(Exception):
    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(f"line {line}: {reason}")


# --- reading one file ---------------------------------------------------------------------


def escaped(value: str) -> str:
    """A value fit for a message: quoted, ASCII only, control characters visible, not too long."""
    if len(value) > _SHOWN_CHARACTERS:
        return f"{value[:_SHOWN_CHARACTERS]!a}… ({len(value)} characters)"
    return ascii(value)


def records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each CSV record with the physical line it starts on; blank lines are no records.

    Raises _RecordError.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    starts_on = 1
    try:
        for record in reader:
            if any(len(cell) > _LONGEST_CELL for cell in record):
                raise _RecordError(starts_on, f"a field is longer than {_LONGEST_CELL} characters")
            if record:
                yield starts_on, record
            starts_on = reader.line_num + 1
    except csv.Error as error:
        raise _RecordError(starts_on, str(error)) from error


def _decoded(file: str, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem = Problem(file, 1, None, None, "the file is UTF-16", "Save it as UTF-8")
        raise ReferenceDataError([problem])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"byte {error.start} (0x{content[error.start]:02x}) is not UTF-8"
        raise ReferenceDataError(
            [Problem(file, line, None, None, what, "Save the file as UTF-8")]
        ) from error


def _header_problems(contract: SeedContract, header: list[str]) -> list[Problem]:
    expected = [one.name for one in contract.columns if one.name in header or not one.is_added]
    if header == expected:
        return []
    file = contract.file_name
    should_be = f"The header must be {','.join(expected)}"
    problems = [
        Problem(file, 1, name, None, "this column is missing", should_be)
        for name in expected
        if name not in header
    ]
    problems += [
        Problem(file, 1, None, name, "is not a column of this file", should_be)
        for name in header
        if name not in expected
    ]
    if not problems:
        what = "the columns are repeated or in another order"
        problems = [Problem(file, 1, None, ",".join(header), what, should_be)]
    return problems


def read(contract: SeedContract, content: bytes) -> tuple[list[Row], list[Problem]]:
    """The rows of one seed as text, and every problem a row can show by itself."""
    file = contract.file_name
    try:
        text = _decoded(file, content)
    except ReferenceDataError as error:
        return [], list(error.problems)
    rows: list[Row] = []
    problems: list[Problem] = []
    header: list[str] | None = None
    try:
        for line, record in records(text):
            if header is None:
                header = record
                problems += _header_problems(contract, header)
                if problems:
                    return [], problems
            elif len(record) != len(header):
                what = f"the line has {len(record)} fields instead of {len(header)}"
                action = "Quote fields that hold a comma, and fill or empty the others"
                problems.append(Problem(file, line, None, None, what, action))
            else:
                blank = dict.fromkeys(contract.column_names, "")
                row = Row(line, {**blank, **dict(zip(header, record, strict=True))})
                rows.append(row)
                problems += _row_problems(contract, row)
    except _RecordError as error:
        what = f"the CSV cannot be read from here on ({error.reason})"
        action = "Look for an unclosed or stray double quote, or a field that is far too long"
        problems.append(Problem(file, error.line, None, None, what, action))
        return rows, problems
    if header is None:
        what = "the file is empty"
        action = f"Its first line must be {','.join(contract.column_names)}"
        problems.append(Problem(file, 1, None, None, what, action))
    return rows, problems


def _row_problems(contract: SeedContract, row: Row) -> list[Problem]:
    problems: list[Problem] = []
    for column in contract.columns:
        rule = column
        if column.name == "value" and contract.settings:
            rule = contract.settings.get(row[contract.key[0]], column)
        found = _cell_problem(rule, row[column.name])
        if found is not None:
            what, action = found
            problems.append(
                Problem(contract.file_name, row.line, column.name, row[column.name], what, action)
            )
    if contract.is_dated and not problems and "" < row["valid_to"] < row["valid_from"]:
        what = f"lies before valid_from {row['valid_from']}"
        action = "valid_to is the last day the row holds; leave it blank if it has none"
        problems.append(
            Problem(contract.file_name, row.line, "valid_to", row["valid_to"], what, action)
        )
    return problems


def _cell_problem(column: SeedColumn, text: str) -> tuple[str, str] | None:
    """What is wrong with one cell and what to do, or None."""
    if not text:
        return ("may not be blank", "Fill it in") if column.required else None
    if column.type is ColumnType.IDENTIFIER:
        if not _IDENTIFIER.fullmatch(text) or _RESERVED.match(text):
            return (
                "cannot be an id: ids become folder names",
                "Use up to 64 letters, digits, dots, dashes and underscores, beginning with a "
                "letter or digit, and no name that Windows reserves (CON, NUL, COM1 …)",
            )
    elif _CONTROL.search(text):
        return "holds a control character", "Remove it"
    elif not text.strip():
        return "is only white space", "Fill it in"
    if column.type is ColumnType.DATE and not _is_date(text):
        return "is not a date", "Write YYYY-MM-DD, a day that exists"
    if column.type is ColumnType.INTEGER and not _INTEGER.fullmatch(text):
        return "is not a whole number", "Write digits only"
    if column.type is ColumnType.DECIMAL and not _DECIMAL.fullmatch(text):
        return (
            "is not a plain decimal number",
            "Write up to 12 digits, a point and up to 6 digits, without sign or separators",
        )
    if column.pattern and not re.fullmatch(column.pattern, text):
        return f"is not {column.pattern_in_words}", "Correct it"
    if column.fault and (fault := column.fault(text)):
        return fault
    if column.allowed and text not in column.allowed:
        return "is not known here", f"Use one of {', '.join(column.allowed)}"
    if column.minimum is not None and Decimal(text) < column.minimum:
        return f"is too small; the smallest is {column.minimum}", "Correct it"
    if column.maximum is not None and Decimal(text) > column.maximum:
        return f"is too large; the largest is {column.maximum}", "Correct it"
    return None


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


# --- what rows say together ---------------------------------------------------------------


def problems_of_keys(contract: SeedContract, rows: list[Row]) -> list[Problem]:
    """Rows of one key that hold on the same day, and ids that differ in case alone."""
    file = contract.file_name
    problems: list[Problem] = []
    by_key: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        by_key[tuple(row[name] for name in contract.key)].append(row)
    for key, same in by_key.items():
        key_text = ", ".join(key) if key else None
        if not contract.is_dated:
            problems += [
                Problem(
                    file,
                    row.line,
                    ", ".join(contract.key),
                    key_text,
                    f"is already on line {same[0].line}",
                    "Remove one of the two",
                )
                for row in same[1:]
            ]
            continue
        # ISO dates compare as text; a blank valid_to never ends.
        in_order = sorted(same, key=lambda row: (row["valid_from"], row.line))
        previous = in_order[0]
        for row in in_order[1:]:
            if not previous["valid_to"] or row["valid_from"] <= previous["valid_to"]:
                until = previous["valid_to"] or "further notice"
                what = (
                    f"from {row['valid_from']} is already valid until {until} "
                    f"on line {previous.line}"
                )
                if key_text is None:
                    what = f"the row valid {what}"
                action = "End the older row on the day before the newer one begins"
                problems.append(
                    Problem(file, row.line, ", ".join(contract.key) or None, key_text, what, action)
                )
            if previous["valid_to"] and (
                not row["valid_to"] or row["valid_to"] > previous["valid_to"]
            ):
                previous = row
    for column in contract.columns:
        if column.name in contract.key and column.type is ColumnType.IDENTIFIER:
            problems += _case_problems(file, column.name, rows)
    for key_value in contract.required_keys:
        if (key_value,) not in by_key:
            what, action = "has no row", "Add it"
            problems.append(Problem(file, None, contract.key[0], key_value, what, action))
    return problems


def _case_problems(file: str, column: str, rows: list[Row]) -> list[Problem]:
    """Ids become folder names and invoice number series, which do not all tell case apart."""
    first: dict[str, Row] = {}
    problems: list[Problem] = []
    for row in rows:
        seen = first.setdefault(row[column].casefold(), row)
        if seen[column] != row[column]:
            what = f"differs from {escaped(seen[column])} on line {seen.line} in case alone"
            problems.append(
                Problem(file, row.line, column, row[column], what, "Give it another spelling")
            )
    return problems


def _band_problems(rows: list[Row]) -> list[Problem]:
    """R18: within one price version bands start at 1, have no hole, and the last is open."""
    file = "price_bands.csv"
    problems: list[Problem] = []
    versions: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        version = tuple(row[n] for n in ("product_code", "currency", "valid_from", "valid_to"))
        versions[version].append(row)

    def report(row: Row, column: str, what: str, action: str) -> None:
        prices = f"prices of {row['product_code']} in {row['currency']} from {row['valid_from']}"
        problems.append(Problem(file, row.line, column, row[column], f"{what} ({prices})", action))

    for bands in versions.values():
        bands.sort(key=lambda row: (int(row["min_quantity"]), row.line))
        expected = 1
        open_band: Row | None = None
        for band in bands:
            if band["pricing_model"] != bands[0]["pricing_model"]:
                report(
                    band,
                    "pricing_model",
                    f"differs from {bands[0]['pricing_model']} on line {bands[0].line}",
                    "A price version has one model",
                )
            smallest = int(band["min_quantity"])
            if open_band is not None:
                report(
                    open_band,
                    "max_quantity",
                    f"is open although the band on line {band.line} follows",
                    f"End it at {smallest - 1}",
                )
            elif smallest > expected:
                report(
                    band,
                    "min_quantity",
                    f"leaves a hole: nothing prices {expected} to {smallest - 1}",
                    f"Begin this band at {expected}, or end the one before at {smallest - 1}",
                )
            elif smallest < expected:
                report(
                    band,
                    "min_quantity",
                    f"overlaps the band before, which reaches {expected - 1}",
                    f"Begin this band at {expected}",
                )
            open_band = None if band["max_quantity"] else band
            if band["max_quantity"]:
                largest = int(band["max_quantity"])
                if largest < smallest:
                    report(
                        band,
                        "max_quantity",
                        f"lies below min_quantity {smallest}",
                        "Both ends belong to the band; correct one of them",
                    )
                expected = max(expected, largest + 1)
        if open_band is None:
            report(
                bands[-1],
                "max_quantity",
                "ends the last band",
                "Leave max_quantity of the last band blank, so that every quantity has a price",
            )
    return problems


def _tax_problems(rows: list[Row]) -> list[Problem]:
    """EN 16931: only category S carries a rate; the others but Z must say why they carry none."""
    file = "tax_rates.csv"
    problems: list[Problem] = []
    for row in rows:
        category = row["tax_category"]
        if category != "S" and Decimal(row["rate"]) != 0:
            what = f"is not 0 although the tax category is {category}"
            problems.append(
                Problem(file, row.line, "rate", row["rate"], what, "Write 0, or category S")
            )
        if category not in ("S", "Z") and not row["reason"]:
            what = f"is blank although the tax category is {category}"
            action = "Say why no tax is charged; it is printed on the invoice"
            problems.append(Problem(file, row.line, "reason", row["reason"], what, action))
    return problems


def _party_problems(
    seed: str, column: str, fault_of: Callable[[str, str], identifiers.Fault], rows: list[Row]
) -> list[Problem]:
    """Numbers that are right or wrong by the country of the party that has them."""
    return [
        Problem(SEEDS[seed].file_name, row.line, column, row[column], *fault)
        for row in rows
        if row[column] and (fault := fault_of(row[column], row["country"]))
    ]


def _reference_problems(contract: SeedContract, seeds: Mapping[str, list[Row]]) -> list[Problem]:
    problems: list[Problem] = []
    for column in contract.columns:
        if column.references is None or column.references[0] not in seeds:
            continue
        seed, target = column.references
        known = {row[target] for row in seeds[seed]}
        problems += [
            Problem(
                contract.file_name,
                row.line,
                column.name,
                row[column.name],
                f"is not in {SEEDS[seed].file_name}",
                "Add it there, or correct it here",
            )
            for row in seeds[contract.seed]
            if row[column.name] and row[column.name] not in known
        ]
    return problems


def problems_of_folder(contents: Mapping[str, bytes]) -> list[Problem]:
    """Every problem of a folder of seeds. Rows are compared only in files sound by themselves."""
    problems: list[Problem] = []
    sound: dict[str, list[Row]] = {}
    for seed, contract in SEEDS.items():
        if seed not in contents:
            what = "the file is missing"
            action = "Restore it; a seed without rows still needs its header"
            problems.append(Problem(contract.file_name, None, None, None, what, action))
            continue
        rows, found = read(contract, contents[seed])
        problems += found
        if not found:
            sound[seed] = rows
    for seed in contents.keys() - SEEDS.keys():
        what = "this file is not reference data of this product"
        action = f"Remove it, or rename it to one of {', '.join(SEEDS)}"
        problems.append(Problem(f"{seed}.csv", None, None, None, what, action))
    for seed, rows in sound.items():
        problems += problems_of_keys(SEEDS[seed], rows)
        problems += _reference_problems(SEEDS[seed], sound)
    problems += _band_problems(sound.get("price_bands", []))
    problems += _tax_problems(sound.get("tax_rates", []))
    for seed, column, fault_of in (
        ("seller", "tax_id", identifiers.vat_fault),
        ("seller", "legal_registration", identifiers.registration_fault),
        ("distributors", "tax_id", identifiers.vat_fault),
    ):
        problems += _party_problems(seed, column, fault_of, sound.get(seed, []))
    return sorted(problems, key=lambda p: (p.file, p.line or 0, p.column or "", p.what))
