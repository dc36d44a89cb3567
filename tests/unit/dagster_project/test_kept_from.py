"""From which date usage is kept: the policy's, or earlier while a period rests on it."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest

from dagster_project.lib.retention import kept_from, policy_date
from dagster_project.lib.settings import Settings
from ingest.journal import Entry, Journal, Kind

SEEDS = Path(__file__).parents[3] / "seeds"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Usage up to 28 February 2027; customers, which never expire, up to March."""
    settings = Settings(tmp_path / "home", tmp_path / "landing", SEEDS)
    for feed, day in (("usage", date(2027, 2, 28)), ("customers", date(2027, 3, 31))):
        entry = Entry(
            kind=Kind.ACCEPTED,
            file_name=f"{feed}/{day}/a.csv",
            sha256="a",
            feed=feed,
            snapshot_date=day,
            source="a",
        )
        Journal(settings.journal).append(entry)
    settings.reference.mkdir(parents=True)
    _keep(settings, 13)
    return settings


def _keep(settings: Settings, months: int) -> None:
    shutil.copyfile(SEEDS / "policies.csv", settings.reference / "policies.csv")
    path = settings.reference / "policies.csv"
    text = path.read_text(encoding="utf-8")
    assert "raw_retention_months,0," in text
    path.write_text(text.replace("raw_retention_months,0,", f"raw_retention_months,{months},"))


def _draft(settings: Settings, *windows: date) -> None:
    settings.published.mkdir()
    with duckdb.connect(str(settings.published / "current.duckdb")) as conn:
        conn.execute("create schema billing")
        conn.execute("create table billing.draft_invoices (window_starts_on date)")
        for one in windows:
            conn.execute("insert into billing.draft_invoices values (?)", [one])


def test_the_policy_counts_whole_months_back_from_the_latest_usage(settings: Settings) -> None:
    """February 2027 less 13 months is January 2026, less 14 December 2025."""
    assert policy_date(settings) == date(2026, 1, 1)
    _keep(settings, 14)
    assert policy_date(settings) == date(2025, 12, 1)
    _keep(settings, 0)
    assert policy_date(settings) is None


def test_old_drafts_keep_what_they_rest_on(settings: Settings) -> None:
    """The oldest draft's window begins on 2 March 2026; 92 days before it is 30 November 2025, so
    all of that November stays, though the policy would keep January 2026 and later."""
    _draft(settings, date(2026, 7, 2), date(2026, 3, 2))
    assert kept_from(settings) == date(2025, 11, 1)


def test_without_old_drafts_the_policy_decides(settings: Settings) -> None:
    _draft(settings, date(2027, 1, 30))
    assert kept_from(settings) == date(2026, 1, 1)


def test_before_anything_is_published_everything_is_kept(settings: Settings) -> None:
    assert kept_from(settings) is None
