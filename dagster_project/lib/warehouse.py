"""The writer's connection to the warehouse, and what its models were built from.

Opening, creating and stamping the file; what is in its tables is ingest's, dbt's and invoicing's.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from dagster_project.lib import dbt, lock, seal
from dagster_project.lib.settings import ENGINES, Settings

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Inputs:
    """What the models are a function of: file versions and seeds, ledger, and the SQL itself.

    The disputes are part of the ledger here: a new note is published by the next load.
    """

    version_set_sha256: str
    ledger_sha256: str
    models_sha256: str


_LOG = logging.getLogger(__name__)


@contextmanager
def connect(
    settings: Settings, *, makes_again: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, open for writing, with the raw schema; made when it is not there.

    One that is not as Musterhouse left it is never read: whoever `makes_again` what is missing in
    it gets an empty one, anybody else a SealError. Raises ingest.load.WarehouseError when the file
    cannot be opened.
    """
    from ingest.load import open_warehouse

    settings.create_home()
    fault = seal.fault(settings)
    if fault and not makes_again:
        seal.check(settings)
    with seal.writing(settings):
        conn = open_warehouse(settings.warehouse, is_known=fault is None)
        if fault:
            _LOG.warning("%s. It is made again from archive and journal.", fault)
        conn.execute("set memory_limit = $1", [settings.memory_limit])
        try:
            yield conn
        finally:
            conn.close()


def bring_up_to_date(
    conn: duckdb.DuckDBPyConnection, settings: Settings, progress: Callable[[int, int, str], None]
) -> None:
    """Make raw, reference and ledger tables what archive, journal and ledger say.

    Costs little when they are, and makes good whatever a crash or a lost warehouse left undone.
    """
    from ingest.intake import synchronise
    from ingest.reference import load_reference, materialise
    from invoicing.ledger import Ledger

    materialise(settings.home)
    load_reference(conn, settings.home)
    synchronise(conn, settings.home, progress)
    Ledger(settings.ledger).load_into(conn)


def inputs(conn: duckdb.DuckDBPyConnection, settings: Settings) -> Inputs:
    """What a build made now would be a function of. The ledger must have been loaded."""
    version_set = conn.execute("select sha256 from raw.version_set").fetchall()
    documents = conn.execute(
        "select distributor_id, sequence, content_sha256 from ledger.documents order by all"
    ).fetchall()
    notes = conn.execute("select * from ledger.disputes order by all").fetchall()
    return Inputs(
        version_set_sha256=version_set[0][0] if version_set else "",
        ledger_sha256=hashlib.sha256(repr((documents, notes)).encode()).hexdigest(),
        models_sha256=dbt.models_sha256(settings),
    )


def built_from(conn: duckdb.DuckDBPyConnection) -> Inputs | None:
    """What the models now in the warehouse were all built and tested from, None when unknown."""
    conn.execute(_STAMP)
    rows = conn.execute("select * from house.built_from").fetchall()
    return Inputs(*rows[0]) if rows else None


def stamp(conn: duckdb.DuckDBPyConnection, what: Inputs | None) -> None:
    """Record that every model was built and tested from `what`; None before a build begins."""
    conn.execute(_STAMP)
    conn.begin()
    conn.execute("delete from house.built_from")
    if what is not None:
        conn.execute("insert into house.built_from values (?, ?, ?)", astuple(what))
    conn.commit()


def needs_full_refresh(conn: duckdb.DuckDBPyConnection, what: Inputs) -> bool:
    """Whether other SQL than this made the tables that dbt only adds to."""
    conn.execute(_STAMP)
    return conn.execute("from house.refreshed_with").fetchall() != [(what.models_sha256,)]


def mark_refreshed(conn: duckdb.DuckDBPyConnection, what: Inputs) -> None:
    """Remember which SQL the tables that dbt only adds to were made with from the beginning."""
    conn.begin()
    conn.execute("delete from house.refreshed_with")
    conn.execute("insert into house.refreshed_with values (?)", [what.models_sha256])
    conn.commit()


def batches(conn: duckdb.DuckDBPyConnection, *, from_the_beginning: bool) -> list[int]:
    """The load_ids up to which to fold first, when more rows wait than one build should aggregate.

    Folding many days at once takes room for all their rows, some 150 bytes each; a batch of whole
    files takes room for `FOLDED_ROWS` and what is folded already. Empty when all fit into one.
    """
    exists = conn.execute(
        "select 1 from duckdb_tables() where schema_name || '.' || table_name = $1", [_STORE]
    ).fetchall()
    begun = 0
    if exists and not from_the_beginning:
        begun = conn.execute(f"select coalesce(max(load_id), 0) from {_STORE}").fetchall()[0][0]
    waiting = conn.execute(
        "select load_id, rows_accepted from raw.files "
        "where feed in ('usage', 'heartbeat') and load_id > $1 order by load_id",
        [begun],
    ).fetchall()
    ends: list[int] = []
    rows = 0
    last = 0
    for load_id, accepted in waiting:
        if rows and rows + accepted > FOLDED_ROWS:
            ends.append(last)
            rows = 0
        rows, last = rows + accepted, load_id
    return ends


