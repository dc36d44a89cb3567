"""A backlog folded into the activity store batch by batch gives the rows that one fold gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny

from dagster_project.lib import dbt, warehouse
from dagster_project.lib.settings import Settings
from ingest.intake import receive
from ingest.reference import receive_reference

_STORE = """
    select user_id, activity_month, active_days, customer_id, device_id, last_evidence, load_id
    from intermediate.int_usage_activity order by all
"""
_RAW = "+int_usage_activity"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    seeds = tiny.seeds(tmp_path / "seeds")
    settings = Settings(tmp_path / "home", tmp_path / "landing", seeds)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    settings.create_home()
    receive_reference(settings.home, settings.seeds)
    return settings


def _take(settings: Settings, files: dict[str, tuple[list[str], str]]) -> None:
    """A usage file a day: who was active, and on which date."""
    for day, (names, on) in files.items():
        tiny.write(settings.landing, "usage", day, tiny.REGION, tiny.usage("C1", names, on))
    with warehouse.connect(settings) as conn:
        warehouse.bring_up_to_date(conn, settings, lambda *_: None)
        receive(conn, settings.home, settings.landing)


def _store(settings: Settings) -> list[tuple[Any, ...]]:
    with warehouse.connect(settings) as conn:
        return conn.execute(_STORE).fetchall()


def test_batches_of_files_are_the_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of 2, 2, 1, 3 and 1 rows with room for 3: the second does not fit beside the first,
    the third does beside the second, the fourth stands alone, the fifth is left for the build.
    So the batches end with the first, third and fourth file.

    The file of the 2nd is then sent again without `ben`: its month is forgotten and read again in
    every batch, with load_ids of before and after.
    """
    _take(
        settings,
        {
            "2026-01-30": (["ann", "ben"], "2026-01-30"),
            "2026-01-31": (["ann", "ben"], "2026-01-31"),
            "2026-02-01": (["ann"], "2026-02-01"),
            "2026-02-02": (["ann", "ben", "cid"], "2026-02-02"),
            "2026-02-03": (["cid"], "2026-01-31"),
        },
    )
    monkeypatch.setattr(warehouse, "FOLDED_ROWS", 3)
    with warehouse.connect(settings) as conn:
        loads = [
            load_id
            for (load_id,) in conn.execute("select load_id from raw.files order by 1").fetchall()
        ]
        ends = warehouse.batches(conn, from_the_beginning=True)
    assert ends == [loads[0], loads[2], loads[3]]
    dbt.fold(settings, ends, full_refresh=True)
    # The fifth file has not been folded: `cid` on the 31st is not there yet.
    bits = {(row[0], str(row[1])): row[2] for row in _store(settings)}
    assert bits["u-ann", "2026-01-01"] == (1 << 29) | (1 << 30)
    assert bits["u-cid", "2026-02-01"] == 1 << 1
    assert ("u-cid", "2026-01-01") not in bits
    dbt.run_models(settings, select=[_RAW])
    in_batches = _store(settings)
    dbt.run_models(settings, select=[_RAW], full_refresh=True)
    assert in_batches == _store(settings)
    assert len(in_batches) == 6

    _take(settings, {"2026-02-02": (["ann", "cid"], "2026-02-02")})
    _take(settings, {"2026-02-04": (["ann", "ben", "cid"], "2026-02-04")})
    with warehouse.connect(settings) as conn:
        ends = warehouse.batches(conn, from_the_beginning=False)
    assert len(ends) == 1
    dbt.fold(settings, ends)
    dbt.run_models(settings, select=[_RAW])
    in_batches = _store(settings)
    dbt.run_models(settings, select=[_RAW], full_refresh=True)
    assert in_batches == _store(settings)
    # ben: 30 and 31 January, and of February the 4th alone.
    bits = {(row[0], str(row[1])): row[2] for row in in_batches}
    assert bits["u-ben", "2026-02-01"] == 1 << 3
