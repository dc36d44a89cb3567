"""A home in a temporary folder, for what is computed and not kept; the real home is only read.

Filling it, and building in it, belongs here; what is asked of it is for its callers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dagster_project.lib import dbt, lock, seal, warehouse
from dagster_project.lib.settings import ENGINES, Settings

# What invoicing reads, and everything upstream of it.
INVOICES = "+exposure:distributor_invoices"

# More damaged files than this say less.
_LISTED = 10

Tell = Callable[[str, str], None]


class ScratchError(RuntimeError):
    """The real home lacks something the scratch home needs; the message says what and where."""


@contextmanager
def home(settings: Settings) -> Iterator[Settings]:
    """Settings of an empty home that is gone afterwards; in TMPDIR, which has to hold a copy."""
    with TemporaryDirectory(prefix="muster-") as folder:
        scratch = dataclasses.replace(settings, home=Path(folder) / "home", engine=ENGINES[0])
        scratch.create_home()
        yield scratch


def take_versions(settings: Settings, scratch: Settings, version_set: str, tell: Tell) -> None:
    """Give the scratch home the archive and journal of one version set, and of nothing else.

    Every byte is read and hashed first. Raises ScratchError with all files that are missing or
    damaged, JournalError when the journal does not know one.
    """
    from ingest.archive import Archive, ArchiveError
    from ingest.journal import Journal, entries_of

    archive = Archive(settings.home / "archive")
    journal = Journal(settings.journal)
    try:
        text = archive.verified(version_set).read_bytes()
    except ArchiveError as error:
        raise ScratchError(f"The list of versions the document names: {error}.") from error
    entries = entries_of(text, journal.entries())
    kept_from = journal.state().kept_from
    if any(one.slot and one.slot.is_before(kept_from) for one in entries):
        raise ScratchError(
            f"Usage and counts from before {kept_from} went with the retention policy (`muster "
            "expire`). The document can be verified and explained, not made again: a backup from "
            "before that still can, restored into a home of its own."
        )
    named = {version_set: "the list of versions"}
    for entry in entries:
        # The bytes of a refused file are in no table, and not every one is archived.
        if entry.reason is None:
            named[entry.sha256] = entry.file_name
            if entry.manifest_sha256:
                named[entry.manifest_sha256] = f"the manifest of {entry.file_name}"
    folder = scratch.home / "archive"
    folder.mkdir()
    faults = []
    for done, (sha256, file_name) in enumerate(named.items()):
        tell("checking the archive", f"{done} of {len(named)} files")
        try:
            (folder / sha256).symlink_to(archive.verified(sha256))
        except ArchiveError as error:
            faults.append(f"- {file_name}: {error}")
    if faults:
        more = f"\n… and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        raise ScratchError(
            f"{len(faults)} of the {len(named)} archived files are not what they were:\n"
            + "\n".join(faults[:_LISTED])
            + more
        )
    Journal(scratch.journal).append(*entries)


def take_documents(settings: Settings, scratch: Settings, last: Mapping[str, int]) -> None:
    """Give the scratch ledger each distributor's documents up to this sequence.

    Raises ScratchError when the real ledger does not have one of them.
    """
    from invoicing.ledger import Ledger

    ledger, other = Ledger(settings.ledger), Ledger(scratch.ledger)
    for distributor_id, last_sequence in last.items():
        for sequence in range(1, last_sequence + 1):
            for path, target in (
                (
                    ledger.roster_path(distributor_id, sequence),
                    other.roster_path(distributor_id, sequence),
                ),
                (
                    ledger.document_path(distributor_id, sequence),
                    other.document_path(distributor_id, sequence),
                ),
            ):
                if not path.exists():
                    raise ScratchError(f"{path} is missing: restore the ledger from its backup.")
                if not target.is_symlink():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.symlink_to(path)


def take_warehouse(settings: Settings, scratch: Settings) -> None:
    """Copy the warehouse and the accepted reference data, with nobody writing meanwhile.

    Raises LockedError while somebody is, ScratchError when there is no warehouse or it is damaged,
    SealError when it is not as it was left.
    """
    import duckdb

    if not settings.warehouse.exists():
        raise ScratchError(f"{settings.home} has no warehouse yet. Run `muster load` first.")
    log = settings.warehouse.with_name(f"{settings.warehouse.name}.wal")
    with lock.writer(settings.lock, "copying the warehouse"):
        try:
            # An open reader keeps out every writer, also one that does not know of the lock.
            reader = duckdb.connect(str(settings.warehouse), read_only=True)
        except duckdb.Error as error:
            raise ScratchError(
                f"{settings.warehouse} cannot be read: {str(error).rstrip('!.')}. If it is "
                "damaged, `muster rebuild` makes it again."
            ) from error
        with reader:
            seal.check(settings)
            seal.copy(settings, scratch)
            shutil.copyfile(settings.warehouse, scratch.warehouse)
            if log.exists():
                shutil.copyfile(log, scratch.warehouse.with_name(log.name))
        shutil.copytree(settings.reference, scratch.reference)
        shutil.copyfile(settings.journal, scratch.journal)


def take_present(settings: Settings, scratch: Settings, tell: Tell) -> None:
    """Give the scratch home the warehouse, ledger and reference data as they are now, all built.

    What only landed is not part of it. Raises as `take_warehouse`, and ScratchError when a run that
    did not finish left the warehouse behind the journal.
    """
    from ingest.journal import Journal
    from invoicing.ledger import Ledger

    tell("copying the warehouse", "")
    ledger = Ledger(settings.ledger)
    ledger.check()
    take_warehouse(settings, scratch)
    heads = {one: ledger.head(one).sequence for one in ledger.distributors()}
    take_documents(settings, scratch, heads)
    in_force = hashlib.sha256(Journal(scratch.journal).state().version_set()).hexdigest()
    with warehouse.connect(scratch) as conn:
        loaded = conn.execute("select sha256 from raw.version_set").fetchall()
    if loaded != [(in_force,)]:
        raise ScratchError("The last run did not finish. Run `muster load` first.")
    if not warehouse.is_current(scratch):
        build(scratch, [], tell)


def build(scratch: Settings, select: Sequence[str], tell: Tell) -> None:
    """Build the selected models in the scratch home. Raises DbtError when one of them fails."""
    tell("computing", "")
    results = dbt.run_models(scratch, select=select, progress=lambda text: tell("computing", text))
    failed = [result for result in results if result.outcome == "failed"]
    if failed:
        reasons = [f"- {one.unique_id.split('.')[2]}: {one.message}" for one in failed]
        raise dbt.DbtError("\n".join([f"{len(failed)} models failed:", *reasons]))


def failed_tests(scratch: Settings, select: Sequence[str], tell: Tell) -> list[str]:
    """Which tests of the selected models fail there, in words: a home like it would not build."""
    tell("testing", "")
    results = dbt.run_tests(scratch, select=select, progress=lambda text: tell("testing", text))
    return [
        f"{result.unique_id.split('.')[2]} found {result.failures} rows ({result.path})"
        for result in results
        if result.outcome == "failed"
    ]


def progress(tell: Tell) -> Callable[[int, int, str], None]:
    """What ingest calls with (done, total, text), told as one step."""
    return lambda done, total, text: tell("loading", f"{done} of {total}: {text}")
