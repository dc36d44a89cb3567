"""Expectations on the landed volumes: do rows add up, is a file far from its usual size.

What a count means, and whether an invoice may go out, is decided elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date

import duckdb

from ingest.reference import SafetyBounds

# One bad row in a hundred is a broken sender, not bad luck: sources send rows of one program, so
# they tend to be all right or wrong together. Lower it and single typing errors raise warnings.
LARGEST_QUARANTINE_PERCENT = 1

_LISTED_FILES = 10

# The median of the seven calendar days before, of the same feed and source; a first file has none.
# Ordered, because the detail of a result must not depend on threads. The discrepancy `feed_volume`
# tells the distributors by the same rule; tests/integration/test_discrepancies.py compares them.
_VOLUMES = """
    select
        feed,
        source,
        snapshot_date,
        rows_in_file,
        rows_accepted,
        rows_quarantined,
        rows_duplicate,
        median(rows_in_file) over (
            partition by feed, source
            order by snapshot_date
            range between interval 7 days preceding and interval 1 day preceding
        ) as usual_rows
    from raw.files
    order by feed, source, snapshot_date
"""


@dataclass(frozen=True)
class VolumeResult:
    """One expectation: `severity` is critical or warning; `detail` names the files that fail it.

    `failing` are their feeds and sources.
    """

    name: str
    success: bool
    severity: str
    detail: str
    failing: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Volume:
    """The row counts of one file in force; `usual_rows` is the median of the seven days before."""

    feed: str
    source: str
    snapshot_date: date
    rows_in_file: int
    rows_accepted: int
    rows_quarantined: int
    rows_duplicate: int
    usual_rows: float | None

    @property
    def rows_unaccounted(self) -> int:
        """Intake promise 2: must be 0."""
        return self.rows_in_file - self.rows_accepted - self.rows_quarantined - self.rows_duplicate

    @property
    def quarantine_percent(self) -> float:
        return 100 * self.rows_quarantined / max(self.rows_in_file, 1)

    def swing_percent(self, smallest_rows: int) -> float | None:
        """Change against the usual rows; None without any, 0 when it is below `smallest_rows`."""
        if self.usual_rows is None:
            return None
        change = abs(self.rows_in_file - self.usual_rows)
        if change < smallest_rows:
            return 0.0
        return 100 * change / max(self.usual_rows, 1)

    @property
    def name(self) -> str:
        return f"{self.feed}/{self.snapshot_date}/{self.source}"


def volumes(
    conn: duckdb.DuckDBPyConnection,
    *,
    feeds: Collection[str] | None = None,
    dates: Collection[date] | None = None,
) -> list[Volume]:
    """The files in force of `feeds` and `dates` (None: all), by feed, source and date."""
    found = [Volume(*row) for row in conn.execute(_VOLUMES).fetchall()]
    return [
        volume
        for volume in found
        if (feeds is None or volume.feed in feeds)
        and (dates is None or volume.snapshot_date in dates)
    ]


def validate_volumes(
    conn: duckdb.DuckDBPyConnection,
    bounds: SafetyBounds,
    *,
    feeds: Collection[str] | None = None,
    dates: Collection[date] | None = None,
) -> list[VolumeResult]:
    """Three expectations on `raw.files`, as Great Expectations finds them.

    - rows_add_up (critical): rows in file = accepted + quarantined + exact duplicates
    - volume_swing (warning): rows against the source's median of the seven days before, bounded by
      `volume_swing_percent`; changes below `smallest_swing_units` rows never count
    - quarantine_share (warning): quarantined rows, bounded by LARGEST_QUARANTINE_PERCENT
    """
    # Read when the package is imported; an environment cannot be trusted to have set it.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # Imported here: it takes over two seconds, which every other command would pay.
    import great_expectations as gx
    import pandas as pd  # type: ignore[import-untyped]
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )
    from great_expectations.expectations.metadata_types import FailureSeverity

    files = volumes(conn, feeds=feeds, dates=dates)
    smallest = bounds.smallest_swing_units
    # Numbers only: a text column would arrive Arrow-typed, which this library is slow with.
    frame = pd.DataFrame(
        {
            "rows_unaccounted": [file.rows_unaccounted for file in files],
            "swing_percent": [file.swing_percent(smallest) for file in files],
            "quarantine_percent": [file.quarantine_percent for file in files],
        },
        dtype="float64",
    )
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("landing")
        .add_dataframe_asset("volumes")
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": frame})
    )

    def expect(
        name: str,
        column: str,
        severity: str,
        largest: int,
        explain: Callable[[Volume], str],
    ) -> VolumeResult:
        result = batch.validate(
            ExpectColumnValuesToBeBetween(
                column=column,
                min_value=0,
                max_value=largest,
                severity=FailureSeverity(severity),
            ),
            result_format={"result_format": "COMPLETE"},
        )
        failing = [files[index] for index in result.result.get("unexpected_index_list") or []]
        lines = [f"{file.name}: {explain(file)}" for file in failing[:_LISTED_FILES]]
        if len(failing) > _LISTED_FILES:
            lines.append(f"… and {len(failing) - _LISTED_FILES} more files")
        detail = "; ".join(lines) or f"{len(files)} files within bounds"
        sources = tuple(sorted({(file.feed, file.source) for file in failing}))
        return VolumeResult(name, bool(result.success), severity, detail, sources)

    return [
        expect(
            "rows_add_up",
            "rows_unaccounted",
            "critical",
            0,
            lambda file: (
                f"{file.rows_in_file} rows in the file, but {file.rows_accepted} accepted, "
                f"{file.rows_quarantined} quarantined and {file.rows_duplicate} duplicate"
            ),
        ),
        expect(
            "volume_swing",
            "swing_percent",
            "warning",
            bounds.volume_swing_percent,
            lambda file: (
                f"{file.rows_in_file} rows against the usual {file.usual_rows:g} "
                f"(allowed: {bounds.volume_swing_percent} percent)"
            ),
        ),
        expect(
            "quarantine_share",
            "quarantine_percent",
            "warning",
            LARGEST_QUARANTINE_PERCENT,
            lambda file: (
                f"{file.rows_quarantined} of {file.rows_in_file} rows quarantined "
                f"(allowed: {LARGEST_QUARANTINE_PERCENT} percent)"
            ),
        ),
    ]
