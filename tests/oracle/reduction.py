"""Makes a vendor on which product and oracle differ as small as it gets, many attempts in one home.

A run of the product costs seconds, so every cut is tried at once, each as a vendor of its own.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from comparison import play
from product import Home
from rulebook import Policies
from vendors import File, Price, Row, Vendor, sound

ATTEMPTS = 80  # vendors in one home
ROUNDS = 8  # homes played at most, twice


def signature(text: str) -> str:
    """The kind of a difference, without the names and figures of its vendor."""
    text = re.sub(r"^after round \d+: ", "", text)
    text = re.sub(r"'[^']*\d[^']*'|Decimal\([^)]*\)|[\d-]+|[()\[\]{}, ]+", " ", text)
    return re.sub(r"^ *(\w )?", "", text)[:160]


Cut = Callable[[Vendor], Vendor]
_ENTITIES = (
    "customer_id",
    "product_code",
    "device_id",
    "serial_number",
    "licence_id",
    "transfer_id",
    "partner_id",
    "user_id",
)


def _slot(file: File) -> tuple[int, str, date, str]:
    return file.round, file.feed, file.day, file.source


def _only_files(keep: Callable[[File], bool]) -> Cut:
    return lambda vendor: replace(vendor, files=tuple(f for f in vendor.files if keep(f)))


def _only_rows(keep: Callable[[File, Row], bool]) -> Cut:
    def cut(file: File) -> File:
        rows = file.rows
        return replace(file, rows=rows and tuple(row for row in rows if keep(file, row)))

    return lambda vendor: replace(vendor, files=tuple(map(cut, vendor.files)))


def _without_entity(column: str, value: str) -> Cut:
    return _only_rows(lambda _, row: row.get(column) != value)


def _without_row(file: File, row: Row) -> Cut:
    return _only_rows(lambda other, one: _slot(other) != _slot(file) or one != row)


def _without(part: str, one: object) -> Cut:
    """Leave out a distributor or an expected source."""

    def cut(vendor: Vendor) -> Vendor:
        kept: dict[str, Any] = {part: tuple(x for x in getattr(vendor, part) if x != one)}
        return replace(vendor, **kept)

    return cut


def _with_one_price(price: Price) -> Cut:
    plain = replace(price, bands=((1, None, "10"),))
    return lambda v: replace(v, prices=tuple(plain if p == price else p for p in v.prices))


def cuts(vendor: Vendor) -> list[Cut]:
    """What may be left out of a vendor, the largest first; any of them can be made together."""
    rounds = sorted({f.round for f in vendor.files if f.round})
    found = [_only_files(lambda f, last=last: f.round < last) for last in rounds]  # type: ignore[misc]
    for column in _ENTITIES:
        rows = [row for f in vendor.files for row in f.rows or ()]
        values = sorted({row[column] for row in rows if column in row})
        found += [_without_entity(column, value) for value in values]
    found += [_only_files(lambda f, one=one: f != one) for one in vendor.files]  # type: ignore[misc]
    found += [_without("distributors", one) for one in vendor.distributors[1:]]
    found += [_without("expected", one) for one in vendor.expected]
    found += [_with_one_price(price) for price in vendor.prices]
    found += [_without_row(file, row) for file in vendor.files for row in file.rows or ()]
    return found


def size(vendor: Vendor) -> int:
    rows = sum(len(f.rows or ()) + 1 for f in vendor.files)
    return 10 * rows + 5 * len(vendor.distributors) + sum(len(p.bands) for p in vendor.prices)


def signatures(
    folder: Path, vendors: Mapping[str, Vendor], policies: Policies, closed: int
) -> dict[str, set[str]]:
    """Play all vendors in a new home; the kinds of each one's differences."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    said = play(Home(folder, dict(vendors), policies), closed=closed)
    return {key: {signature(text) for text in texts} for key, texts in said.items()}


def reduced(
    folder: Path, vendor: Vendor, wanted: str, policies: Policies, closed: int = 0
) -> Vendor:
    """The smallest vendor found that still differs in the way `wanted`, a signature."""
    for _ in range(ROUNDS):
        tried: dict[str, tuple[Cut, Vendor]] = {}
        for at, cut in enumerate(cuts(vendor)):
            smaller = sound(cut(vendor))
            if size(smaller) < size(vendor) and len(tried) < ATTEMPTS:
                tried[f"x{at}"] = (cut, smaller)
        found = signatures(folder, {k: v for k, (_, v) in tried.items()}, policies, closed)
        hits = [cut for key, (cut, _) in tried.items() if wanted in found.get(key, ())]
        # All that leave the difference, made together; then half of them, and so on.
        together = {}
        count = len(hits)
        while count:
            smaller = vendor
            for cut in hits[:count]:
                smaller = sound(cut(smaller))
            together[f"y{count}"] = smaller
            count //= 2
        if not together:
            break
        found = signatures(folder, together, policies, closed)
        smallest = min((v for k, v in together.items() if wanted in found.get(k, ())), key=size)
        vendor = smallest
    return vendor
