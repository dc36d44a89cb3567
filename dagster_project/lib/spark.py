"""The Spark engine: raw data out of the warehouse as Parquet, models built there, marts back in.

Which engine builds is the settings' to say; starting a cluster is `spark/cluster`'s.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dagster_project.lib import dbt, model_checks, warehouse
from dagster_project.lib.settings import Settings
from ingest.contracts import FEEDS

if TYPE_CHECKING:
    import duckdb

# What is taken into the warehouse: all that invoicing, publishing and analysts read.
_MARTS = "path:models/marts"
# Tests of what is in the warehouse's file, whichever engine made it.
_ON_WAREHOUSE = "tag:on_warehouse"
_MASTER = "spark://127.0.0.1:7077"
_LOOK_SECONDS = 3.0


class SparkError(RuntimeError):
    """There is no Spark to build with; the message says what is missing and what to do."""


def check_ready() -> None:
    """Raise SparkError when the extra is not installed, or nobody listens where the master is."""
    if not (importlib.util.find_spec("pyspark") and importlib.util.find_spec("dbt.adapters.spark")):
        raise SparkError(
            "The engine Spark is not installed: `make spark-install`, or install the extra "
            "`musterhouse[spark]`."
        )
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise SparkError(
            "Spark needs Java 17, and there is none: `apt install openjdk-17-jre-headless`, or "
            "set JAVA_HOME."
        )
    master = os.environ.get("MUSTER_SPARK_MASTER", _MASTER)
    address = urlsplit(master)
    # Other masters (yarn, k8s, local) are found by Spark itself.
    if address.scheme == "spark":
        try:
            socket.create_connection(
                (address.hostname or "", address.port or 7077), _LOOK_SECONDS
            ).close()
        except OSError as error:
            raise SparkError(
                f"No Spark master answers at {master}: start a cluster with `make spark-up`, or "
                "name another one in MUSTER_SPARK_MASTER."
            ) from error


def build(
    settings: Settings,
    *,
    select: Sequence[str] = (),
    complete: bool,
    progress: Callable[[str], None] = lambda _: None,
) -> list[dbt.NodeResult]:
    """Build and test on Spark, then take the marts that were built into the warehouse.

    A `complete` build computes incremental models from the beginning when other SQL made them, or
    another warehouse. Results as those of `dbt.build`, of the functions and of the tests on the
    warehouse too, which are DuckDB's. Marts are taken in only when every model was built. Raises
    SparkError and DbtError.
    """
    check_ready()
    folder = settings.spark
    with warehouse.connect(settings) as conn:
        progress("Exporting what is new for Spark")
        export_sources(conn, folder / "sources")
        made_by = f"{dbt.models_sha256(settings)} {folder}"
        again = complete and not select and warehouse.spark_made_by(conn) != made_by
    if again or not _is_session_of(folder):
        _end_session()
    if again:
        for one in ("catalog", "warehouse"):
            shutil.rmtree(folder / one, ignore_errors=True)
    results = dbt.build(settings, select=select, progress=progress, target="spark")
    if not dbt.are_built(results):
        return results
    if again:
        with warehouse.connect(settings) as conn:
            warehouse.mark_spark_made_by(conn, made_by)
    progress("Taking the marts into the warehouse")
    marts = ["--select", *([f"{one},{_MARTS}" for one in select] or [_MARTS])]
    taken = dbt.invoke(
        settings,
        ["run", *marts],
        progress=progress,
        MUSTER_MARTS=str(folder / "warehouse"),
    )
    # Of a mart that came through, how long Spark took is worth telling; of others, all.
    told = {result.unique_id: result for result in results}
    for result in taken:
        if result.outcome != "built" or result.unique_id not in told:
            told[result.unique_id] = result
    if dbt.are_built(taken):
        for result in dbt.run_tests(settings, select=[_ON_WAREHOUSE], progress=progress):
            told[result.unique_id] = result
    return list(told.values())


def rows_found(sql: str) -> model_checks.Rows:
    """The result of a test's SQL on Spark, only what says whose the rows are."""
    owners = [name for name in _session().sql(sql).columns if name in model_checks.OWNERS]
    found = _session().sql(sql).select(*owners).distinct().collect() if owners else []
    return owners, [tuple(row) for row in found]


