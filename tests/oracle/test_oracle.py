"""Product and oracle on many small vendors: lines, shares, reasons and holds, to the cent.

The vendors of a seed are always the same under one release of Hypothesis; nothing here looks at the
clock. `ORACLE_VENDORS=1000` asks for more of them, `ORACLE_FROM` moves the first seed. On a
difference the vendor is made smaller and printed; what was found so is kept in `regressions`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from comparison import play
from product import Home
from reduction import reduced, signature
from regressions import JANUARY as COMMON
from regressions import LEAP, RARE, REGRESSIONS, REGRESSIONS_ANY
from rulebook import STANDARD, Policies, bills
from vendors import PERIODS, Vendor, in_words, made_up, to_json

VENDORS = int(os.environ.get("ORACLE_VENDORS", "100"))
FROM = int(os.environ.get("ORACLE_FROM", "0"))
A_HOME = 50
# Closing costs as much as everything else: every change closes one month and looks at the drafts
# and pending notes of the others; beyond that all months are closed.
CLOSED = PERIODS if VENDORS > 100 else 1
# Builds take turns: months of common and leap years, and what the policies can be.
WORLDS = (
    (COMMON, Policies()),
    (LEAP, Policies(correction_periods=1, device_user_attribution="any")),
    (
        date(2025, 10, 1),
        Policies(active_window_days=60, firewall_evidence="latest", replaced_hardware="each"),
    ),
    (date(2024, 12, 1), Policies(active_window_days=1, correction_periods=2)),
)
# Vendors that product and oracle still disagree on, as both were merged; each has to be mended or
# explained, and is taken out here then: one that agrees by itself fails the test too.
OPEN = {
    "v37": "a customer that one source drops before the cut-off and another closes after it",
    "v76": "a transfer that the product holds and the rules do not, in 2024-03",
}
KEPT = (  # played in the first two builds, beside their vendors
    REGRESSIONS | {name: vendor for name, (vendor, _) in RARE.items()},
    REGRESSIONS_ANY,
)


@dataclass(frozen=True)
class Build:
    """One home: its vendors by key, and what each of them said otherwise than the oracle."""

    first: date
    policies: Policies
    vendors: Mapping[str, Vendor]
    folder: Path

    def play(self) -> dict[str, list[str]]:
        return play(Home(self.folder, dict(self.vendors), self.policies), CLOSED)


def build(number: int, folder: Path) -> Build:
    first, policies = WORLDS[number % len(WORLDS)]
    seeds = range(FROM + number * A_HOME, FROM + min(VENDORS, (number + 1) * A_HOME))
    vendors = {f"v{seed}": made_up(first, seed) for seed in seeds}
    if number < len(KEPT):
        vendors |= {f"r{n}": vendor for n, vendor in enumerate(KEPT[number].values())}
    return Build(first, policies, vendors, folder)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Build, dict[str, list[str]]]]:
    """Every build and its differences, two at a time."""
    numbers = range(max(len(KEPT), -(-VENDORS // A_HOME)))
    builds = [build(number, tmp_path_factory.mktemp("oracle") / "house") for number in numbers]
    with ThreadPoolExecutor(2) as pool:
        return list(zip(builds, pool.map(Build.play, builds), strict=True))


def test_product_and_oracle_agree_on_every_vendor(
    played: list[tuple[Build, dict[str, list[str]]]], tmp_path: Path
) -> None:
    differing = [
        (one, key, text)
        for one, said in played
        for key, texts in said.items()
        for text in texts
        if key.startswith("v") and key not in OPEN
    ]
    agreeing = [key for one, said in played for key in OPEN if key in one.vendors and not said[key]]
    assert agreeing == [], "They agree now: take them out of OPEN."
    if not differing:
        return
    report = [f"{one.first} {key}: {text}" for one, key, text in differing]
    one, key, text = differing[0]
    # What only documents show needs the months closed; drafts show the rest after one load.
    closing = any(word in text for word in ("issued", "invoice", "note", "pending", "unbilled"))
    closed = CLOSED if closing else 0
    small = reduced(tmp_path / "small", one.vendors[key], signature(text), one.policies, closed)
    kinds = len({signature(text) for _, _, text in differing})
    pytest.fail(
        "\n".join(
            [
                f"{len(report)} differences of {kinds} kinds, for one {one.policies}",
                *report[:40],
                f"Made smaller, keeping: {text}",
                in_words(small),
                to_json(small),
            ]
        )
    )


@pytest.mark.parametrize(
    ("number", "key", "name"),
    [
        pytest.param(number, f"r{n}", name, id=name)
        for number, kept in enumerate(KEPT)
        for n, name in enumerate(kept)
    ],
)
def test_product_and_oracle_agree_on_what_is_kept(
    number: int, key: str, name: str, played: list[tuple[Build, dict[str, list[str]]]]
) -> None:
    _, said = played[number]
    assert said.get(key, []) == []


@pytest.mark.parametrize("name", RARE)
def test_oracle_bills_what_was_worked_out_by_hand(name: str) -> None:
    vendor, amounts = RARE[name]
    found = bills(vendor, PERIODS - 1, STANDARD)
    assert {
        key: sum(line.amount or 0 for line in found[key].lines.values()) for key in amounts
    } == {key: Decimal(amount) for key, amount in amounts.items()}
