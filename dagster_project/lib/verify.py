"""The publication checked against its manifest; the ledger and the exports are `invoicing.verify`.

Reading only, without a lock and without a warehouse.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagster_project.lib import documentation, operations, publish
from dagster_project.lib.settings import Settings
from invoicing import durable
from invoicing.verify import BrokenError

_AGAIN = "`muster rebuild` publishes it again."
_TAKE_AWAY = "A run that was killed leaves this, or a stranger; nothing reads it: take it away."


def checks_of(settings: Settings) -> list[tuple[str, Callable[[], str]]]:
    return [("publication", lambda: _publication(settings.published))]


def _publication(root: Path) -> str:
    """The present version and the few kept before it: Parquet files, databases, nothing else."""
    if not root.is_dir():
        return "nothing is published"
    # The pages are made again by each publication and read by nobody but people.
    known = {root / name for name in (publish.CURRENT, publish.MARTS, operations.PAGE)}
    known.add(root / documentation.PAGE)
    files, unrecorded = 0, 0
    databases: dict[Path, str | None] = {}
    for folder in sorted(root.glob(f"{publish.MARTS}-*")):
        manifest = _read(root, folder / publish.MANIFEST)
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
            databases[folder] = str(recorded)
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
    _same(root, root / publish.CURRENT, sha256)
    for path in sorted(root.rglob("*")):
        if path not in known and (path.is_symlink() or not path.is_dir()):
            raise BrokenError(_name(root, path), "is in no manifest", _TAKE_AWAY)
    older = f"; {unrecorded} databases from before their hash was kept" if unrecorded else ""
    return f"{files} Parquet files and {len(databases)} databases of as many versions{older}"


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
