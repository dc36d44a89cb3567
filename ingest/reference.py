"""Reference data in: every seed archived, journalled, laid out and loaded, all of them or none.

What is wrong with a seed is for `ingest.reference_checks`; a refused one changes nothing.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import duckdb

from ingest.archive import Archive, needing
from ingest.journal import Entry, Journal, Kind
from ingest.reference_checks import (
    Problem,
    ReferenceDataError,
    problems_of_folder,
    problems_of_keys,
    read,
    records,
)
from ingest.reference_contracts import SEEDS, SeedContract


@dataclass(frozen=True)
class ReferenceReceipt:
    """What one reading of the seeds did; names of seeds, and the SHA-256 now in force of each."""

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Policies:
    """The settings of `policies.csv`; each is a named policy of billing-rules."""

    active_window_days: int  # R2
    device_user_attribution: Literal["latest", "any"]  # R6
    clock_skew_minutes: int  # R3
    trial_days: int  # R16
    correction_periods: int  # R25
    release: Literal["automatic", "approved"]  # R22
    issue_days: int  # R20
    raw_retention_months: int  # 0: for ever


@dataclass(frozen=True)
class SafetyBounds:
    """The bounds of `safety_bounds.csv`: units, amounts in invoice currency, percentages."""

    largest_quantity: int
    largest_amount: int
    largest_swing_percent: int
    smallest_swing_units: int
    volume_swing_percent: int


def receive_reference(home: Path, seeds_dir: Path) -> ReferenceReceipt:
    """Check every seed, archive and journal the changed ones, lay them out in `home/reference`.

    Raises ReferenceDataError with all problems of all files (the versions accepted before stay in
    force), or OSError. Safe to repeat after a crash at any point: each step completes what is
    missing.
    """
    contents = _seed_contents(seeds_dir)
    problems = problems_of_folder(contents)
    if problems:
        raise ReferenceDataError(problems)
    archive = Archive(home / "archive")
    journal = Journal(home / "journal")
    versions = {seed: archive.add_bytes(contents[seed]) for seed in SEEDS}
    before = _versions_in_force(journal)
    changed = tuple(seed for seed in SEEDS if before.get(seed) != versions[seed])
    # One write for all: the seeds were checked against each other.
    journal.append(
        *(
            Entry(
                kind=Kind.REFERENCE,
                feed="reference",
                source=seed,
                file_name=SEEDS[seed].file_name,
                format="csv",
                sha256=versions[seed],
            )
            for seed in changed
        )
    )
    materialise(home)
    unchanged = tuple(seed for seed in SEEDS if seed not in changed)
    return ReferenceReceipt(changed=changed, unchanged=unchanged, versions=versions)


def materialise(home: Path) -> Mapping[str, str]:
    """Write `home/reference/*.csv` from archive and journal alone; the versions written.

    The text is the archived one with UTF-8, LF, minimal quoting and a blank for each column it is
    older than, so that what dbt reads does not depend on which editor saved the seed. A file that
    is already right is not touched.
    Raises ArchiveError when an archived version is missing or damaged.
    """
    archive = Archive(home / "archive")
    versions = _versions_in_force(Journal(home / "journal"))
    folder = home / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, sha256 in versions.items():
        content = archive.verified(sha256).read_bytes()
        _write(folder / f"{seed}.csv", _normalised(SEEDS[seed], content))
    return versions


def load_reference(conn: duckdb.DuckDBPyConnection, home: Path) -> None:
    """Make schema `reference` what `home/reference` holds: a typed table a seed, all or none.

    Cells were checked when the seeds were received; blanks are null, INTEGER is BIGINT and DECIMAL
    is DECIMAL(18, 6). A home without accepted reference data gets empty tables.
    """
    # Imported here: with it comes Polars, which who reads a policy need not wait for.
    from ingest.load import SQL_TYPE

    conn.execute("BEGIN")
    try:
        conn.execute("CREATE SCHEMA IF NOT EXISTS reference")
        for seed, contract in SEEDS.items():
            types = {column.name: SQL_TYPE[column.type] for column in contract.columns}
            columns = ", ".join(f"{name} {sql_type}" for name, sql_type in types.items())
            conn.execute(f"CREATE OR REPLACE TABLE reference.{seed} ({columns})")
            path = home / "reference" / contract.file_name
            if path.exists():
                conn.execute(
                    f"INSERT INTO reference.{seed} FROM read_csv("
                    "?, header = true, auto_detect = false, delim = ',', quote = '\"', "
                    "escape = '\"', nullstr = '', columns = ?)",
                    [str(path), types],
                )
        conn.execute("COMMIT")
    except duckdb.Error:
        with suppress(duckdb.Error):  # the transaction ended with the error, on a full disk
            conn.execute("ROLLBACK")
        raise


def policies(home: Path) -> Policies:
    """The policies in force, from `home/reference/policies.csv`."""
    values = _settings(home, "policies")
    return Policies(
        active_window_days=int(values["active_window_days"]),
        device_user_attribution=cast(Literal["latest", "any"], values["device_user_attribution"]),
        clock_skew_minutes=int(values["clock_skew_minutes"]),
        trial_days=int(values["trial_days"]),
        correction_periods=int(values["correction_periods"]),
        release=cast(Literal["automatic", "approved"], values["release"]),
        issue_days=int(values["issue_days"]),
        raw_retention_months=int(values.get("raw_retention_months", 0)),
    )


def safety_bounds(home: Path) -> SafetyBounds:
    """The safety bounds in force, from `home/reference/safety_bounds.csv`."""
    values = _settings(home, "safety_bounds")
    return SafetyBounds(**{bound: int(values[bound]) for bound in SEEDS["safety_bounds"].settings})


def _seed_contents(seeds_dir: Path) -> dict[str, bytes]:
    if not seeds_dir.is_dir():
        what = "the folder of reference data does not exist"
        action = "Give the right one with --seeds or MUSTER_SEEDS"
        raise ReferenceDataError([Problem(str(seeds_dir), None, None, None, what, action)])
    return {
        path.stem: path.read_bytes()
        for path in sorted(seeds_dir.glob("*.csv"))
        if path.is_file() and not path.name.startswith(".")
    }


def _versions_in_force(journal: Journal) -> dict[str, str]:
    reference = journal.state().reference
    return {name.removesuffix(".csv"): entry.sha256 for name, entry in sorted(reference.items())}


def _normalised(contract: SeedContract, content: bytes) -> bytes:
    lines = io.StringIO(newline="")
    found = [record for _, record in records(content.decode("utf-8-sig"))]
    writer = csv.DictWriter(lines, contract.column_names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(dict(zip(found[0], record, strict=True)) for record in found[1:])
    return lines.getvalue().encode("utf-8")


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    temporary = path.with_suffix(".partial")
    with needing(path, len(content)), temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _settings(home: Path, seed: str) -> dict[str, str]:
    path = home / "reference" / SEEDS[seed].file_name
    if not path.exists():
        what = "no reference data has been accepted in this home yet"
        raise ReferenceDataError(
            [Problem(str(path), None, None, None, what, "Load the seeds first")]
        )
    rows, problems = read(SEEDS[seed], path.read_bytes())
    problems += problems_of_keys(SEEDS[seed], rows) if not problems else []
    if problems:
        raise ReferenceDataError(problems)
    return {row[SEEDS[seed].key[0]]: row["value"] for row in rows}
