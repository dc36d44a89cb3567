"""Writes and reads the roster of a document: every unit counted, and the near misses.

Who counts is decided by the marts; nothing is filtered or added up here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from invoicing.draft import Row, rows

# A near miss without a price has no currency; it is shown with every document of its period.
_OF_DRAFT = "period = ? and distributor_id = ? and (currency = ? or currency is null)"
_ORDER = (
    "line_number nulls last, partner_id, product_code, customer_id, is_counted desc, unit_id, "
    "unit_kind, reason nulls first"
)
_COLUMNS = """
    period, distributor_id, currency, line_number, partner_id, product_code, customer_id,
    unit_kind, unit_id, is_counted, reason, last_device_id, device_count, last_active_on,
    list_sort(active_on) as active_on, source_feed, source_snapshot_date, source_name, source_row
"""
# The same rows per group for every machine: the file's bytes are part of the document's hash.
_ROWS_PER_GROUP = 122_880


@dataclass(frozen=True)
class RosterSize:
    """Rows in a roster file, and how many of them were counted."""

    rows: int
    counted: int


def write(
    conn: duckdb.DuckDBPyConnection, period: str, distributor_id: str, currency: str, path: Path
) -> RosterSize:
    """Copy a draft's roster from billing.draft_roster to the Parquet file `path`.

    The bytes depend on the rows alone: total order, fixed row groups, one thread. (With two and
    four threads they were the same for 600,000 rows, but nobody promises that.) The thread setting
    of the connection is put back.
    """
    key = [period, distributor_id, currency]
    size = conn.execute(
        f"""
        select count(*), count(*) filter (is_counted) from billing.draft_roster where {_OF_DRAFT}
        """,
        key,
    ).fetchall()[0]
    threads = conn.execute("select current_setting('threads')").fetchall()[0][0]
    target = str(path).replace("'", "''")
    conn.execute("set threads = 1")
    try:
        conn.execute(
            f"""
            copy (
                select {_COLUMNS} from billing.draft_roster where {_OF_DRAFT} order by {_ORDER}
            ) to '{target}' (
                format parquet, compression zstd, row_group_size {_ROWS_PER_GROUP},
                use_tmp_file false
            )
            """,
            key,
        )
    finally:
        conn.execute(f"set threads = {int(threads)}")
    return RosterSize(*size)


def write_empty(like: Path, path: Path) -> RosterSize:
    """A roster without a row, for a document that counts nobody: it takes an invoice back (R24)."""
    source, target = (str(one).replace("'", "''") for one in (like, path))
    with duckdb.connect() as conn:
        conn.execute(
            f"""
            copy (select * from read_parquet('{source}') limit 0) to '{target}' (
                format parquet, compression zstd, row_group_size {_ROWS_PER_GROUP},
                use_tmp_file false
            )
            """
        )
    return RosterSize(0, 0)


def of_product(path: Path, partner_id: str, product_code: str) -> list[Row]:
    """The rows of a roster file that explain one line: counted units first, then near misses."""
    with duckdb.connect() as conn:
        return rows(
            conn,
            f"""
            select {_COLUMNS} from read_parquet(?)
            where partner_id = ? and product_code = ?
            order by is_counted desc, {_ORDER}
            """,
            [str(path), partner_id, product_code],
        )


def of_draft_product(
    conn: duckdb.DuckDBPyConnection, key: tuple[str, str, str], partner_id: str, product_code: str
) -> list[Row]:
    """The same from billing.draft_roster; `key` is (period, distributor_id, currency)."""
    return rows(
        conn,
        f"""
        select {_COLUMNS} from billing.draft_roster
        where {_OF_DRAFT} and partner_id = ? and product_code = ?
        order by is_counted desc, {_ORDER}
        """,
        [*key, partner_id, product_code],
    )
