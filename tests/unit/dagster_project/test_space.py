"""How long the disk lasts, from what a home takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project.lib.space import Space, space


def test_days_left_is_free_room_by_what_a_day_took() -> None:
    # 600 bytes for 3 days are 200 a day; 1,000 free bytes are 5 such days.
    taken = Space(home=600, free=1000, days=3)
    assert (taken.a_day, taken.days_left) == (200, 5)


@pytest.mark.parametrize("days", [0, 3])
def test_an_empty_home_forecasts_nothing(days: int) -> None:
    assert Space(home=0, free=1000, days=days).days_left is None


def test_blocks_are_counted_in_all_folders_and_links_are_not_followed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "archive").mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(b"x" * 1_000_000)
    (home / "link").symlink_to(tmp_path / "elsewhere")
    (home / "archive/a").write_bytes(b"x" * 100_000)
    (home / "journal").write_bytes(b"x" * 50_000)
    found = space(home, 1)
    # Whole blocks: at least the bytes, and at most a block of 64 KiB more for each file.
    assert 150_000 <= found.home <= 150_000 + 3 * 65_536
    assert found.free > 0
    assert space(tmp_path / "not/there", 0).home == 0
