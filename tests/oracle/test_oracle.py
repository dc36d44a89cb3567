"""Product and oracle on many small vendors: lines, shares, reasons and holds, to the cent.

The vendors of a seed are always the same under one release of Hypothesis; nothing here looks at the
clock. `ORACLE_VENDORS=1000` asks for more of them, `ORACLE_FROM` moves the first seed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from comparison import play
from product import Product
from reduction import reduced, signature
from regressions import REGRESSIONS, REGRESSIONS_ANY
from rulebook import STANDARD, Policies
from vendors import Vendor, in_words, made_up, to_json

VENDORS = int(os.environ.get("ORACLE_VENDORS", "100"))
FROM = int(os.environ.get("ORACLE_FROM", "0"))
A_HOME = 50
# Builds take turns: a common year and a leap year, and what the policies can be.
WORLDS = (
    (date(2026, 1, 1), Policies()),
    (date(2024, 1, 1), Policies(correction_periods=1, device_user_attribution="any")),
    (date(2025, 10, 1), Policies(active_window_days=60)),
    (date(2024, 12, 1), Policies(active_window_days=1, correction_periods=2)),
)


@dataclass(frozen=True)
class Build:
    """One home: its vendors by key, and what each of them said otherwise than the oracle."""

    first: date
    policies: Policies
    vendors: Mapping[str, Vendor]
    folder: Path

    def play(self) -> dict[str, list[str]]:
        return play(Product(self.folder, dict(self.vendors), self.policies))


def build(number: int, folder: Path) -> Build:
    first, policies = WORLDS[number % len(WORLDS)]
    seeds = range(FROM + number * A_HOME, FROM + min(VENDORS, (number + 1) * A_HOME))
    return Build(first, policies, {f"v{seed}": made_up(first, seed) for seed in seeds}, folder)


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[Build]:
    numbers = range(-(-VENDORS // A_HOME))
    return [build(number, tmp_path_factory.mktemp("oracle") / "house") for number in numbers]


@pytest.fixture(scope="module")
def played(builds: list[Build]) -> list[tuple[Build, dict[str, list[str]]]]:
    with ThreadPoolExecutor(2) as pool:
        return list(zip(builds, pool.map(Build.play, builds), strict=True))


def test_product_and_oracle_agree_on_every_vendor(
    played: list[tuple[Build, dict[str, list[str]]]], tmp_path: Path
) -> None:
    kinds: dict[str, tuple[Build, str, str]] = {}
    texts = []
    for one, said in played:
        for key, differences in said.items():
            texts += [f"{one.first} {key}: {text}" for text in differences]
            for text in differences:
                kinds.setdefault(signature(text), (one, key, text))
    if not texts:
        return
    report = [f"{len(texts)} differences of {len(kinds)} kinds", *texts[:40]]
    for wanted, (one, key, text) in list(kinds.items())[:1]:
        in_drafts = not any(word in text for word in ("issued", "invoice", "note", "pending"))
        small = reduced(tmp_path / "small", one.vendors[key], wanted, one.policies, not in_drafts)
        report += [f"\nSmallest vendor with: {text}", in_words(small), to_json(small)]
    pytest.fail("\n".join(report))


def replayed(
    folder: Path, kept: Mapping[str, Vendor], policies: Policies = STANDARD
) -> dict[str, list[str]]:
    said = play(Product(folder, dict(kept), policies), closing=False)
    return {name: said.get(name, []) for name in kept}


@pytest.fixture(scope="module")
def regressions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    keys = {f"r{number}": name for number, name in enumerate(REGRESSIONS)}
    vendors = {key: REGRESSIONS[name] for key, name in keys.items()}
    said = replayed(tmp_path_factory.mktemp("oracle") / "house", vendors)
    return {keys[key]: texts for key, texts in said.items()}


@pytest.mark.parametrize("name", REGRESSIONS)
def test_product_and_oracle_agree_on_what_once_differed(
    name: str, regressions: dict[str, list[str]]
) -> None:
    assert regressions[name] == []


@pytest.mark.parametrize("name", REGRESSIONS_ANY)
def test_they_agree_when_every_user_of_a_device_counts(name: str, tmp_path: Path) -> None:
    policies = Policies(device_user_attribution="any")
    assert replayed(tmp_path / "house", {"r0": REGRESSIONS_ANY[name]}, policies) == {"r0": []}
