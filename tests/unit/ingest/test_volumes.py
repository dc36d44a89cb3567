"""The landed volumes against their bounds, on real rows of `raw.files`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from ingest.reference import SafetyBounds
from ingest.volumes import VolumeResult, validate_volumes, volumes

BOUNDS = SafetyBounds(
    largest_quantity=10_000_000,
    largest_amount=100_000_000,
    largest_swing_percent=60,
    smallest_swing_units=50,
    volume_swing_percent=40,
)
FIRST = date(2026, 1, 1)


@pytest.fixture
def conn() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        connection.execute(
            "create table raw.files (load_id bigint, feed varchar, snapshot_date date, "
            "source varchar, sha256 varchar, rows_in_file bigint, rows_accepted bigint, "
            "rows_quarantined bigint, rows_duplicate bigint, is_verified boolean)"
        )
        yield connection


def land(
    conn: duckdb.DuckDBPyConnection,
    day: int,
    rows: int,
    *,
    feed: str = "usage",
    source: str = "eu-central",
    quarantined: int = 0,
    duplicate: int = 0,
    lost: int = 0,
) -> None:
    conn.execute(
        "insert into raw.files values (1, ?, ?, ?, 'sha', ?, ?, ?, ?, true)",
        [
            feed,
            FIRST + timedelta(days=day - 1),
            source,
            rows,
            rows - quarantined - duplicate - lost,
            quarantined,
            duplicate,
        ],
    )


def by_name(results: list[VolumeResult]) -> dict[str, VolumeResult]:
    return {result.name: result for result in results}


def test_steady_files_pass_and_results_are_plain(conn: duckdb.DuckDBPyConnection) -> None:
    for day in range(1, 11):
        land(conn, day, 1000 + day, duplicate=3, quarantined=2)
    results = validate_volumes(conn, BOUNDS)
    assert [(r.name, r.success, r.severity) for r in results] == [
        ("rows_add_up", True, "critical"),
        ("volume_swing", True, "warning"),
        ("quarantine_share", True, "warning"),
    ]
    assert all(type(result.success) is bool for result in results)
    assert results[0].detail == "10 files within bounds"


def test_no_files_at_all_is_no_failure(conn: duckdb.DuckDBPyConnection) -> None:
    assert all(result.success for result in validate_volumes(conn, BOUNDS))


def test_a_lost_row_is_critical_and_named(conn: duckdb.DuckDBPyConnection) -> None:
    land(conn, 1, 100, lost=1)
    # 100 in the file = 99 accepted + 0 + 0 leaves one row nobody accounts for.
    result = by_name(validate_volumes(conn, BOUNDS))["rows_add_up"]
    assert (result.success, result.severity) == (False, "critical")
    assert result.detail == (
        "usage/2026-01-01/eu-central: 100 rows in the file, but 99 accepted, "
        "0 quarantined and 0 duplicate"
    )


def test_a_row_counted_twice_is_critical_too(conn: duckdb.DuckDBPyConnection) -> None:
    land(conn, 1, 100, lost=-1)
    assert not by_name(validate_volumes(conn, BOUNDS))["rows_add_up"].success


def test_swing_is_measured_against_the_median_of_the_seven_days_before(
    conn: duckdb.DuckDBPyConnection,
) -> None:
    # Days 1 to 3 hold 9,000 rows and are out of reach of day 11 (whose seven days are 4 to 10).
    # Days 4 to 10 hold 1000, so 1400 on day 11 is 40 percent: allowed. On day 12 the median of
    # days 5 to 11 is still 1000 and 1401 is 40.1 percent: flagged.
    for day in range(1, 4):
        land(conn, day, 9000)
    for day in range(4, 11):
        land(conn, day, 1000)
    land(conn, 11, 1400)
    land(conn, 12, 1401)
    day_11, day_12 = date(2026, 1, 11), date(2026, 1, 12)
    assert by_name(validate_volumes(conn, BOUNDS, dates={day_11}))["volume_swing"].success
    result = by_name(validate_volumes(conn, BOUNDS, dates={day_12}))["volume_swing"]
    assert not result.success
    assert result.detail == (
        "usage/2026-01-12/eu-central: 1401 rows against the usual 1000 (allowed: 40 percent)"
    )


def test_small_changes_and_first_files_are_never_a_swing(conn: duckdb.DuckDBPyConnection) -> None:
    # 3 to 52 rows is 1633 percent, but only 49 rows; `smallest_swing_units` is 50.
    land(conn, 1, 3, feed="transfers", source="crm")
    land(conn, 2, 52, feed="transfers", source="crm")
    # Another source's history is not this one's.
    land(conn, 2, 5000, feed="transfers", source="erp")
    assert by_name(validate_volumes(conn, BOUNDS))["volume_swing"].success
    # The median of 3 and 52 is 27.5, and 78 - 27.5 = 50.5 rows.
    land(conn, 3, 78, feed="transfers", source="crm")
    assert not by_name(validate_volumes(conn, BOUNDS))["volume_swing"].success


def test_an_emptied_source_is_a_swing(conn: duckdb.DuckDBPyConnection) -> None:
    land(conn, 1, 200)
    land(conn, 2, 0)
    assert not by_name(validate_volumes(conn, BOUNDS))["volume_swing"].success


def test_quarantine_share_includes_its_bound(conn: duckdb.DuckDBPyConnection) -> None:
    land(conn, 1, 200, quarantined=2)  # exactly 1 percent
    assert by_name(validate_volumes(conn, BOUNDS))["quarantine_share"].success
    land(conn, 2, 200, quarantined=3)
    result = by_name(validate_volumes(conn, BOUNDS))["quarantine_share"]
    assert result.detail == (
        "usage/2026-01-02/eu-central: 3 of 200 rows quarantined (allowed: 1 percent)"
    )


def test_feeds_narrow_the_files_looked_at(conn: duckdb.DuckDBPyConnection) -> None:
    land(conn, 1, 100, lost=1)
    land(conn, 1, 100, feed="heartbeat")
    assert by_name(validate_volumes(conn, BOUNDS, feeds={"heartbeat"}))["rows_add_up"].success
    assert [volume.feed for volume in volumes(conn, feeds={"heartbeat"})] == ["heartbeat"]


def test_many_failures_are_counted_not_listed(conn: duckdb.DuckDBPyConnection) -> None:
    for day in range(1, 13):
        land(conn, day, 100, lost=1)
    detail = by_name(validate_volumes(conn, BOUNDS))["rows_add_up"].detail
    assert detail.endswith("… and 2 more files")
