"""A reader that ends with its process costs one file, not the load."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from pathlib import Path

import duckdb
import polars as pl
import pytest
from landing_site import DAY, in_format, usage

from ingest import trial
from ingest.contracts import FEEDS
from ingest.landing import Format
from ingest.parse import parse
from ingest.reasons import Reason, Rejected


@pytest.fixture
def good(tmp_path: Path) -> Path:
    in_format(usage("c P d u 08:00:00"), Format.PARQUET, "usage", tmp_path / "good")
    return tmp_path / "good"


def test_the_end_of_the_child_is_told_and_the_next_file_has_a_new_one(
    good: Path, tmp_path: Path
) -> None:
    assert trial.try_to_read(good, None) == trial.Tried()
    first = trial._child
    assert first is not None
    # A pipe nobody writes to: the child is still reading when it is killed.
    os.mkfifo(tmp_path / "pipe")
    kill = threading.Timer(0.3, os.kill, (first.pid, signal.SIGABRT))
    kill.start()
    assert trial.try_to_read(tmp_path / "pipe", None) == trial.Tried(ended="signal 6")
    assert trial.try_to_read(good, None) == trial.Tried()
    assert trial._child is not first
    # One that ended between two files is replaced too.
    assert trial._child is not None
    trial._child.kill()
    trial._child.wait()
    assert trial.try_to_read(good, None) == trial.Tried()


def test_what_is_damaged_or_too_large_does_not_end_it(good: Path, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(good.read_bytes()[:40])
    for name in ("cut", "missing"):
        tried = trial.try_to_read(tmp_path / name, None)
        assert tried.ended is None
        assert tried.raised
    # What its rows take at least is more than that, so they are not read.
    assert trial.try_to_read(good, 1) == trial.Tried()


def vouched_for(path: Path) -> bytes:
    return json.dumps({"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}).encode()


def test_only_a_file_that_nothing_vouches_for_is_read_twice(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.rows.try_to_read", lambda *_: trial.Tried(ended="signal 6"))
    how = (good, Format.PARQUET, FEEDS["usage"], DAY, 10)
    for manifest in (None, b'{"rows": 1}'):
        with pytest.raises(Rejected, match=r"the reader breaks off \(signal 6\)"):
            parse(*how, manifest)
    assert parse(*how, vouched_for(good)).accepted.height == 1


def test_what_the_child_could_not_read_is_not_read_again(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been too much for the child alone."""
    monkeypatch.setattr("ingest.rows.try_to_read", lambda *_: trial.Tried(raised="out of memory"))
    with pytest.raises(Rejected, match="Parquet: out of memory"):
        parse(good, Format.PARQUET, FEEDS["usage"], DAY, 10)


USAGE = """
    copy (
        select date '2026-01-15' as snapshot_date, 'c' as customer_id, 'P' as product_code,
            {text} as device_id, 'u' as user_id, timestamp '2026-01-15 08:00:00' as last_active_at
        from range({rows}) as counted(n)
    ) to '{path}' (format parquet, compression zstd, row_group_size {group})
"""


def written(path: Path, rows: int, text: str) -> Path:
    with duckdb.connect() as conn:
        # Few at a time where they are long: they are all in memory until they are written.
        group = rows if len(text) < 10 else 2_048
        conn.execute(USAGE.format(text=text, rows=rows, path=path, group=group))
    return path


@pytest.mark.parametrize("is_vouched_for", [False, True])
@pytest.mark.parametrize(
    ("rows", "text", "told"),
    [
        # Four texts of 16 bytes and two values of 8 are 80 bytes a row, however equal they are.
        (1_000_000, "'d'", "hold 1,000,000 rows of 80,000,000 bytes, over 200 times as many"),
        # 2,000 x (80 + 1 + 1 + 60,000 + 1) bytes; the dictionary of the file has the text once.
        (2_000, "repeat('x', 60000)", "hold 2,000 rows of 120,166,000 bytes"),
        # No two are equal, so the file has them all, packed.
        (2_000, "repeat('x', 60000) || n", "hold 2,000 rows of 120,"),
    ],
)
def test_a_small_file_of_much_is_refused_before_it_is_written_out(
    tmp_path: Path, rows: int, text: str, told: str, is_vouched_for: bool
) -> None:
    path = written(tmp_path / "file", rows, text)
    assert path.stat().st_size < 200_000
    manifest = vouched_for(path) if is_vouched_for else None
    with pytest.raises(Rejected) as caught:
        parse(path, Format.PARQUET, FEEDS["usage"], DAY, 10, manifest)
    assert caught.value.reason is Reason.FILE_TOO_LARGE
    assert told in caught.value.detail


def test_lengths_that_do_not_fit_into_32_bits_are_added_up(tmp_path: Path) -> None:
    """80,000 x 60,000 is 505,032,704 more than 2^32: a sum of that width would be taken."""
    path = written(tmp_path / "one", 1, "repeat('x', 60000)")
    frame = pl.read_parquet(path)
    path = tmp_path / "file"
    frame.select(column.new_from_index(0, 80_000) for column in frame).write_parquet(path)
    with pytest.raises(Rejected, match="rows take more than 4,80"):
        parse(path, Format.PARQUET, FEEDS["usage"], DAY, 10)


@pytest.mark.long
def test_the_child_takes_no_more_than_a_few_times_what_is_allowed(tmp_path: Path) -> None:
    """3 GB of distinct texts in a file of half a megabyte, which may unpack to 100 MB."""
    path = written(tmp_path / "file", 50_000, "repeat('x', 60000) || n")
    assert trial.try_to_read(path, 100_000_000).ended is not None
    with pytest.raises(Rejected, match=r"unpacks to far more than [0-9,]+ bytes, so that"):
        parse(path, Format.PARQUET, FEEDS["usage"], DAY, 10)
