"""What dbt made of the project, kept outside the homes so that each new home need not parse again.

Keeping and fetching only: parsing is dbt's, and the key says what it depends on.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from invoicing import durable

FILES = ("partial_parse.msgpack", "manifest.json")

# Of the last few versions of the project: whoever changes models goes back and forth.
_KEPT = 4


def fetch(cache: Path | None, key: str, target: Path) -> bool:
    """Put what was kept under `key` into dbt's target folder; whether there was anything intact.

    Raises OSError, naming the path, when the target's disk does not take it.
    """
    if cache is None:
        return False
    try:
        # Named by what they hold: a file that is not what was written is none.
        named = {path.name: path.read_bytes() for path in (cache / key).iterdir()}
    except OSError:
        return False
    found = {
        name: data
        for name in FILES
        for kept, data in named.items()
        if kept == f"{hashlib.sha256(data).hexdigest()}.{name}"
    }
    if len(found) < len(FILES):
        shutil.rmtree(cache / key, ignore_errors=True)
        return False
    for name, data in found.items():
        with durable.needing(target / name, len(data)):
            (target / name).write_bytes(data)
    return True


def keep(cache: Path | None, key: str, target: Path) -> None:
    """Keep what is in dbt's target folder under `key`, if the cache can be written at all."""
    if cache is None:
        return
    temporary = None
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".", dir=cache))
        for name in FILES:
            data = (target / name).read_bytes()
            (temporary / f"{hashlib.sha256(data).hexdigest()}.{name}").write_bytes(data)
        temporary.rename(cache / key)
        by_age = sorted(cache.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in by_age[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError:
        # Full, read-only, or another process was first: the next home parses again, no more.
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
