"""Every command finishes what a killed one began: the same command again, and nothing else.

Loads and cancellations stand in `test_kills`, restores in `test_backup`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from house import House
from killing import Warm
from scenarios import Scenario, deliver_january, torn

RELEASE = ("muster", "release", "2026-01", "alpenland", "--by", "R. Roe")


@pytest.fixture(scope="module")
def waiting(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """January under policy approved: closed, and waiting for a second person."""
    start = tmp_path_factory.mktemp("waiting")
    house = House(start / "home", start / "landing", start / "seeds")
    tiny.seeds(house.seeds, release="approved")
    deliver_january(house.landing)
    house.home.mkdir()
    for command, code in ((("load",), 0), (("close", "2026-01"), 3)):
        assert warm.does(house, "muster", *command).code == code
    return Scenario("waiting", start, RELEASE)


@pytest.fixture(scope="module")
def released(warm: Warm, waiting: Scenario, tmp_path_factory: pytest.TempPathFactory) -> House:
    """What a release that nobody killed makes of it."""
    house = waiting.house(tmp_path_factory.mktemp("released"))
    assert warm.does(house, *RELEASE).code == 0
    return house


# Before the document; before its line; before its files; after them; before the pages.
@pytest.mark.parametrize(
    "before",
    [
        pytest.param("alpenland/000001.json", marks=pytest.mark.long),
        "heads.jsonl",
        pytest.param("exports/2026-01/alpenland", marks=pytest.mark.long),
        "published/.warehouse-",
        pytest.param("published/.index.html", marks=pytest.mark.long),
    ],
)
def test_a_release_is_finished_by_the_same_command(
    warm: Warm, waiting: Scenario, released: House, tmp_path: Path, before: str
) -> None:
    house = waiting.house(tmp_path)
    assert warm.does(house, *RELEASE, at=before).was_killed
    again = warm.does(house, *RELEASE)
    assert again.code == 0, again.log
    assert torn(house) is None
    assert (house.ledger(), house.exports()) == (released.ledger(), released.exports())
    assert house.marts() == released.marts()
    third = warm.does(house, *RELEASE)
    assert (third.code, "Nothing was changed" in third.log) == (0, True)


@pytest.mark.parametrize("before", ["disputes.jsonl", "heads.jsonl"])
def test_a_dispute_is_noted_once(warm: Warm, released: House, tmp_path: Path, before: str) -> None:
    house = Scenario("released", released.home.parent, ()).house(tmp_path)
    house = replace(house, landing=released.landing, seeds=released.seeds)
    note = ("--note", "two users left", "--by", "A. Clerk")
    command = ("muster", "dispute", "ALPENLAND-000001", "1", *note)
    assert warm.does(house, *command, at=before).was_killed
    for _ in range(2):
        assert warm.does(house, *command).code == 0
    assert (house.home / "ledger/disputes.jsonl").read_text().count("two users left") == 1
    assert torn(house) is None


@pytest.mark.long
@pytest.mark.parametrize("before", ["archive/", "published/.warehouse-"])
def test_an_expiry_is_finished_by_the_same_command(warm: Warm, tmp_path: Path, before: str) -> None:
    """Killed with its date in the journal, before the first archived file goes or the marts do."""
    house = House(tmp_path / "home", tmp_path / "landing", tmp_path / "seeds")
    kept = {"correction_periods": "0", "recomputed_periods": "0", "raw_retention_months": "1"}
    tiny.seeds(house.seeds, **kept)
    house.home.mkdir()
    for month in ("2026-01", "2026-02", "2026-03", "2026-04", "2026-05"):
        day = {"2026-02": "28", "2026-04": "30"}.get(month, "31")
        tiny.month_end(house.landing, f"{month}-{day}", tiny.usage("C1", ["a"], f"{month}-20"))
        assert warm.does(house, "muster", "close", month).code == 0
    expire = ("muster", "expire", "--by", "A. Clerk")
    archived = set((house.home / "archive").iterdir())
    assert warm.does(house, *expire, at=before).was_killed
    again = warm.does(house, *expire)
    assert again.code == 0, again.log
    assert archived - set((house.home / "archive").iterdir())
    assert "up to date" in warm.does(house, "muster", "load").log
    assert "Nothing to let go of" in warm.does(house, *expire).log
