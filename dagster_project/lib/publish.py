"""Publishing: the marts as a read-only DuckDB file and as Parquet, each in place by one rename.

Copying and naming only. What a mart is, is dbt's; nobody who reads a publication can hold up a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.lib import warehouse
from dagster_project.lib.settings import Settings
from invoicing import durable

if TYPE_CHECKING:
    import duckdb

SCHEMAS = ("activity", "billing", "quality", "reference")
CURRENT = "current.duckdb"
MARTS = "marts"
MANIFEST = "manifest.json"
# Beside the manifest, not in it: the same marts have the same manifest, whoever published them, but
# not the same database file.
DATABASE = "database.json"
# Beside `published`, for `muster verify`.
RECORD = "published.json"

# The versions before the present one stay for whoever opened them, and for a person who wants to
# see yesterday's figures. Each is a full copy of the marts.
_KEPT_VERSIONS = 3

# The oldest format that holds everything the marts need: a reader's DuckDB may be older than ours.
_STORAGE_VERSION = "v1.0.0"


class PublishError(RuntimeError):
    """Nothing was published; the last publication is still in place."""


@dataclass(frozen=True)
class Mart:
    """One published table."""

    schema: str
    table: str
    file: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Publication:
    """What is published. `is_new` is False when it already was."""

    marts: tuple[Mart, ...]
    database: Path
    is_new: bool


def publish(
    settings: Settings,
    run: str,
    told: Mapping[str, str],
    *,
    again: bool = False,
    pages: Callable[[], object] = lambda: None,
) -> Publication:
    """Publish the marts as they are in the warehouse; `run` names the version.

    `told` is what each table, column and function means (`lib.dbt.descriptions`), and becomes the
    comments of the database. What is published already is left alone, unless it is to be written
    `again`. `pages` writes what is made from the database once that is in place.

    The database is replaced first and `marts`, with the manifest, last: its name turning to the new
    folder is what makes a publication complete. Raises PublishError when the models were not all
    built and tested from what is in force, OSError when the disk does not take it.
    """
    with warehouse.connect(settings) as conn:
        inputs = warehouse.built_from(conn)
        if inputs is None or inputs != warehouse.inputs(conn, settings):
            raise PublishError(
                "The models in the warehouse were not all built and tested from the files, seeds "
                "and invoices in force, so nothing was published and the last publication stays. "
                "Run `muster load` (or materialise the models) and look at what fails there."
            )
        made_from = asdict(inputs)
        published = read_manifest(settings)
        current = settings.published / CURRENT
        is_same = published is not None and published["made_from"] == made_from
        if published is not None and is_same and current.exists() and not again:
            marts = tuple(Mart(**mart) for mart in published["marts"])
            pages()
            _record(settings)
            return Publication(marts, current, is_new=False)
        durable.make_directory(settings.published)
        _sweep(settings.published)
        database = settings.published / f"warehouse-{run}.duckdb"
        folder = settings.published / f"{MARTS}-{run}"
        _write_database(conn, database, told)
        marts = _write_marts(conn, folder)
    manifest = {"made_from": made_from, "marts": [asdict(mart) for mart in marts]}
    durable.write_file(folder / DATABASE, to_json(signed(_of_database(database))))
    durable.write_file(folder / MANIFEST, to_json(signed(manifest)))
    _point(database, current)
    # Before the publication counts: a run that ends here is made good by the next load.
    pages()
    _record(settings, folder)
    _turn(folder, settings.published / MARTS)
    _forget_old(settings.published, "warehouse-*.duckdb", keep=database)
    _forget_old(settings.published, f"{MARTS}-*", keep=folder)
    return Publication(marts, current, is_new=True)


def is_current(settings: Settings) -> bool:
    """Whether what is published was made from the very inputs in force.

    Models that are up to date are not enough: a run can end between building and publishing.
    """
    published = read_manifest(settings)
    if published is None or not (settings.published / CURRENT).exists():
        return False
    in_force = warehouse.current_inputs(settings)
    return in_force is not None and published["made_from"] == asdict(in_force)


def read_manifest(settings: Settings) -> dict[str, Any] | None:
    """The manifest of what is published, None when nothing is."""
    try:
        manifest: dict[str, Any] = json.loads(
            (settings.published / MARTS / MANIFEST).read_text(encoding="utf-8")
        )
    except (FileNotFoundError, ValueError):
        return None
    return manifest


@dataclass(frozen=True)
class Record:
    """What was published, as kept outside `published`: whoever may write there may forge manifests.

    SHA-256 of manifest and database by version, and of each page.
    """

    versions: Mapping[str, Mapping[str, str]]
    pages: Mapping[str, str]


def read_record(settings: Settings) -> Record:
    """Empty when an earlier version published, or nobody."""
    try:
        value = json.loads((settings.home / RECORD).read_bytes())
        return Record(value["versions"], value["pages"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return Record({}, {})


def _record(settings: Settings, folder: Path | None = None) -> None:
    """Keep what the pages are now, and a new version."""
    published = settings.published
    versions = {
        name: version
        for name, version in read_record(settings).versions.items()
        if (published / name).is_dir()
    }
    if folder is not None:
        versions[folder.name] = {
            "manifest": durable.file_sha256(folder / MANIFEST),
            "database": json.loads((folder / DATABASE).read_bytes())["database_sha256"],
        }
    pages = {path.name: durable.file_sha256(path) for path in sorted(published.glob("*.html"))}
    durable.write_file(settings.home / RECORD, to_json({"versions": versions, "pages": pages}))


def signed(value: dict[str, Any]) -> dict[str, Any]:
    """With the SHA-256 of the rest."""
    return {**value, "sha256": hashlib.sha256(to_json(value)).hexdigest()}


def _of_database(path: Path) -> dict[str, Any]:
    return {"file": path.name, "database_sha256": durable.file_sha256(path)}


def _tables(conn: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Schema and table of what is published; views become tables of the same name."""
    rows = conn.execute(
        """
        select schema_name, table_name
        from (
            select database_name, schema_name, table_name from duckdb_tables()
            union all
            select database_name, schema_name, view_name from duckdb_views()
        )
        where database_name = current_database() and list_contains(?, schema_name)
        order by schema_name, table_name
        """,
        [list(SCHEMAS)],
    ).fetchall()
    return [(schema, table) for schema, table in rows]


