"""Cut-offs on the calendar, for the schedules: which morning closes which period (R1).

The rule itself is computed in SQL; this only decides when to look.
"""

from __future__ import annotations

import calendar
import csv
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

# Any four years in a row hold every length a month can have.
_YEARS = range(2024, 2028)


def cutoff(year: int, month: int, cutoff_day: int) -> date:
    """The cut-off in a month: `cutoff_day`, or the month's last day when it is shorter."""
    last = calendar.monthrange(year, month)[1]
    return date(year, month, min(cutoff_day, last))


def mornings_after(cutoff_day: int) -> list[int]:
    """The days of a month on which the morning after such a cut-off can fall.

    31 gives [1], 25 gives [26]; 30 gives [1, 31], as a cut-off on the 30th is followed by the 31st
    or the 1st.
    """
    return sorted(
        {
            (cutoff(year, month, cutoff_day) + timedelta(days=1)).day
            for year in _YEARS
            for month in range(1, 13)
        }
    )


def period_ended_before(morning: date, cutoff_day: int) -> str | None:
    """The period `YYYY-MM` whose cut-off was the day before `morning`, None when none was."""
    eve = morning - timedelta(days=1)
    if cutoff(eve.year, eve.month, cutoff_day) != eve:
        return None
    return f"{eve:%Y-%m}"


def cutoff_days(distributors: Path) -> list[int]:
    """The distinct cut-off days in distributors.csv; 31 stands for the month's last day.

    Every row counts, whatever its validity: a schedule that ends no period that day is skipped,
    one that is missing would leave a distributor without an invoice. Lenient, because the file is
    checked when it is received and a mistake in it must not keep the UI from starting: without a
    readable file there is the month's end.
    """
    found = {31}
    try:
        with distributors.open(encoding="utf-8", newline="") as file:
            found |= set(_days(row.get("cutoff_day") or "" for row in csv.DictReader(file)))
    except (OSError, UnicodeDecodeError, csv.Error):
        pass
    return sorted(found)


def _days(texts: Iterable[str]) -> Iterable[int]:
    for text in texts:
        if text.isascii() and text.isdigit() and 1 <= int(text) <= 31:
            yield int(text)