def _session() -> Any:
    """The session this process has, None when it has none: dbt takes the one it finds."""
    # By name: without the extra there is nothing to import, nor types.
    return importlib.import_module("pyspark.sql").SparkSession.getActiveSession()


def _is_session_of(folder: Path) -> bool:
    session = _session()
    ours = (str(folder / "warehouse"), (folder / "warehouse").as_uri())
    # Spark writes a file's URI with one slash.
    return session is None or session.conf.get("spark.sql.warehouse.dir", "") in (
        *ours,
        ours[1].replace("file:///", "file:/"),
    )


def _end_session() -> None:
    session = _session()
    if session is not None:
        session.stop()


@dataclass(frozen=True)
class _Part:
    """A piece of a source table that is one Parquet file: its name changes with its content."""

    name: str
    where: str


# Written at each export: small, or without anything that names their content.
_WHOLE = _Part("all.parquet", "true")
# Carries a table's columns while nothing is in it.
_EMPTY = _Part("none.parquet", "false")


def export_sources(conn: duckdb.DuckDBPyConnection, folder: Path) -> list[Path]:
    """Bring `folder`/<schema>/<table>/*.parquet to what the warehouse holds; the files written.

    A feed is one file per snapshot date, and is written again only when a file of that date was
    taken in or withdrawn. Raises duckdb.Error and OSError.
    """
    written = []
    tables = conn.execute(
        "select table_schema, table_name from information_schema.tables where table_catalog = "
        "current_catalog() and table_schema in ('raw', 'reference', 'ledger') order by all"
    ).fetchall()
    for schema, table in tables:
        target = folder / schema / table
        target.mkdir(parents=True, exist_ok=True)
        parts = {part.name: part for part in _parts(conn, schema, table)}
        for name, part in parts.items():
            path = target / name
            if part is not _WHOLE and path.exists():
                continue
            # Spark reads no file whose name begins with a dot.
            temporary = target / f".{name}"
            conn.execute(
                f'copy (select * from "{schema}"."{table}" where {part.where}) '
                f"to '{_quoted(str(temporary))}' (format parquet, compression zstd)"
            )
            temporary.replace(path)
            written.append(path)
        for old in target.iterdir():
            if old.name not in parts:
                old.unlink()
    return written


def _parts(conn: duckdb.DuckDBPyConnection, schema: str, table: str) -> Iterator[_Part]:
    if (schema, table) == ("ledger", "document_rosters"):
        yield _EMPTY
        yield from _documents(conn)
    elif schema == "raw" and table in FEEDS:
        yield _EMPTY
        yield from _snapshots(conn, table)
    else:
        yield _WHOLE


def _documents(conn: duckdb.DuckDBPyConnection) -> Iterator[_Part]:
    for distributor_id, sequence, sha256 in conn.execute(
        "select distributor_id, sequence, content_sha256 from ledger.documents order by all"
    ).fetchall():
        yield _Part(
            f"{distributor_id}-{sequence:06}-{sha256[:16]}.parquet",
            f"distributor_id = '{_quoted(distributor_id)}' and sequence = {sequence}",
        )


def _snapshots(conn: duckdb.DuckDBPyConnection, feed: str) -> Iterator[_Part]:
    loads: dict[str, list[tuple[int, str]]] = {}
    for snapshot_date, load_id, sha256 in conn.execute(
        "select cast(snapshot_date as varchar), load_id, sha256 from raw.files where feed = ? "
        "order by all",
        [feed],
    ).fetchall():
        loads.setdefault(snapshot_date, []).append((load_id, sha256))
    for snapshot_date, files in loads.items():
        digest = hashlib.sha256(repr(files).encode()).hexdigest()
        yield _Part(
            f"{snapshot_date}-{digest[:16]}.parquet", f"snapshot_date = date '{snapshot_date}'"
        )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
