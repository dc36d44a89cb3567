"""What the checks on landed files and models found last, and whose rows it was (R22).

Keeping and reading only: running them is dbt's and Great Expectations', holding is the gate's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from dagster_project.lib.dbt import NodeResult
from invoicing.checks import CheckResult

if TYPE_CHECKING:
    import duckdb

Subject = Literal["models", "volumes"]
# What a test found: the names of its columns, and the rows.
Rows = tuple[list[str], list[tuple[object, ...]]]

# The columns that say whose a row is, the most exact first.
OWNERS = ("distributor_id", "customer_id", "partner_id")

_TABLE = """
    create schema if not exists house;
    create table if not exists house.checks (
        subject varchar, check_name varchar, success boolean, distributors varchar[], detail varchar
    )
"""


def rows_found(conn: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    """The result of a test's SQL in this database, only what says whose the rows are."""
    names = [row[0] for row in conn.execute(f"describe ({sql})").fetchall()]
    owners = [name for name in OWNERS if name in names]
    if not owners:
        return [], []
    return owners, conn.execute(f"select distinct {', '.join(owners)} from ({sql})").fetchall()


def judge(
    conn: duckdb.DuckDBPyConnection,
    results: Iterable[NodeResult],
    declared: Sequence[str],
    find: Callable[[str], Rows],
) -> list[CheckResult]:
    """The dbt tests among `results` as checks; a failed one names those whose rows it found.

    `find` runs a test's SQL where the models are. Of the `declared` tests, those without a result
    have failed: nobody knows what they would have found.
    """
    tests = [one for one in results if one.is_test and one.outcome != "skipped"]
    ran = {one.name for one in tests}
    return [
        *(_judged(conn, one, find) for one in tests),
        *(_failed(name, (), "it gave no result.") for name in declared if name not in ran),
    ]


def keep(
    conn: duckdb.DuckDBPyConnection, subject: Subject, found: Sequence[CheckResult], *, every: bool
) -> None:
    """Replace what these checks found before; with `every`, what any check of `subject` found."""
    names = [one.name for one in found]
    conn.execute(_TABLE)
    conn.begin()
    conn.execute(
        "delete from house.checks where subject = $1 and ($2 or list_contains($3, check_name))",
        [subject, every, names],
    )
    for one in found:
        conn.execute(
            "insert into house.checks values ($1, $2, $3, $4, $5)",
            [subject, one.name, one.success, list(one.distributors), one.detail],
        )
    conn.commit()


def kept(conn: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """What the checks found last, by name. All block: warnings are not kept here."""
    conn.execute(_TABLE)
    rows = conn.execute(
        "select check_name, success, distributors, detail from house.checks "
        "order by check_name, subject"
    ).fetchall()
    return [
        CheckResult(name, success, "blocking", tuple(distributors), detail)
        for name, success, distributors, detail in rows
    ]


def whose(conn: duckdb.DuckDBPyConnection, found: Rows) -> tuple[str, ...]:
    """The distributors the rows belong to; empty, which means all, where a row does not say."""
    names, rows = found
    distributors: set[str] = set()
    for row in rows:
        ids = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        owner = next((name for name in OWNERS if name in ids), None)
        if owner == "distributor_id":
            distributors.add(str(ids[owner]))
            continue
        of_owner = _accounts(conn, owner, ids[owner]) if owner else set()
        if not of_owner:
            return ()
        distributors |= of_owner
    return tuple(sorted(distributors))


def _accounts(conn: duckdb.DuckDBPyConnection, owner: str, value: object) -> set[str]:
    """The distributors that had this customer or partner in any drafted period."""
    tables = conn.execute(
        "select 1 from duckdb_tables() where schema_name = 'quality' "
        "and table_name = 'customer_accounts'"
    ).fetchall()
    if not tables:
        return set()
    rows = conn.execute(
        f"select distinct distributor_id from quality.customer_accounts where {owner} = $1", [value]
    ).fetchall()
    return {distributor_id for (distributor_id,) in rows}


def _judged(
    conn: duckdb.DuckDBPyConnection, one: NodeResult, find: Callable[[str], Rows]
) -> CheckResult:
    if one.outcome == "passed":
        return CheckResult(one.name, True, "blocking", (), "")
    if one.failures is None:
        return _failed(
            one.name, (), f"it could not run ({one.path}): {' '.join(one.message.split())}"
        )
    return _failed(
        one.name,
        whose(conn, find(one.sql)),
        f"{one.failures} rows contradict it. No waiver helps: {one.path} says what it promises, "
        "docs/runbook.md what to do.",
    )


def _failed(name: str, distributors: tuple[str, ...], detail: str) -> CheckResult:
    return CheckResult(name, False, "blocking", distributors, detail)
