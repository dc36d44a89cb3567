"""What expires goes from journal state, raw tables and archive, and nothing else does."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from landing_site import Site, usage

from ingest import retention
from ingest.archive import Archive
from ingest.intake import Outcome
from ingest.journal import Journal, State, entries_of, expiry
from ingest.retention import expire, expiring

JANUARY, FEBRUARY, MARCH = date(2026, 1, 15), date(2026, 2, 15), date(2026, 3, 1)
CUSTOMERS = b"snapshot_date,customer_id,customer_name,partner_id,status\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Usage of January (two rows, with a superseded version) and February, customers of January.

    February's file of `us` has the bytes of a refused one of January.
    """
    site = Site(tmp_path)
    site.deliver("usage/2026-01-15/eu.csv", usage("C1 EPADV d1 u1 09:00:00", day=JANUARY))
    site.receive()
    rows = ("C1 EPADV d1 u1 09:00:00", "C1 EPADV d2 u2 10:00:00")
    site.deliver("usage/2026-01-15/eu.csv", usage(*rows, day=JANUARY))
    site.deliver("usage/2026-01-15/eu.csv.manifest.json", {"rows": 2})
    site.deliver("usage/2026-01-20/eu.csv", b"not,a,header\n")
    site.deliver("customers/2026-01-15/crm.csv", CUSTOMERS + b"2026-01-15,C1,One,P1,active\n")
    site.deliver("usage/2026-02-15/eu.csv", usage(rows[0], day=FEBRUARY))
    site.receive()
    return site


def _expire(site: Site, kept_from: date) -> None:
    what = expiring(site.home, kept_from)
    expire(site.conn, site.home, what, "A. Clerk", lambda *_: None)


def test_what_would_go_is_counted_first(site: Site) -> None:
    """January's file in force has two rows. Its bytes, the version before, its manifest, and the
    refused file if it was archived: three contents or four."""
    what = expiring(site.home, date(2026, 2, 1))
    assert (what.files, what.rows) == (1, 2)
    by_name = {entry.file_name: entry for entry in site.journal() if entry.manifest_sha256}
    manifest = by_name["usage/2026-01-15/eu.csv"].manifest_sha256
    accepted = [
        entry.sha256 for entry in site.journal() if entry.file_name == "usage/2026-01-15/eu.csv"
    ]
    assert {manifest, *accepted} <= set(what.contents)
    archive = site.home / "archive"
    assert what.bytes == sum((archive / one).stat().st_size for one in what.contents)
    # Only shown: nothing is gone.
    assert site.query("select count(*) from raw.usage") == [(3,)]


def test_files_rows_and_bytes_go_and_the_rest_stays(site: Site) -> None:
    before = {path.name for path in (site.home / "archive").iterdir()}
    what = expiring(site.home, date(2026, 2, 1))
    _expire(site, date(2026, 2, 1))
    left = {path.name for path in (site.home / "archive").iterdir()}
    assert before - left == set(what.contents)
    assert site.query("select snapshot_date, source from raw.files order by all") == [
        (JANUARY, "crm"),
        (FEBRUARY, "eu"),
    ]
    assert site.query("select snapshot_date from raw.usage") == [(FEBRUARY,)]
    assert site.query("select count(*) from raw.customers") == [(1,)]
    assert site.query("select count(*) from raw.rejected_files") == [(0,)]
    assert site.query("select kept_from from raw.version_set") == [(date(2026, 2, 1),)]
    # The month whose rows went is folded anew.
    assert (date(2026, 1, 1),) in site.query("select activity_month from raw.withdrawn_activity")


def test_the_landing_folder_does_not_bring_it_back(site: Site) -> None:
    _expire(site, date(2026, 2, 1))
    entries = len(site.journal())
    site.deliver("usage/2026-01-31/eu.csv", usage("C1 EPADV d9 u9 09:00:00", day=JANUARY))
    site.deliver("customers/2026-01-16/crm.csv", CUSTOMERS + b"2026-01-16,C1,One,P1,active\n")
    site.reopen(lose_warehouse=True)
    receipts = site.receive()
    assert "usage/2026-01-31/eu.csv" not in receipts
    assert receipts["customers/2026-01-16/crm.csv"].outcome is Outcome.ACCEPTED
    assert len(site.journal()) == entries + 1
    assert site.query("select snapshot_date from raw.usage") == [(FEBRUARY,)]


def test_bytes_that_something_kept_needs_stay(site: Site) -> None:
    """The same bytes came for January, where they were refused, and are in force for February."""
    content = usage("C2 EPADV d5 u5 09:00:00", day=FEBRUARY)
    site.deliver("usage/2026-01-21/eu.csv", content)
    site.receive()
    site.deliver("usage/2026-02-21/eu.csv", usage("C2 EPADV d5 u5 09:00:00", day=FEBRUARY))
    site.deliver("usage/2026-02-15/us.csv", content)
    site.receive()
    kept = Journal(site.home / "journal").state().in_force
    _expire(site, date(2026, 2, 1))
    archive = Archive(site.home / "archive")
    for slot, entry in kept.items():
        if slot.snapshot_date >= date(2026, 2, 1):
            archive.verified(entry.sha256)
    site.reopen(lose_warehouse=True)
    site.synchronise()
    assert site.query("select count(*) from raw.usage") == [(2,)]


def test_a_crash_between_journal_and_archive_is_made_good(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = expiring(site.home, date(2026, 2, 1))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(retention, "synchronise", crash)
        with pytest.raises(KeyboardInterrupt):
            expire(site.conn, site.home, what, "A. Clerk", lambda *_: None)
    assert set(expiring(site.home, date(2026, 1, 1)).contents) == set(what.contents)
    _expire(site, date(2026, 2, 1))
    assert expiring(site.home, date(2026, 2, 1)).contents == ()
    assert site.kinds().count("expired") == 1
    assert site.query("select snapshot_date from raw.usage") == [(FEBRUARY,)]


def test_an_earlier_date_brings_nothing_back(site: Site) -> None:
    _expire(site, MARCH)
    _expire(site, date(2026, 2, 1))
    assert Journal(site.home / "journal").state().kept_from == MARCH
    assert site.query("select count(*) from raw.usage") == [(0,)]


def test_a_version_set_after_an_expiry_can_be_made_again(site: Site) -> None:
    plain = Journal(site.home / "journal").state().version_set()
    assert b"kept_from" not in plain
    _expire(site, date(2026, 2, 1))
    journal = Journal(site.home / "journal")
    text = journal.state().version_set()
    assert text.endswith(b',"kept_from":"2026-02-01"}')
    assert State(entries_of(text, journal.entries())).version_set() == text
    assert State([expiry(date(2026, 2, 1)), *journal.entries()]).version_set() == text
