"""The Spark engine: raw data out of the warehouse as Parquet, the marts that Spark built back in.

Running dbt is `lib/dbt.py`'s, and which engine a build takes its caller's; starting a cluster is
`make spark-up`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# What staging reads; the raw schema holds more, which is intake's own business.
SOURCES = ("raw", "reference", "ledger")


@dataclass(frozen=True)
class _Part:
    """A piece of a source table that is one Parquet file: its name changes with its content."""

    name: str
    where: str


def export_sources(conn: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Bring `folder`/<schema>/<table>/*.parquet to what the warehouse holds; files written.

    A feed is one file per snapshot date, and is written again only when a file of that date was
    taken in or withdrawn. Raises duckdb.Error and OSError.
    """
    written = 0
    for schema, table in _tables(conn):
        target = folder / schema / table
        target.mkdir(parents=True, exist_ok=True)
        parts = list(_parts(conn, schema, table))
        for part in parts:
            path = target / part.name
            if part.name.startswith("all") or not path.exists():
                # Spark reads no file whose name begins with a dot.
                temporary = target / f".{part.name}"
                conn.execute(
                    f'copy (select * from "{schema}"."{table}" where {part.where}) '
                    f"to '{_quoted(temporary)}' (format parquet, compression zstd)"
                )
                temporary.replace(path)
                written += 1
        wanted = {part.name for part in parts}
        for old in target.iterdir():
            if old.name not in wanted:
                old.unlink()
    return written


def _tables(conn: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return conn.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_catalog = current_catalog() and table_schema in ('raw', 'reference', 'ledger') "
        "order by all"
    ).fetchall()


def _parts(conn: duckdb.DuckDBPyConnection, schema: str, table: str) -> Iterator[_Part]:
    """What the files of a table are called. An empty one carries the columns of a table."""
    if (schema, table) == ("ledger", "document_rosters"):
        yield _Part("none.parquet", "false")
        issued = conn.execute(
            "select distributor_id, sequence, content_sha256 from ledger.documents order by all"
        ).fetchall()
        for distributor_id, sequence, content_sha256 in issued:
            yield _Part(
                f"{distributor_id}-{sequence:06}-{content_sha256[:16]}.parquet",
                f"distributor_id = '{_quoted(distributor_id)}' and sequence = {sequence}",
            )
        return
    columns = conn.execute(
        "select column_name from information_schema.columns where table_schema = ? and table_name = ?",
        [schema, table],
    ).fetchall()
    if schema != "raw" or ("row_number",) not in columns or ("feed",) in columns:
        yield _Part("all.parquet", "true")
        return
    yield _Part("none.parquet", "false")
    loads: dict[str, list[tuple[int, str]]] = {}
    for snapshot_date, load_id, sha256 in conn.execute(
        "select cast(snapshot_date as varchar), load_id, sha256 from raw.files where feed = ? "
        "order by all",
        [table],
    ).fetchall():
        loads.setdefault(snapshot_date, []).append((load_id, sha256))
    for snapshot_date, what in loads.items():
        digest = hashlib.sha256(repr(what).encode()).hexdigest()
        yield _Part(
            f"{snapshot_date}-{digest[:16]}.parquet", f"snapshot_date = date '{snapshot_date}'"
        )


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")
