"""Journal, archive and publication checked; the ledger and the exports are `invoicing.verify`.

Reading only, without a lock and without a warehouse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from dagster_project.lib import documentation, operations, publish, truths
from dagster_project.lib.settings import Settings
from invoicing import durable
from invoicing.verify import BrokenError

_AGAIN = "`muster rebuild` publishes it again."
_TAKE_AWAY = "A run that was killed leaves this, or a stranger; nothing reads it: take it away."
_HAS_ISSUED = (
    "select 1 from duckdb_tables() where schema_name = 'billing' and table_name = 'issued_invoices'"
)
_COPY_BACK = "Copy it back from objects/ of a backup, where it has the same name."
_RESTORE_BOTH = "Restore journal and archive from the same backup, then `muster load`."


def of_publication(settings: Settings) -> list[tuple[str, Callable[[], str]]]:
    return [("publication", lambda: _publication(settings))]


def of_files(settings: Settings) -> list[tuple[str, Callable[[], str]]]:
    """What was taken in: a damaged journal no longer says what the archive has to hold."""
    return [
        ("journal", lambda: _journal(settings)),
        ("archive", lambda: _archive(settings)),
    ]


def _journal(settings: Settings) -> str:
    from ingest.journal import Journal, JournalError

    try:
        return f"{len(Journal(settings.journal).entries()):,} entries"
    except JournalError as error:
        what = str(error).partition(", ")[2].partition(": restore")[0]
        raise BrokenError("journal", what, _RESTORE_BOTH) from error


def _archive(settings: Settings) -> str:
    """Every archived file is what its name says, and all that is in force is there."""
    from ingest.archive import Archive
    from ingest.journal import Journal, Kind

    archive, journal = Archive(settings.home / "archive"), Journal(settings.journal)
    state = journal.state()
    files = 0
    for path in sorted(archive.root.glob("*")):
        if path.name.startswith("."):  # of a run that was killed: the next load removes it
            continue
        if not re.fullmatch("[0-9a-f]{64}", path.name):
            raise BrokenError(f"archive/{path.name}", "is no archived file", _TAKE_AWAY)
        found = durable.file_sha256(path)
        if found != path.name:
            what = f"is damaged: its SHA-256 is now {found}"
            raise BrokenError(f"archive/{path.name}", what, _COPY_BACK)
        files += 1
    missing = truths.missing_files(settings.home, state)
    if missing:
        file_name, _, path_name = missing[0].rpartition(": ")
        raise BrokenError(
            f"archive/{Path(path_name).name}", f"is missing; it was {file_name}", _COPY_BACK
        )
    replaced = {
        one
        for entry in journal.entries()
        if entry.kind is Kind.REFERENCE
        or (
            entry.kind is Kind.ACCEPTED and entry.slot and not entry.slot.is_before(state.kept_from)
        )
        for one in (entry.sha256, entry.manifest_sha256)
        if one
    }
    gone = len(archive.missing(replaced))
    return f"{files:,} files, every byte" + (f"; {gone:,} replaced ones are gone" if gone else "")


def _publication(settings: Settings) -> str:
    """The present version and the few kept before it: Parquet files, databases, pages, nothing
    else, each as the record outside `published` says it was published."""
    root = settings.published
    if not root.is_dir():
        return "nothing is published"
    record = publish.read_record(settings)
    known = {root / name for name in (publish.CURRENT, publish.MARTS, operations.PAGE)}
    known.add(root / documentation.PAGE)
    for name, of_page in record.pages.items():
        _same(root, root / name, of_page)
    files, unrecorded = 0, 0
    databases: dict[Path, str | None] = {}
    for folder in sorted(root.glob(f"{publish.MARTS}-*")):
        manifest = _read(root, folder / publish.MANIFEST)
        published = record.versions.get(folder.name)
        if published:
            _same(root, folder / publish.MANIFEST, published["manifest"])
        known.add(folder / publish.MANIFEST)
        for mart in manifest["marts"]:
            path = folder / mart["file"]
            _same(root, path, mart["sha256"])
            known.add(path)
            files += 1
        database = root / f"warehouse-{folder.name.removeprefix(f'{publish.MARTS}-')}.duckdb"
        known |= {folder / publish.DATABASE, database}
        if "sha256" in manifest:
            recorded = _read(root, folder / publish.DATABASE)["database_sha256"]
            databases[folder] = published["database"] if published else str(recorded)
        else:  # published by a version that kept no hash of it
            unrecorded += 1
            databases[folder] = None
        _same(root, database, databases[folder])
    current = (root / publish.MARTS).resolve()
    if current not in {folder.resolve() for folder in databases}:
        raise BrokenError(
            _name(root, root / publish.MARTS), "leads to no published version", _AGAIN
        )
    sha256 = next(value for folder, value in databases.items() if folder.resolve() == current)
    if record.versions and current.name not in record.versions:
        raise BrokenError(
            _name(root, root / publish.MARTS), f"leads to {current.name}, never published", _AGAIN
        )
    _same(root, root / publish.CURRENT, sha256)
    _check_issued(settings)
    for path in sorted(root.rglob("*")):
        if path not in known and (path.is_symlink() or not path.is_dir()):
            raise BrokenError(_name(root, path), "is in no manifest", _TAKE_AWAY)
    older = f"; {unrecorded} databases from before their hash was kept" if unrecorded else ""
    return f"{files} Parquet files and {len(databases)} databases of as many versions{older}"


def _check_issued(settings: Settings) -> None:
    """What is published as issued is what the ledger has issued; it may have issued more since."""
    import duckdb

    from invoicing.ledger import Ledger, LedgerError

    try:
        documents = {
            (one.distributor_id, one.sequence): (
                one.provenance["content_sha256"],
                Decimal(one.content["totals"]["amount"]),
            )
            for one in Ledger(settings.ledger).documents()
        }
    except LedgerError:
        # The check of the documents names it; there is nothing whole to compare with.
        return
    with duckdb.connect(str(settings.published / publish.CURRENT), read_only=True) as conn:
        if not conn.execute(_HAS_ISSUED).fetchall():
            return
        rows = conn.execute(
            "select distributor_id, sequence, content_sha256, total_amount "
            "from billing.issued_invoices order by all"
        ).fetchall()
    for distributor_id, sequence, sha256, amount in rows:
        if documents.get((distributor_id, sequence)) != (sha256, amount):
            raise BrokenError(
                f"published/{publish.CURRENT}",
                f"shows document {sequence} of {distributor_id} with {amount}, which is not what "
                "the ledger has",
                _AGAIN,
            )


def _read(root: Path, path: Path) -> dict[str, Any]:
    """A manifest whose own hash, if it has one, is right, and whose bytes are as written."""
    try:
        data = path.read_bytes()
        value: dict[str, Any] = json.loads(data)
        rest = {name: value[name] for name in value if name != "sha256"}
        if data != publish.to_json(value) or ("sha256" in value and publish.signed(rest) != value):
            raise ValueError("its bytes are not the ones its sha256 names")
        return value
    except FileNotFoundError as error:
        raise BrokenError(_name(root, path), "is missing", f"{_AGAIN} {_TAKE_AWAY}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise BrokenError(_name(root, path), f"is damaged ({error})", _AGAIN) from error


def _same(root: Path, path: Path, expected: str | None) -> None:
    if not path.is_file():
        raise BrokenError(_name(root, path), "is missing", _AGAIN)
    found = durable.file_sha256(path)
    if expected is not None and found != expected:
        raise BrokenError(
            _name(root, path), f"has sha256 {found}, expected {expected} as published", _AGAIN
        )


def _name(root: Path, path: Path) -> str:
    return f"published/{path.relative_to(root).as_posix()}"
