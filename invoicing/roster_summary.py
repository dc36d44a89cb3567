"""Sums rosters up for people who look at a customer: units per date, when last seen, who came and
went. Reading rosters only; who counts is decided by the marts, and rendering is `exports`.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

# No page lists more units than this behind one figure; the roster has them all.
LISTED = 200
# Sorting a roster takes no more memory, however long it is: the rest waits on disk.
_MEMORY = "512MiB"

Key = tuple[str, str]  # customer, product

# Not active in the sense of the rules (docs/metrics.md).
_NEAR_MISSES = ("outside_window", "moved_to_other_customer", "attributed_to_other_user")


@dataclass(frozen=True, slots=True)
class Seen:
    """An active unit: its last active date, and the reason it is not billed, None if it is."""

    unit_id: str
    last_active_on: date
    reason: str | None


@dataclass(frozen=True)
class Summary:
    """The active units of one customer and product; lists hold at most `LISTED`.

    `daily` is the number of units active on each date that had any. `joined` and `left` count who
    was not there in the roster before, and who is not any more; None without such a roster.
    """

    seen: tuple[Seen, ...]
    daily: Mapping[date, int]
    joiners: tuple[str, ...]
    leavers: tuple[str, ...]
    joined: int | None
    left: int | None


@dataclass(frozen=True)
class Summaries:
    """Of a whole roster; `has_before` when there was another to compare it with."""

    found: Mapping[Key, Summary]
    has_before: bool

    def of(self, customer_id: str, product_code: str) -> Summary:
        """Also where nobody is in the roster."""
        changes = 0 if self.has_before else None
        nobody = Summary((), {}, (), (), changes, changes)
        return self.found.get((customer_id, product_code), nobody)


def of_files(roster: Path, before: Path | None) -> Summaries:
    """A roster file, compared with the roster of the period before, if there is one."""
    with (
        tempfile.TemporaryDirectory(prefix="roster-") as folder,
        duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": folder}) as conn,
    ):
        _load(conn, "roster", roster)
        if before is not None:
            _load(conn, "roster_before", before)
        return of_tables(conn, has_before=before is not None)


def of_tables(conn: duckdb.DuckDBPyConnection, *, has_before: bool) -> Summaries:
    """The same of tables `roster` and `roster_before`, which have the columns of a roster file."""
    seen = _seen(conn)
    daily = _daily(conn)
    joined = _changes(conn, _JOINED) if has_before else {}
    left = _changes(conn, _LEFT) if has_before else {}
    nobody: tuple[int, tuple[str, ...]] = (0, ())
    found = {
        key: Summary(
            seen=tuple(seen.get(key, ())),
            daily=daily.get(key, {}),
            joiners=joined.get(key, nobody)[1],
            leavers=left.get(key, nobody)[1],
            joined=joined.get(key, nobody)[0] if has_before else None,
            left=left.get(key, nobody)[0] if has_before else None,
        )
        for key in seen.keys() | joined.keys() | left.keys()
    }
    return Summaries(found, has_before)


def _load(conn: duckdb.DuckDBPyConnection, table: str, path: Path) -> None:
    source = str(path).replace("'", "''")
    conn.execute(
        f"""
        create temporary view {table} as
        select customer_id, product_code, unit_id, is_counted, reason, last_active_on, active_on
        from read_parquet('{source}')
        """
    )


def _active(table: str, *but_not: str) -> str:
    """The active rows of a roster; near misses and the reasons in `but_not` left out."""
    reasons = ", ".join(f"'{reason}'" for reason in (*_NEAR_MISSES, *but_not))
    return f"select * from {table} where is_counted or reason is null or reason not in ({reasons})"


def _seen(conn: duckdb.DuckDBPyConnection) -> dict[Key, list[Seen]]:
    found: dict[Key, list[Seen]] = defaultdict(list)
    for customer_id, product_code, *unit in conn.execute(
        f"""
        select customer_id, product_code, unit_id, last_active_on, reason
        from ({_active("roster")})
        qualify
            row_number() over (
                partition by customer_id, product_code
                order by is_counted desc, reason nulls first, unit_id
            )
            <= {LISTED}
        order by customer_id, product_code, is_counted desc, reason nulls first, unit_id
        """
    ).fetchall():
        found[customer_id, product_code].append(Seen(*unit))
    return found


def _daily(conn: duckdb.DuckDBPyConnection) -> dict[Key, dict[date, int]]:
    found: dict[Key, dict[date, int]] = defaultdict(dict)
    for customer_id, product_code, active_on, units in conn.execute(
        f"""
        select customer_id, product_code, active_date, count(*)
        from (
            select customer_id, product_code, unnest(active_on) as active_date
            from ({_active("roster")})
        )
        group by customer_id, product_code, active_date
        order by customer_id, product_code, active_date
        """
    ).fetchall():
        found[customer_id, product_code][active_on] = units
    return found


_SAME = (
    "now.customer_id = before.customer_id and now.product_code = before.product_code "
    "and now.unit_id = before.unit_id"
)
# A passive member of a cluster counts through the other one: it has neither joined nor left.
# One whose licence went to the hardware in its place has left, and does not come while that is so.
_NOT_COUNTED = ("not_sfos", "replaced_hardware")
_NOW = _active("roster", "ha_member", *_NOT_COUNTED)
_BEFORE = _active("roster_before", *_NOT_COUNTED)
_JOINED = f"""
    select now.customer_id, now.product_code, now.unit_id
    from ({_NOW}) as now anti join ({_BEFORE}) as before on {_SAME}
"""
_LEFT = f"""
    select before.customer_id, before.product_code, before.unit_id
    from ({_BEFORE}) as before
    anti join ({_active("roster", *_NOT_COUNTED)}) as now on {_SAME}
"""


def _changes(conn: duckdb.DuckDBPyConnection, query: str) -> dict[Key, tuple[int, tuple[str, ...]]]:
    """How many came or went, and the first of them."""
    return {
        (customer_id, product_code): (units, tuple(unit_ids))
        for customer_id, product_code, units, unit_ids in conn.execute(
            f"""
            select customer_id, product_code, count(*), min(unit_id, {LISTED})
            from ({query})
            group by customer_id, product_code
            order by customer_id, product_code
            """
        ).fetchall()
    }
