"""What a trial changes in the reference data, and what it may not."""

from __future__ import annotations

import csv
import io

import pytest

from dagster_project.lib.settings import REPOSITORY
from dagster_project.lib.whatif import Trial, WhatIfError, tried_seeds
from ingest.reference_checks import ReferenceDataError

SEEDS = {path.stem: path.read_bytes() for path in (REPOSITORY / "seeds").glob("*.csv")}
_HEADER, _ALPENLAND, *_ = SEEDS["distributors"].decode().splitlines()


def _validities(trial: Trial, *rows: str) -> list[tuple[str, str, str]]:
    """Cut-off day, valid_from and valid_to of alpenland once tried; `rows` stand for its own."""
    seeds = {**SEEDS, "distributors": "\n".join([_HEADER, *rows, ""]).encode()}
    tried = tried_seeds(seeds, trial)["distributors"].decode().splitlines()[1:]
    cells = [row.split(",") for row in tried if row.startswith("alpenland")]
    return [(row[4], row[-2], row[-1]) for row in cells]


def _row(valid_from: str, valid_to: str, cutoff_day: str = "") -> str:
    cells = _ALPENLAND.split(",")
    return ",".join([*cells[:4], cutoff_day, *cells[5:-2], valid_from, valid_to])


def test_only_the_policy_that_is_tried_changes() -> None:
    tried = tried_seeds(SEEDS, Trial("2026-02", {"active_window_days": "31"}))
    assert list(tried) == ["policies"]
    before, after = _policies(SEEDS["policies"]), _policies(tried["policies"])
    assert (before["active_window_days"], after["active_window_days"]) == ("30", "31")
    assert after == {**before, "active_window_days": "31"}


def _policies(content: bytes) -> dict[str, str]:
    rows = csv.DictReader(io.StringIO(content.decode()))
    return {row["policy"]: row["value"] for row in rows}


def test_a_cutoff_day_holds_for_its_month_alone() -> None:
    assert _validities(Trial("2026-02", cutoff_day="20"), _row("2025-01-01", "", "28")) == [
        ("28", "2025-01-01", "2026-01-31"),
        ("20", "2026-02-01", "2026-02-28"),
        ("28", "2026-03-01", ""),
    ]


def test_the_row_valid_on_the_first_of_the_month_is_the_one_that_changes() -> None:
    """R1. One that ended before or begins within the month is left alone."""
    rows = (
        _row("2025-01-01", "2026-01-31", "5"),
        _row("2026-02-01", "2026-02-10", "6"),
        _row("2026-02-11", "", "7"),
    )
    assert _validities(Trial("2026-02", cutoff_day="20"), *rows) == [
        ("5", "2025-01-01", "2026-01-31"),
        ("20", "2026-02-01", "2026-02-10"),
        ("7", "2026-02-11", ""),
    ]


def test_december_ends_with_the_year() -> None:
    assert _validities(Trial("2026-12", cutoff_day="20"), _row("2026-12-01", "")) == [
        ("20", "2026-12-01", "2026-12-31"),
        ("", "2027-01-01", ""),
    ]


def test_another_distributor_keeps_its_cutoff() -> None:
    trial = Trial("2026-02", cutoff_day="20", distributor_id="sakura")
    assert _validities(trial, _row("2025-01-01", "")) == [("", "2025-01-01", "")]
    assert len(_validities(Trial("2026-02", cutoff_day="20"), _row("2025-01-01", ""))) == 3


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        (
            Trial("2026-02", {"active_window_days": "61"}),
            "policies.csv, column value: '61' is too large; the largest is 60.",
        ),
        (
            Trial("2026-02", {"device_user_attribution": "first"}),
            "'first' is not known here. Use one of latest, any.",
        ),
        (Trial("2026-02", {"window": "31"}), "'window' is not known here. Use one of active_w"),
        (Trial("2026-02", cutoff_day="32"), "cutoff_day: '32' is too large; the largest is 31."),
        (Trial("2026-02", cutoff_day="x"), "cutoff_day: 'x' is not a whole number."),
    ],
)
def test_a_value_is_refused_in_the_words_of_a_refused_seed(trial: Trial, words: str) -> None:
    with pytest.raises(ReferenceDataError) as refused:
        tried_seeds(SEEDS, trial)
    assert words in str(refused.value)
    assert len(refused.value.problems) == 1


def test_what_is_decided_at_intake_cannot_be_tried() -> None:
    with pytest.raises(WhatIfError, match="when a file is loaded"):
        tried_seeds(SEEDS, Trial("2026-02", {"clock_skew_minutes": "20"}))