# Sixty million rows take some 9 GB while they are aggregated, in memory or spilled.
FOLDED_ROWS = 60_000_000
_STORE = "intermediate.int_usage_activity"


def is_built_by(conn: duckdb.DuckDBPyConnection, engine: str) -> bool:
    """Whether this engine built the models last. All but the marts are then with it alone."""
    conn.execute(_STAMP)
    # Before there was a choice, nothing was noted.
    rows = conn.execute("select engine from house.built_by").fetchall() or [("duckdb",)]
    return rows == [(engine,)]


def mark_built_by(conn: duckdb.DuckDBPyConnection, engine: str) -> None:
    _replace(conn, "house.built_by", engine)


def spark_made_by(conn: duckdb.DuckDBPyConnection) -> str | None:
    """What made the tables on Spark that are only added to; None when this warehouse knows none."""
    conn.execute(_STAMP)
    rows = conn.execute("select made_by from house.spark_made_by").fetchall()
    return str(rows[0][0]) if rows else None


def mark_spark_made_by(conn: duckdb.DuckDBPyConnection, made_by: str) -> None:
    _replace(conn, "house.spark_made_by", made_by)


def _replace(conn: duckdb.DuckDBPyConnection, table: str, value: str) -> None:
    conn.execute(_STAMP)
    conn.begin()
    conn.execute(f"delete from {table}")
    conn.execute(f"insert into {table} values (?)", [value])
    conn.commit()


_STAMP = """
    create schema if not exists house;
    create table if not exists house.built_by (engine varchar);
    create table if not exists house.spark_made_by (made_by varchar);
    create table if not exists house.refreshed_with (models_sha256 varchar);
    create table if not exists house.built_from (
        version_set_sha256 varchar, ledger_sha256 varchar, models_sha256 varchar
    )
"""


def is_current(settings: Settings) -> bool:
    """Whether the models are built and tested from the very inputs in force.

    Where Spark is asked for, by Spark: the marts of DuckDB are the same, but nobody asked for them.
    """
    if current_inputs(settings) is None:
        return False
    if settings.engine == ENGINES[0]:
        return True
    with connect(settings) as conn:
        return is_built_by(conn, settings.engine)


def current_inputs(settings: Settings) -> Inputs | None:
    """The inputs in force when the models are built and tested from them, None otherwise."""
    from ingest.journal import Journal
    from invoicing.ledger import Ledger

    if not settings.warehouse.exists():
        return None
    of_journal = hashlib.sha256(Journal(settings.journal).state().version_set()).hexdigest()
    with connect(settings, makes_again=True) as conn:
        Ledger(settings.ledger).load_into(conn)
        in_force = inputs(conn, settings)
        is_of_journal = in_force.version_set_sha256 == of_journal
        return in_force if is_of_journal and built_from(conn) == in_force else None


def fault(settings: Settings) -> str | None:
    """Why the warehouse has to be made again, in words; None when it opens, or is being written.

    Looks at headers and catalogue only: damage further in is told by whoever reads that far.
    """
    import duckdb

    if not settings.journal.exists():
        return None
    if not settings.warehouse.exists():
        what = f"{settings.warehouse} is missing"
    else:
        try:
            # Under the lock, because a reader of the file would make a run that begins now fail.
            with lock.writer(settings.lock, "muster status", wait_seconds=0):
                with duckdb.connect(str(settings.warehouse), read_only=True) as conn:
                    conn.execute("select * from raw.version_set").fetchall()
                other = seal.fault(settings)
                if other:
                    return f"{other}. `muster load` makes it again from archive and journal."
        except (lock.LockedError, OSError):  # a run is writing, or this person may not
            return None
        except duckdb.Error as error:
            what = f"{settings.warehouse} cannot be read ({str(error).splitlines()[0]})"
        else:
            return None
    return (
        f"{what}. Nothing is lost with it: `muster rebuild` makes it again from archive, journal "
        "and ledger."
    )


def row_counts(conn: duckdb.DuckDBPyConnection, schemas: tuple[str, ...]) -> dict[str, int]:
    """Rows of every table of `schemas`, by `schema.table`. Exact, and read from metadata."""
    tables = conn.execute(
        "select schema_name, table_name from duckdb_tables() "
        "where database_name = current_database() and list_contains(?, schema_name) order by all",
        [list(schemas)],
    ).fetchall()
    return {
        f"{schema}.{table}": conn.execute(f'select count(*) from "{schema}"."{table}"').fetchall()[
            0
        ][0]
        for schema, table in tables
    }
