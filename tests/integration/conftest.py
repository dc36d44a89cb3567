"""A small vendor, simulated once per format, and its two months closed once.

Fixtures only; what is promised stands in the tests.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from house import FIRST_DAY, LAST_DAY, PAGER, PERIODS, PLANTED, SEEDS, SIZE, House

from ingest.simulate import Format, simulate


@pytest.fixture(scope="session")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Format], Path]:
    made: dict[str, Path] = {}

    def make(file_format: Format) -> Path:
        if file_format not in made:
            out = tmp_path_factory.mktemp("landing") / file_format
            simulate(
                out,
                FIRST_DAY,
                LAST_DAY,
                **SIZE,
                format=file_format,
                seeds=SEEDS,
                plant=PLANTED,
            )
            made[file_format] = out
        return made[file_format]

    return make


@pytest.fixture(scope="session")
def closed_house(
    landing: Callable[[Format], Path], tmp_path_factory: pytest.TempPathFactory
) -> House:
    """Both months loaded from csv.gz and closed; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("closed")
    pager = shlex.join([sys.executable, "-c", PAGER, str(folder / "alerts")])
    house = House(folder / "home", landing("csv.gz"), environment={"MUSTER_ALERT": pager})
    house.muster("load")
    for period in PERIODS:
        house.muster("close", period, expect=3)
    return house