def _write_database(conn: duckdb.DuckDBPyConnection, path: Path, told: Mapping[str, str]) -> None:
    temporary = durable.temporary_path(path)
    for leftover in (temporary, temporary.with_name(temporary.name + ".wal")):
        leftover.unlink(missing_ok=True)
    conn.execute(
        f"attach {_text(str(temporary))} as publication (storage_version '{_STORAGE_VERSION}')"
    )
    try:
        for schema in SCHEMAS:
            conn.execute(f"create schema publication.{schema}")
        tables = _tables(conn)
        for schema, table in tables:
            name = f"{_name(schema)}.{_name(table)}"
            # Sorted, so that a reader who filters on the first columns reads a few blocks only,
            # and the same rows lie in the same order whoever published them.
            conn.execute(f"create table publication.{name} as select * from {name} order by all")
        with _one_transaction(conn):
            for schema, table in tables:
                name = f"publication.{_name(schema)}.{_name(table)}"
                _comment(conn, f"table {name}", told.get(f"{schema}.{table}"))
                for column in _columns(conn, schema, table):
                    text = told.get(f"{schema}.{table}.{column}")
                    _comment(conn, f"column {name}.{_name(column)}", text)
            _copy_macros(conn, told)
        conn.execute("checkpoint publication")
    finally:
        conn.execute("detach publication")
    temporary.chmod(0o440)
    durable.publish_file(temporary, path)


