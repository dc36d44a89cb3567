"""Which version of which file counts, and what the raw tables, journal and archive then hold."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from landing_site import DAY, Site, in_format, usage

from ingest import intake, rows
from ingest.archive import Archive, ArchiveError
from ingest.intake import Outcome
from ingest.landing import Format

FILE = "usage/2026-01-15/eu.csv"
A = usage("c1 P d1 u1 08:00:00")
B = usage("c1 P d1 u1 09:00:00", "c2 P d2 u2 09:00:00")
BAD = b"not,a,header\n"
HEADER_ONLY = usage()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.conn.close()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def in_force(site: Site) -> list[tuple[str, str]]:
    """(source, sha256) of raw.files."""
    return [
        (source, sha256)
        for source, sha256 in site.query("SELECT source, sha256 FROM raw.files ORDER BY source")
    ]


# ── Loading ───────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_loaded_and_accounted_for(site: Site) -> None:
    repeated = A + A.split(b"\n", 1)[1] + b"2026-01-15,c1,P,d9,u1,soon\n"
    site.deliver(FILE, repeated)
    receipt = site.receive()[FILE]
    assert (receipt.outcome, receipt.is_new, receipt.is_verified) == (Outcome.ACCEPTED, True, False)
    # Three rows: one accepted, one that repeats it, one without a time.
    assert site.query("SELECT * FROM raw.files") == [
        (1, "usage", DAY, "eu", sha(repeated), 10, 3, 1, 1, 1, False)
    ]
    assert site.query("SELECT * EXCLUDE (snapshot_date, last_active_at) FROM raw.usage") == [
        ("c1", "P", "d1", "u1", "eu", 1, 1)
    ]
    assert site.query("SELECT * FROM raw.quarantined_rows") == [
        (
            "usage",
            DAY,
            "eu",
            sha(repeated),
            1,
            3,
            4,
            "last_active_at",
            "invalid_timestamp",
            "2026-01-15,c1,P,d9,u1,soon",
        )
    ]
    (entry,) = site.journal()
    assert (entry.rows_in_file, entry.rows_accepted) == (3, 1)
    assert (entry.rows_quarantined, entry.rows_duplicate) == (1, 1)
    assert Archive(site.home / "archive").verified(sha(repeated)).read_bytes() == repeated


def test_formats_fill_equal_tables(tmp_path: Path) -> None:
    found = []
    for format in Format:
        site = Site(tmp_path / format)
        path = site.deliver(f"usage/2026-01-15/eu.{format}", b"")
        in_format(B, format, "usage", path)
        site.receive()
        found.append(site.query("SELECT * FROM raw.usage ORDER BY row_number"))
        site.conn.close()
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 2


def test_an_untouched_folder_adds_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SETTLED_NS", 0)
    site.deliver(FILE, A)
    site.deliver("usage/2026-01-15/us.csv", BAD)
    site.receive()
    tables, journal = site.tables(), site.journal()

    def unread(*_: object) -> None:
        raise AssertionError("an untouched file was read again")

    monkeypatch.setattr(hashlib, "file_digest", unread)
    receipts = site.receive()
    assert receipts[FILE].outcome is Outcome.UNCHANGED
    assert receipts["usage/2026-01-15/us.csv"].outcome is Outcome.REJECTED
    assert not any(receipt.is_new for receipt in receipts.values())
    assert (site.tables(), site.journal()) == (tables, journal)


def test_an_edit_in_place_is_noticed_with_size_and_times_as_before(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "SETTLED_NS", 0)
    path = site.deliver(FILE, A)
    site.receive()
    before = path.stat()
    with path.open("r+b") as file:
        file.write(A.replace(b"08:00:00", b"07:00:00"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert site.receive()[FILE].outcome is Outcome.ACCEPTED
    assert site.query("SELECT hour(last_active_at) FROM raw.usage") == [(7,)]


def test_a_file_that_just_changed_is_not_trusted_to_be_seen(site: Site) -> None:
    site.deliver(FILE, A)
    site.receive()
    assert site.query("SELECT count(*) FROM raw.landing_seen") == [(0,)]


def test_a_selection_of_days_loads_only_these(site: Site) -> None:
    site.deliver(FILE, A)
    site.deliver("usage/2026-01-16/eu.csv", usage("c P d u 08:00:00", day=date(2026, 1, 16)))
    assert list(site.receive(dates=[DAY])) == [FILE]
    assert site.query("SELECT count(*) FROM raw.files") == [(1,)]


@pytest.mark.parametrize("gone", [FILE, f"{FILE}.manifest.json"])
def test_a_file_that_is_gone_when_it_is_copied_ends_nothing(site: Site, gone: str) -> None:
    """Seen, hashed, and taken away by its source before it is archived; the others are taken."""
    other = "usage/2026-01-15/us.csv"
    site.deliver(FILE, A)
    site.deliver(f"{FILE}.manifest.json", {"rows": 1})
    site.deliver(other, usage("c P d u 09:00:00"))

    def take_away(done: int, total: int, text: str) -> None:
        if text == f"loading {FILE}":
            (site.landing / gone).unlink()

    receipts = intake.receive(site.conn, site.home, site.landing, progress=take_away)
    by_name = {one.file_name: one for one in receipts}
    assert (by_name[FILE].outcome, by_name[other].outcome) == ("unreadable", "accepted")
    assert f"No such file or directory: {site.landing / gone}" in (by_name[FILE].detail or "")
    assert [entry.file_name for entry in site.journal()] == [other]
    site.deliver(FILE, A)
    site.deliver(f"{FILE}.manifest.json", {"rows": 1})
    assert site.receive()[FILE].outcome == "accepted"


def test_strange_paths_and_unreadable_files_are_reported(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deliver("usage/2026-01-15/notes.txt", b"")
    locked = site.deliver(FILE, A)
    site.deliver(FILE + ".gz", b"")
    opened: Any = Path.open

    def deny(path: Path, *how: Any, **more: Any) -> Any:
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *how, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", deny)
        receipts = site.receive()
    assert receipts["usage/2026-01-15/notes.txt"].outcome is Outcome.UNRECOGNISED
    assert receipts[FILE].outcome is Outcome.UNREADABLE
    assert "Permission denied" in (receipts[FILE].detail or "")
    # The other file of the slot must not speak in its place.
    assert FILE + ".gz" not in receipts
    assert site.journal() == []


def test_progress_reaches_its_total(site: Site) -> None:
    site.deliver(FILE, A)
    site.deliver("usage/2026-01-15/us.csv", B)
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int, _: str) -> None:
        calls.append((done, total))

    intake.receive(site.conn, site.home, site.landing, progress=progress)
    # Two files are looked at, then taken.
    assert calls == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


# ── Versions ──────────────────────────────────────────────────────────────────────────────────


def test_new_bytes_supersede_and_withdraw_the_months_of_the_old(site: Site) -> None:
    old = A + b"2026-01-15,c9,P,d9,u9,2025-11-30T23:59:59Z\n"
    site.deliver(FILE, old)
    site.receive()
    site.deliver(FILE, B)
    assert site.receive()[FILE].outcome is Outcome.ACCEPTED
    assert in_force(site) == [("eu", sha(B))]
    assert site.query("SELECT customer_id FROM raw.usage ORDER BY 1") == [("c1",), ("c2",)]
    # The old file had rows in November 2025 and January 2026.
    months = site.query(
        "SELECT feed, activity_month, load_id FROM raw.withdrawn_activity ORDER BY 2"
    )
    assert [(feed, month) for feed, month, _ in months] == [
        ("usage", date(2025, 11, 1)),
        ("usage", date(2026, 1, 1)),
    ]
    ((load_id,),) = site.query("SELECT load_id FROM raw.files")
    # The first load drew 1; withdrawal and second load drew later numbers.
    assert {number for *_, number in months} == {2}
    assert load_id == 3


def test_older_bytes_delivered_again_are_in_force_again(site: Site) -> None:
    for content in (A, B, A):
        site.deliver(FILE, content)
        site.receive()
    assert site.kinds() == ["accepted"] * 3
    assert in_force(site) == [("eu", sha(A))]


def test_the_same_bytes_again_are_noted_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SETTLED_NS", 0)
    site.deliver(FILE, A)
    site.receive()
    tables = site.tables()
    for _ in range(3):
        site.deliver(FILE, A)
        assert site.receive()[FILE].outcome is Outcome.UNCHANGED
    assert site.kinds() == ["accepted", "unchanged"]
    assert site.tables() == tables


def test_a_file_that_goes_away_stays_in_force(site: Site) -> None:
    path = site.deliver(FILE, A)
    site.receive()
    path.unlink()
    site.receive()
    assert in_force(site) == [("eu", sha(A))]


def test_a_refused_version_leaves_the_last_good_one(site: Site) -> None:
    site.deliver(FILE, A)
    site.receive()
    site.deliver(FILE, BAD)
    receipt = site.receive()[FILE]
    assert (receipt.outcome, receipt.reason, receipt.is_new) == ("rejected", "wrong_header", True)
    assert in_force(site) == [("eu", sha(A))]
    columns = "feed, snapshot_date, source, file_name, sha256, reason"
    assert site.query(f"SELECT {columns} FROM raw.rejected_files") == [
        ("usage", DAY, "eu", FILE, sha(BAD), "wrong_header")
    ]
    # Said again as long as it lies there, noted once.
    assert site.receive()[FILE].is_new is False
    assert site.kinds() == ["accepted", "rejected"]
    # The good bytes again settle it.
    site.deliver(FILE, A)
    site.receive()
    assert site.kinds() == ["accepted", "rejected", "unchanged"]
    assert site.query("SELECT * FROM raw.rejected_files") == []


def test_the_policy_at_arrival_stays_with_the_version(site: Site) -> None:
    late = usage() + b"2026-01-15,c,P,d,u,2026-01-16T00:30:00Z\n"
    site.deliver(FILE, late)
    site.receive(clock_skew_minutes=60)
    site.receive(clock_skew_minutes=0)
    site.reopen(lose_warehouse=True)
    site.synchronise()
    assert site.query("SELECT rows_accepted, clock_skew_minutes FROM raw.files") == [(1, 60)]


# ── Other slots, other names ──────────────────────────────────────────────────────────────────


def test_a_copy_under_another_source_is_reported_and_not_counted(site: Site) -> None:
    site.deliver(FILE, A)
    site.receive()
    copy = "usage/2026-01-15/us.csv"
    site.deliver(copy, A)
    receipt = site.receive()[copy]
    assert (receipt.outcome, receipt.reason) == ("misplaced", "in_force_elsewhere")
    assert receipt.detail == "these bytes are in force for usage/2026-01-15/eu"
    site.receive()
    assert site.kinds() == ["accepted", "misplaced"]
    assert in_force(site) == [("eu", sha(A))]
    # Its own bytes arrive.
    site.deliver(copy, B)
    assert site.receive()[copy].outcome is Outcome.ACCEPTED
    assert site.query("SELECT * FROM raw.rejected_files") == []


def test_a_copy_in_another_days_folder_never_blocks_the_right_one(site: Site) -> None:
    copy = "usage/2026-01-14/eu.csv"
    site.deliver(copy, A)
    receipt = site.receive()[copy]
    assert (receipt.outcome, receipt.reason) == ("misplaced", "wrong_date_folder")
    site.deliver(FILE, A)
    assert site.receive()[FILE].outcome is Outcome.ACCEPTED
    assert in_force(site) == [("eu", sha(A))]


def test_files_without_rows_are_alike_without_being_copies(site: Site) -> None:
    for name in (FILE, "usage/2026-01-15/us.csv", "usage/2026-01-16/eu.csv"):
        site.deliver(name, HEADER_ONLY)
    assert {receipt.outcome for receipt in site.receive().values()} == {Outcome.ACCEPTED}


def test_swapped_files_can_be_put_right_at_once(site: Site) -> None:
    other = "usage/2026-01-15/us.csv"
    for here, there in ((B, A), (A, B)):
        site.deliver(FILE, here)
        site.deliver(other, there)
        site.receive()
    assert in_force(site) == [("eu", sha(A)), ("us", sha(B))]
    assert site.kinds() == ["accepted"] * 4


@pytest.mark.parametrize("first", [FILE, FILE + ".gz"])
def test_two_files_for_a_slot_end_the_same_in_any_order(site: Site, first: str) -> None:
    contents = {FILE: A, FILE + ".gz": gzip.compress(B, mtime=0)}
    for name in sorted(contents, key=lambda name: name != first):
        site.deliver(name, contents[name])
        receipts = site.receive()
    assert receipts[FILE + ".gz"].reason == "two_files_for_slot"
    assert in_force(site) == [("eu", sha(A))]
    assert site.query("SELECT file_name, reason FROM raw.rejected_files") == [
        (FILE + ".gz", "two_files_for_slot")
    ]
    before = site.kinds()
    site.receive()
    assert site.kinds() == before
    # A new version of the first does not make the other one pass unnoticed.
    site.deliver(FILE, B)
    site.receive()
    assert site.query("SELECT count(*) FROM raw.rejected_files") == [(1,)]
    # Taking the other away settles it.
    (site.landing / (FILE + ".gz")).unlink()
    site.receive()
    assert site.query("SELECT count(*) FROM raw.rejected_files") == [(0,)]
    # Taking the first away instead would have let it speak.
    site.deliver(FILE + ".gz", contents[FILE + ".gz"])
    (site.landing / FILE).unlink()
    assert site.receive()[FILE + ".gz"].outcome is Outcome.ACCEPTED


# ── Retractions ───────────────────────────────────────────────────────────────────────────────


def retraction(content: bytes) -> dict[str, str]:
    return {"sha256": sha(content), "who": "Ann", "why": "test data"}


def test_a_retraction_withdraws_what_is_in_force(site: Site) -> None:
    site.deliver(FILE, A)
    site.receive()
    site.deliver(FILE + ".retracted.json", retraction(A))
    receipt = site.receive()[FILE + ".retracted.json"]
    assert (receipt.outcome, receipt.detail, receipt.is_new) == (
        "retracted",
        "Ann: test data",
        True,
    )
    assert in_force(site) == []
    assert site.query("SELECT * FROM raw.usage") == []
    assert site.query("SELECT activity_month FROM raw.withdrawn_activity") == [(date(2026, 1, 1),)]
    # The file lies beside its retraction: it does not come back.
    site.receive()
    site.reopen(lose_warehouse=True)
    site.receive()
    assert site.kinds() == ["accepted", "retracted"]
    # Other bytes do, the old retraction is spent.
    site.deliver(FILE, B)
    assert site.receive()[FILE].outcome is Outcome.ACCEPTED
    assert site.query("SELECT * FROM raw.rejected_files") == []
    # Without the retraction beside it the first version may be delivered again.
    (site.landing / (FILE + ".retracted.json")).unlink()
    site.deliver(FILE, A)
    site.receive()
    assert in_force(site) == [("eu", sha(A))]


def test_a_retraction_needs_no_file_beside_it(site: Site) -> None:
    site.deliver(FILE, A)
    site.receive()
    (site.landing / FILE).unlink()
    site.deliver(FILE + ".retracted.json", retraction(A))
    site.receive()
    assert in_force(site) == []


def test_file_and_retraction_arriving_together_end_the_same(site: Site) -> None:
    site.deliver(FILE, A)
    site.deliver(FILE + ".retracted.json", retraction(A))
    site.receive()
    site.receive()
    assert site.kinds() == ["retracted"]
    assert in_force(site) == []


def test_a_correction_and_the_retraction_of_its_precursor_arrive_together(site: Site) -> None:
    site.deliver(FILE, A)
    site.receive()
    site.deliver(FILE, B)
    site.deliver(FILE + ".retracted.json", retraction(A))
    site.receive()
    assert site.kinds() == ["accepted", "retracted", "accepted"]
    assert in_force(site) == [("eu", sha(B))]
    assert site.query("SELECT count(*) FROM raw.usage") == [(2,)]


def test_a_retraction_of_other_bytes_is_refused(site: Site) -> None:
    site.deliver(FILE, A)
    site.deliver(FILE + ".retracted.json", retraction(B))
    receipt = site.receive()[FILE + ".retracted.json"]
    assert (receipt.outcome, receipt.reason) == ("rejected", "retraction_mismatch")
    assert in_force(site) == [("eu", sha(A))]
    site.receive()
    assert sorted(site.kinds()) == ["accepted", "rejected"]
    site.deliver(FILE + ".retracted.json", retraction(A))
    site.receive()
    assert in_force(site) == []
    assert site.query("SELECT * FROM raw.rejected_files") == []


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'{"sha256": "a", "who": "b"}', b'{"sha256": "a", "who": "", "why": "c"}'],
)
def test_a_retraction_must_say_who_and_why(site: Site, content: bytes) -> None:
    site.deliver(FILE, A)
    site.deliver(FILE + ".retracted.json", content)
    assert site.receive()[FILE + ".retracted.json"].reason == "retraction_invalid"
    assert in_force(site) == [("eu", sha(A))]


def test_a_refused_file_can_be_retracted_too(site: Site) -> None:
    site.deliver(FILE, BAD)
    site.receive()
    site.deliver(FILE + ".retracted.json", retraction(BAD))
    site.receive()
    assert site.query("SELECT * FROM raw.rejected_files") == []
    assert site.kinds() == ["rejected", "retracted"]


# ── Manifests ─────────────────────────────────────────────────────────────────────────────────


def test_a_manifest_may_follow_its_file(site: Site) -> None:
    site.deliver(FILE, A)
    site.receive()
    before = site.query("SELECT * FROM raw.version_set")
    site.deliver(FILE + ".manifest.json", {"rows": 1, "sha256": sha(A)})
    receipt = site.receive()[FILE]
    assert (receipt.outcome, receipt.is_verified, receipt.is_new) == ("accepted", True, True)
    # The rows are the same rows: nothing is withdrawn, no document is out of date.
    assert site.query("SELECT load_id, is_verified FROM raw.files") == [(1, True)]
    assert site.query("SELECT * FROM raw.withdrawn_activity") == []
    assert site.query("SELECT * FROM raw.version_set") == before
    tables = site.tables()
    site.receive()
    assert site.kinds() == ["accepted", "accepted"]
    site.reopen(lose_warehouse=True)
    site.synchronise()
    assert site.tables() == tables


def test_a_manifest_that_contradicts_is_refused_until_it_is_put_right(site: Site) -> None:
    site.deliver(FILE, A)
    site.deliver(FILE + ".manifest.json", {"rows": 2, "sha256": sha(A)})
    assert site.receive()[FILE].reason == "manifest_mismatch"
    assert in_force(site) == []
    site.deliver(FILE + ".manifest.json", {"rows": 1, "sha256": sha(A)})
    assert site.receive()[FILE].is_verified
    assert site.query("SELECT * FROM raw.rejected_files") == []


# ── Rebuilding ────────────────────────────────────────────────────────────────────────────────


def full_history(site: Site) -> None:
    for name, content in (
        (FILE, A),
        (FILE, B),
        ("usage/2026-01-15/us.csv", usage("c5 P d5 u5 08:00:00") + b"broken\n"),
        ("usage/2026-01-15/ap.csv", BAD),
        ("usage/2026-01-15/xx.csv", A),
    ):
        site.deliver(name, content)
        site.receive()
    site.deliver("usage/2026-01-15/xx.csv.retracted.json", retraction(A))
    site.receive()


def test_a_lost_warehouse_is_rebuilt_from_archive_and_journal_alone(site: Site) -> None:
    full_history(site)
    tables, journal = site.tables(), (site.home / "journal").read_bytes()
    site.landing.rename(site.landing.with_name("gone"))
    site.reopen(lose_warehouse=True)
    receipts = site.synchronise()
    assert {receipt.outcome for receipt in receipts} == {Outcome.RESTORED}
    assert site.tables() == tables
    assert (site.home / "journal").read_bytes() == journal
    assert site.synchronise() == []


def test_the_text_of_the_version_set_is_archived(site: Site) -> None:
    full_history(site)
    ((sha256,),) = site.query("SELECT sha256 FROM raw.version_set")
    text = json.loads(Archive(site.home / "archive").verified(sha256).read_bytes())
    assert text["files"] == [
        [*map(str, row), 10]
        for row in site.query(
            "SELECT feed, snapshot_date, source, sha256 FROM raw.files ORDER BY ALL"
        )
    ]


def test_a_damaged_archive_stops_the_rebuild(site: Site) -> None:
    site.deliver(FILE, A)
    site.receive()
    path = site.home / "archive" / sha(A)
    path.chmod(0o644)
    path.write_bytes(B)
    site.reopen(lose_warehouse=True)
    with pytest.raises(ArchiveError, match="is damaged"):
        site.synchronise()


def test_small_batches_load_the_same(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_history(site)
    other = Site(tmp_path / "other")
    for path in site.landing.glob("*/*/*"):
        other.deliver(str(path.relative_to(site.landing)), path.read_bytes())
    monkeypatch.setattr(intake, "_BATCH_FILES", 1)
    monkeypatch.setattr(rows, "_SLICE_ROWS", 1)
    other.receive()
    assert other.tables()["usage"] == site.tables()["usage"]
    other.conn.close()
