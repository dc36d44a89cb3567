"""Compares the marts in a warehouse with those that Spark keeps, row for row and type for type.

Which engine built the warehouse is the caller's to know.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

SCHEMAS = ("activity", "billing", "quality")


def differences(warehouse: Path, spark: Path) -> tuple[int, list[str]]:
    """How many rows were compared, and a sentence for every mart that differs.

    Decimals, dates and lists are compared as what they are, and every copy of a row counts.
    """
    conn = duckdb.connect()
    conn.execute("attach ? as other (read_only)", [str(warehouse)])
    rows, found = 0, []
    for schema, table in conn.execute(
        "select schema_name, table_name from duckdb_tables() "
        "where database_name = 'other' and list_contains(?, schema_name) order by all",
        [list(SCHEMAS)],
    ).fetchall():
        files = spark / "warehouse" / f"{schema}.db" / table / "*.parquet"
        ours, theirs = f'other."{schema}"."{table}"', f"read_parquet('{files}')"
        types = [
            conn.execute(f"select column_name, column_type from (describe from {one})").fetchall()
            for one in (ours, theirs)
        ]
        if types[0] != types[1]:
            found.append(f"{schema}.{table}: types {sorted(set(types[0]) ^ set(types[1]))}")
            continue
        for name, one, other in (("DuckDB", ours, theirs), ("Spark", theirs, ours)):
            only = conn.execute(f"from {one} except all from {other}").fetchall()
            found += [f"{schema}.{table}: only {name} has {row}" for row in only]
        rows += conn.execute(f"select count(*) from {ours}").fetchall()[0][0]
    return rows, found
