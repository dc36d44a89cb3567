"""Killed anywhere and run again: nothing lost, nothing doubled, the same bytes. `make soak` is the
long version.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import season
import tiny
from killing import Warm
from scenarios import JANUARY, Scenario, kill_again_and_again, torn

from dagster_project.lib import operations
from dagster_project.lib.settings import Settings

NAMES = (
    "seeds received",
    "files received",
    "gate, ledger and exports",
    "invoice taken back",
    "publication",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_piece_is_made_good_by_the_next_run(
    warm: Warm, scenarios: dict[str, Scenario], tmp_path: Path, name: str
) -> None:
    told: list[str] = []
    count = kill_again_and_again(
        warm, scenarios[name], tmp_path, 5, random.Random(name), told.append
    )
    assert (count.kills, count.torn, count.different) == (5, 0, 0), told
    # Nothing to be killed at would be a test of nothing.
    assert count.changes > 5


@pytest.mark.long
@pytest.mark.parametrize("before", ["published/.warehouse-", "published/.index.html"])
def test_a_load_that_ended_before_it_published_is_published_by_the_next(
    warm: Warm, scenarios: dict[str, Scenario], tmp_path: Path, before: str
) -> None:
    """Its files are received and its models built: only the publication is behind."""
    house = scenarios["publication"].house(tmp_path)
    marts = house.marts()
    late = tiny.usage("C1", ["a", "b", "c", "late"], "2026-01-20")
    house = replace(house, landing=tmp_path / "landing")
    tiny.month_end(house.landing, JANUARY, late)
    killed = warm.does(house, "muster", "load", at=before)
    assert killed.was_killed
    assert house.marts() == marts
    assert "did not finish" in warm.does(house, "muster", "status").log
    again = warm.does(house, "muster", "load")
    assert again.code == 0
    assert "Nothing new" not in again.log
    assert house.marts() != marts
    page = (house.home / "published/index.html").read_bytes()
    assert page == operations.page(Settings(house.home, house.landing, house.seeds))
    assert torn(house) is None
    assert "Nothing new" in warm.does(house, "muster", "load").log


@pytest.mark.long
def test_a_cancellation_that_ended_before_its_files_is_finished_by_the_same_command(
    warm: Warm, scenarios: dict[str, Scenario], tmp_path: Path
) -> None:
    """One credit note, whatever happens in between; the files and the publication follow."""
    house = scenarios["invoice taken back"].house(tmp_path)
    said = ("--reason", "wrong", "--by", "A. Clerk", "--on", "2026-02-05")
    command = ("muster", "cancel", "ALPENLAND-000001", *said)
    killed = warm.does(house, *command, at="exports/")
    assert killed.was_killed
    ledger = house.ledger()
    assert "alpenland/000002.json" in ledger
    assert "do not send it" in warm.does(house, "muster", "status").log
    again = warm.does(house, *command)
    assert again.code == 0, again.log
    assert "was taken back already by ALPENLAND-000002: wrong" in again.log
    assert house.ledger() == ledger
    folder = house.home / "exports/2026-01/alpenland"
    assert (folder / "credit_note_ALPENLAND-000002.csv").exists()
    assert "do not send it" not in warm.does(house, "muster", "status").log


@pytest.mark.long
def test_seasons_that_were_killed_are_seasons_that_were_not(warm: Warm, tmp_path: Path) -> None:
    """The shortest season there is, and one at random; `make soak` plays more."""
    told: list[str] = []
    played, count = season.play(warm, tmp_path, 1, 7, told.append)
    assert played == 2
    assert count.kills > 5
    assert (count.torn, count.different) == (0, 0), told
