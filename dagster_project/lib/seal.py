"""Whether the warehouse is as Musterhouse last left it: what is issued is computed from it (R22).

A mark of the file, kept beside it; what to do about another file is for whoever opens it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagster_project.lib.settings import Settings
from invoicing import durable

# DuckDB writes a main header and two of the database, of which each checkpoint replaces one: it
# counts the checkpoints and leads to all tables. Any committed statement changes it, reading does
# not, and to read 12 KiB costs the same for any warehouse.
_HEADERS = 3 * 4096


class SealError(RuntimeError):
    """The warehouse is another one than Musterhouse left."""


def fault(settings: Settings) -> str | None:
    """Why the warehouse cannot be relied on, in words, or None; one that is missing is none."""
    if not settings.warehouse.exists():
        return None
    try:
        said = json.loads(_path(settings).read_bytes())
    except FileNotFoundError:
        said = None
    except ValueError:
        said = "nothing that can be read"
    if said == _mark(settings.warehouse):
        return None
    if said is None:
        return (
            f"{settings.warehouse} has no {_path(settings).name}: an earlier version left it, or a "
            "run was killed while it was made"
        )
    return (
        f"{settings.warehouse} is not as Musterhouse left it ({_path(settings).name}): a run was "
        "killed while it wrote, or something else wrote to it"
    )


def check(settings: Settings) -> None:
    """Raise SealError unless the warehouse is missing or as it was left."""
    found = fault(settings)
    if found:
        raise SealError(
            f"The warehouse cannot be relied on: {found}. Run `muster load`: it is made again from "
            "archive and journal."
        )


@contextmanager
def writing(settings: Settings) -> Iterator[None]:
    """What the body does to the warehouse is Musterhouse's own, also when it fails half-way.

    A process that is killed leaves no mark, and the warehouse is made again: what came after the
    kill could be anybody's.
    """
    try:
        yield
    finally:
        leave(settings)


def leave(settings: Settings) -> None:
    """Mark the warehouse as left by Musterhouse. No connection may be open any more."""
    if not settings.warehouse.exists():
        return
    mark, path = _mark(settings.warehouse), _path(settings)
    with suppress(FileNotFoundError, ValueError):
        if json.loads(path.read_bytes()) == mark:
            return
    # Not synced: a power cut costs another making of the warehouse.
    temporary = path.with_name(f".{path.name}.tmp")
    data = f"{json.dumps(mark)}\n".encode()
    with durable.needing(path, len(data)):
        temporary.write_bytes(data)
        temporary.replace(path)


def copy(settings: Settings, other: Settings) -> None:
    """Give the copy of a warehouse the mark of the original."""
    with suppress(FileNotFoundError):
        _path(other).write_bytes(_path(settings).read_bytes())


def _path(settings: Settings) -> Path:
    return settings.warehouse.with_suffix(".seal")


def _mark(warehouse: Path) -> dict[str, object]:
    with warehouse.open("rb") as file:
        headers = hashlib.sha256(file.read(_HEADERS)).hexdigest()
    log = warehouse.with_name(f"{warehouse.name}.wal")
    written = log.read_bytes() if log.exists() else b""
    return {
        "bytes": warehouse.stat().st_size,
        "headers_sha256": headers,
        # Statements that no checkpoint has taken into the file yet; DuckDB keeps it below 16 MiB.
        "log_sha256": hashlib.sha256(written).hexdigest() if written else None,
    }
