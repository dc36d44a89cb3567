"""A warm process and the homes that the short tests start from, made once.

Fixtures only; what is promised stands in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import killing
import pytest
from scenarios import Scenario, short_scenarios


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[killing.Warm]:
    with killing.warm(tmp_path_factory.mktemp("warm")) as process:
        yield process


@pytest.fixture(scope="session")
def scenarios(warm: killing.Warm, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scenario]:
    """By name."""
    made = short_scenarios(warm, tmp_path_factory.mktemp("start"))
    return {scenario.name: scenario for scenario in made}
