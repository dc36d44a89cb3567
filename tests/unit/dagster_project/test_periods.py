"""Which morning closes which period (R1), for the schedules."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from dagster_project.lib.periods import (
    cutoff_days,
    mornings_after,
    period_ended_before,
)


@pytest.mark.parametrize(
    ("cutoff_day", "mornings"),
    [
        (25, [26]),
        # After the last day of a month comes the 1st, whatever the month.
        (31, [1]),
        # The 30th is followed by the 31st, by the 1st after a month of 30 days, and February's
        # clamped cut-off is followed by 1 March.
        (30, [1, 31]),
        # The 29th: the 30th; 1 March after a clamped 28th and after 29 February.
        (29, [1, 30]),
        # The 28th: the 29th, and 1 March in a common year.
        (28, [1, 29]),
        (1, [2]),
    ],
)
def test_mornings(cutoff_day: int, mornings: list[int]) -> None:
    assert mornings_after(cutoff_day) == mornings


@pytest.mark.parametrize("cutoff_day", [1, 15, 25, 28, 29, 30, 31])
def test_every_month_is_closed_once_on_a_scheduled_morning(cutoff_day: int) -> None:
    closed = []
    for offset in range(4 * 366):
        morning = date(2024, 1, 2) + timedelta(days=offset)
        if morning.day in mornings_after(cutoff_day):
            period = period_ended_before(morning, cutoff_day)
            if period is not None:
                closed.append(period)
    assert len(closed) == len(set(closed))
    assert {f"2026-{month:02d}" for month in range(1, 13)} <= set(closed)


def test_the_period_is_the_month_of_the_cutoff() -> None:
    assert period_ended_before(date(2026, 1, 26), 25) == "2026-01"
    assert period_ended_before(date(2026, 2, 1), 31) == "2026-01"
    assert period_ended_before(date(2026, 3, 1), 31) == "2026-02"
    assert period_ended_before(date(2026, 3, 1), 30) == "2026-02"
    assert period_ended_before(date(2026, 3, 1), 25) is None


def test_cutoff_days_come_from_the_distributors(tmp_path: Path) -> None:
    path = tmp_path / "distributors.csv"
    # A blank is the month's last day; what is no day is the intake's to refuse.
    path.write_text("distributor_id,cutoff_day\na,\nb,25\nc,25\nd,99\ne,10\n")
    assert cutoff_days(path) == [10, 25, 31]
    assert cutoff_days(tmp_path / "missing.csv") == [31]