@contextmanager
def _one_transaction(conn: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Hundreds of small statements, of which each would wait for the disk otherwise."""
    import duckdb

    conn.begin()
    try:
        yield
        conn.commit()
    except BaseException:
        with suppress(duckdb.Error):  # the transaction ended with the error, on a full disk
            conn.rollback()
        raise


def _comment(conn: duckdb.DuckDBPyConnection, what: str, text: str | None) -> None:
    if text:
        conn.execute(f"comment on {what} is {_text(text)}")


def _columns(conn: duckdb.DuckDBPyConnection, schema: str, table: str) -> list[str]:
    rows = conn.execute(
        """
        select column_name from duckdb_columns()
        where database_name = current_database() and schema_name = ? and table_name = ?
        order by column_index
        """,
        [schema, table],
    ).fetchall()
    return [column for (column,) in rows]


def _copy_macros(conn: duckdb.DuckDBPyConnection, told: Mapping[str, str]) -> None:
    """The marts' own functions, such as active users on a date. They name tables by schema."""
    rows = conn.execute(
        """
        select schema_name, function_name, parameters, macro_definition, function_type
        from duckdb_functions()
        where database_name = current_database() and list_contains(?, schema_name)
            and function_type in ('macro', 'table_macro')
        order by schema_name, function_name
        """,
        [list(SCHEMAS)],
    ).fetchall()
    if not rows:
        return
    before = conn.execute("select current_database()").fetchall()[0][0]
    conn.execute("use publication")
    try:
        for schema, function, parameters, definition, kind in rows:
            name = f"{_name(schema)}.{_name(function)}"
            table = "table " if kind == "table_macro" else ""
            arguments = ", ".join(_name(parameter) for parameter in parameters)
            conn.execute(f"create macro {name}({arguments}) as {table}{definition}")
            _comment(conn, f"macro {table}{name}", told.get(f"{schema}.{function}"))
    finally:
        conn.execute(f"use {_name(before)}")


def _write_marts(conn: duckdb.DuckDBPyConnection, folder: Path) -> tuple[Mart, ...]:
    if folder.exists():
        shutil.rmtree(folder)
    durable.make_directory(folder)
    marts: list[Mart] = []
    # On, so that rows keep the order they were sorted in, and with it the bytes.
    conn.execute("set preserve_insertion_order = true")
    for schema, table in _tables(conn):
        path = folder / f"{schema}.{table}.parquet"
        copied = conn.execute(
            f"copy (select * from {_name(schema)}.{_name(table)} order by all) "
            f"to {_text(str(path))} (format parquet, compression zstd)"
        ).fetchall()
        durable.sync(path)
        marts.append(Mart(schema, table, path.name, copied[0][0], durable.file_sha256(path)))
    return tuple(marts)


def _point(database: Path, current: Path) -> None:
    """Make `current` another name of `database`, in one rename."""
    temporary = durable.temporary_path(current)
    temporary.unlink(missing_ok=True)
    try:
        os.link(database, temporary)
    except OSError:  # a file system without hard links
        shutil.copy2(database, temporary)
    durable.publish_file(temporary, current)


def _turn(folder: Path, name: Path) -> None:
    """Let the link `name` lead to `folder`, in one rename."""
    durable.sync(folder)
    temporary = durable.temporary_path(name)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.name, target_is_directory=True)
    temporary.replace(name)
    durable.sync(name.parent)


def _sweep(published: Path) -> None:
    """Remove what a run left that ended before it published: it bears that run's name, so no other
    would overwrite it, and on a full disk it may be what fills it."""
    for leftover in published.glob(".warehouse-*"):
        leftover.unlink()
    for folder in published.glob(f"{MARTS}-*"):
        if not (folder / MANIFEST).exists():
            shutil.rmtree(folder)


def _forget_old(published: Path, pattern: str, *, keep: Path) -> None:
    """Remove all but the last few versions. Whoever has one open keeps reading it."""
    by_age = sorted(
        (path for path in published.glob(pattern) if path != keep),
        key=lambda path: path.lstat().st_mtime_ns,
        reverse=True,
    )
    for path in by_age[_KEPT_VERSIONS - 1 :]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def to_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
