"""Whether archive, journal and ledger are whole, as far as it costs little to know.

For whatever makes something from them; that every byte is as it was is `lib/verify`'s to say.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.lib import receiving
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from ingest.journal import State

_LISTED = 10


class TruthError(RuntimeError):
    """A truth of the home is damaged, or older than what was made of it."""


def check(settings: Settings) -> None:
    """Raise unless every line, document and archived file in force is there, in order.

    Reads journal, documents and heads, and lists the archive. Raises JournalError, LedgerError and
    TruthError.
    """
    from ingest.journal import Journal
    from invoicing.ledger import Ledger

    missing = missing_files(settings.home, Journal(settings.journal).state())
    if missing:
        more = f"\n… and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        raise TruthError(
            f"{len(missing)} files of the archive are missing, so nothing is made of the rest. "
            "Copy them back from objects/ of a backup, where they have the same names:\n"
            + "\n".join(f"- {one}" for one in missing[:_LISTED])
            + more
        )
    Ledger(settings.ledger).check_committed()


def missing_files(home: Path, state: State) -> list[str]:
    """Archived files in force that are not there, each as the file it was and its archived name."""
    from ingest.archive import Archive

    archive = Archive(home / "archive")
    named = contents(state)
    return [f"{named[one]}: {archive.path(one)}" for one in archive.missing(named)]


def contents(state: State) -> dict[str, str]:
    """What a warehouse is made of: the SHA-256 of each content in force, and the file it was."""
    named = {}
    for entry in (*state.in_force.values(), *state.reference.values()):
        named[entry.sha256] = entry.file_name
        if entry.manifest_sha256:
            named[entry.manifest_sha256] = f"the manifest of {entry.file_name}"
    return named


def check_issuable(settings: Settings, conn: duckdb.DuckDBPyConnection) -> None:
    """Raise TruthError when the warehouse holds anything but what the journal says, or the journal
    comes from a backup and files that landed since are not taken in again."""
    from ingest.journal import Journal
    from invoicing.draft import current_version_set

    again = receiving.to_take_again(settings)
    if again:
        raise TruthError(
            f"{settings.journal} was restored from before {len(again)} folders of "
            f"{settings.landing} were received, so nothing is issued. Run `muster load`: it takes "
            "them in again."
        )
    of_journal = hashlib.sha256(Journal(settings.journal).state().version_set()).hexdigest()
    if current_version_set(conn) != of_journal:
        raise TruthError(
            f"{settings.warehouse} does not hold the files that {settings.journal} says are in "
            "force, so nothing is issued. Run `muster load`."
        )
