"""The landing folder: which paths are deliveries, and of what.

Only names belong here; no file is opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from ingest.contracts import FEEDS, IDENTIFIER_PATTERN, RESERVED_PATTERN
from ingest.journal import Slot
from ingest.reasons import printable

MANIFEST_SUFFIX = ".manifest.json"
RETRACTION_SUFFIX = ".retracted.json"


class Format(StrEnum):
    """How a delivered file is written; the value is the end of its name."""

    CSV_GZ = "csv.gz"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True)
class Delivery:
    """A file for a slot, or (`is_retraction`) the withdrawal of one.

    `file_name` is relative to the landing folder, with forward slashes. `manifest` and
    `retraction` are the paths of the files beside it, if they are there. A retraction may stand
    alone: then `path` is its own and nothing is delivered.
    """

    path: Path
    file_name: str
    slot: Slot
    format: Format
    manifest: Path | None = None
    retraction: Path | None = None
    is_retraction: bool = False


@dataclass(frozen=True)
class Unrecognised:
    """A path that is no delivery, and why."""

    file_name: str
    why: str


@dataclass(frozen=True)
class Found:
    """What the landing folder holds, both in order of slot and name."""

    deliveries: tuple[Delivery, ...]
    unrecognised: tuple[Unrecognised, ...]


def find(
    landing: Path,
    *,
    feeds: Collection[str] | None = None,
    dates: Collection[date] | None = None,
) -> Found:
    """List the landing folder, or only these feeds and dates of it.

    Names that begin with a dot are unfinished uploads and are passed over. Links are not
    followed. Names of what is no delivery are escaped, to be shown. Raises FileNotFoundError when
    the landing folder is not there.
    """
    deliveries: list[Delivery] = []
    unrecognised: list[Unrecognised] = []

    def reject(name: str, why: str) -> None:
        unrecognised.append(Unrecognised(printable(name), why))

    def entries(folder: os.DirEntry[str], name: str) -> list[os.DirEntry[str]]:
        try:
            return _entries(Path(folder.path))
        except OSError as error:
            reject(name, f"the folder cannot be opened: {error.strerror}")
            return []

    for feed in _entries(landing):
        if not feed.is_dir(follow_symlinks=False):
            reject(feed.name, "not a feed's folder: files belong in <feed>/<YYYY-MM-DD>/")
        elif feed.name not in FEEDS:
            reject(feed.name, f"no such feed; the feeds are {', '.join(FEEDS)}")
        elif feeds is None or feed.name in feeds:
            for day in entries(feed, feed.name):
                name = f"{feed.name}/{day.name}"
                snapshot_date = _date(day.name)
                if not day.is_dir(follow_symlinks=False):
                    reject(name, "not a date's folder: files belong in <feed>/<YYYY-MM-DD>/")
                elif snapshot_date is None:
                    reject(name, "the folder's name is not a date YYYY-MM-DD; rename it")
                elif dates is None or snapshot_date in dates:
                    files = _folder(entries(day, name), name, feed.name, snapshot_date, reject)
                    deliveries.extend(files)
    return Found(
        tuple(sorted(deliveries, key=lambda one: (one.slot, one.file_name))),
        tuple(sorted(unrecognised, key=lambda one: one.file_name)),
    )


def _folder(
    entries: Iterable[os.DirEntry[str]],
    relative: str,
    feed: str,
    snapshot_date: date,
    reject: Callable[[str, str], None],
) -> Iterator[Delivery]:
    names: dict[str, Path] = {}
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            names[entry.name] = Path(entry.path)
        else:
            reject(f"{relative}/{entry.name}", "not a regular file: put the file itself here")
    for name, path in names.items():
        is_manifest = name.endswith(MANIFEST_SUFFIX)
        is_retraction = name.endswith(RETRACTION_SUFFIX)
        base = name.removesuffix(MANIFEST_SUFFIX if is_manifest else RETRACTION_SUFFIX)
        format = next((one for one in Format if base.endswith(f".{one}")), None)
        source = base.removesuffix(f".{format}")
        if format is None:
            why = "the name does not end in .csv, .csv.gz or .parquet; rename it"
        elif not re.fullmatch(IDENTIFIER_PATTERN, source) or re.match(RESERVED_PATTERN, source):
            why = "not a source's name, which has letters, digits, dots, dashes, underscores"
        elif is_manifest and base not in names:
            why = f"a manifest without its file {printable(base)}"
        else:
            if not is_manifest and not (is_retraction and base in names):
                yield Delivery(
                    path=path,
                    file_name=f"{relative}/{name}",
                    slot=Slot(feed, snapshot_date, source),
                    format=format,
                    manifest=names.get(name + MANIFEST_SUFFIX),
                    retraction=path if is_retraction else names.get(name + RETRACTION_SUFFIX),
                    is_retraction=is_retraction,
                )
            continue
        reject(f"{relative}/{name}", why)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(
            (entry for entry in entries if not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )


def _date(text: str) -> date | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
