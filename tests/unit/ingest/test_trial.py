"""A reader that ends with its process costs one file, not the load."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from landing_site import DAY, in_format, usage

from ingest import trial
from ingest.contracts import FEEDS
from ingest.landing import Format
from ingest.parse import parse
from ingest.reasons import Rejected


@pytest.fixture
def good(tmp_path: Path) -> Path:
    in_format(usage("c P d u 08:00:00"), Format.PARQUET, "usage", tmp_path / "good")
    return tmp_path / "good"


def test_the_end_of_the_child_is_told_and_the_next_file_has_a_new_one(
    good: Path, tmp_path: Path
) -> None:
    assert trial.ends_the_reader(good, None) is None
    first = trial._child
    assert first is not None
    # A pipe nobody writes to: the child is still reading when it is killed.
    os.mkfifo(tmp_path / "pipe")
    kill = threading.Timer(0.3, os.kill, (first.pid, signal.SIGABRT))
    kill.start()
    assert trial.ends_the_reader(tmp_path / "pipe", None) == "signal 6"
    assert trial.ends_the_reader(good, None) is None
    assert trial._child is not first
    # One that ended between two files is replaced too.
    assert trial._child is not None
    trial._child.kill()
    trial._child.wait()
    assert trial.ends_the_reader(good, None) is None


def test_what_is_damaged_or_too_large_is_for_the_parser_to_tell(good: Path, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(good.read_bytes()[:40])
    assert trial.ends_the_reader(tmp_path / "cut", None) is None
    assert trial.ends_the_reader(tmp_path / "missing", None) is None
    assert trial.ends_the_reader(good, 1) is None


def test_only_a_file_that_nothing_vouches_for_is_read_twice(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib
    import json

    monkeypatch.setattr("ingest.rows.ends_the_reader", lambda *_: "signal 6")
    how = (good, Format.PARQUET, FEEDS["usage"], DAY, 10)
    for manifest in (None, b'{"rows": 1}'):
        with pytest.raises(Rejected, match=r"the reader breaks off \(signal 6\)"):
            parse(*how, manifest)
    sha256 = hashlib.sha256(good.read_bytes()).hexdigest()
    assert parse(*how, json.dumps({"sha256": sha256}).encode()).accepted.height == 1
