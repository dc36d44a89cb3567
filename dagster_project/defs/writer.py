"""What every step that writes to a home shares: the pool, the lock, errors told in words.

No asset belongs here.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from dagster_project.lib import lock, oserrors, truths
from dagster_project.lib.settings import Settings

# One pool for every step that writes. It orders the runs Dagster starts; the lock holds against
# everything else.
POOL = "warehouse"
RESOURCE = "writer"

# How long a run that nobody is waiting for stands by while a person's command writes.
_PATIENCE_SECONDS = 3600.0
# Progress is written to the run's log this often at most: an event costs a millisecond, and a line
# a file or model would take longer than the small ones among them.
_TELL_EVERY_SECONDS = 2.0

_UNATTENDED = ("dagster/schedule_name", "dagster/sensor_name")


def resource(settings: Settings) -> dg.ResourceDefinition:
    """The lock, taken when a run starts and left when it ends, so that a run is one writer."""

    @dg.resource(description="The lock of the home: one run writes at a time.")
    def writer(context: dg.InitResourceContext) -> Iterator[None]:
        run = context.run
        what = f"run {run.run_id[:8]} of {run.job_name}" if run else "a step"
        unattended = run is not None and any(tag in run.tags for tag in _UNATTENDED)
        wait = {"wait_seconds": _PATIENCE_SECONDS} if unattended else {}
        with lock.writer(settings.lock, what, **wait):
            with told_in_words():
                # From damage nothing is made, whoever starts the run.
                truths.check(settings)
            yield None

    return writer


def now_and_then(log: dg.DagsterLogManager) -> Callable[[str], None]:
    """A callback that puts a text into the run's log, unless there was one just now."""
    last = time.monotonic()

    def tell(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _TELL_EVERY_SECONDS:
            last = time.monotonic()
            log.info(text)

    return tell


def progress(log: dg.DagsterLogManager) -> Callable[[int, int, str], None]:
    """A callback for ingest: (done, total, text), told to the run's log now and then."""
    tell = now_and_then(log)
    return lambda done, total, text: tell(f"{done} of {total}: {text}")


@contextmanager
def told_in_words() -> Iterator[None]:
    """Turn an error that a person can act on into a failure that shows just its words."""
    import duckdb

    from dagster_project.lib.dbt import DbtError
    from dagster_project.lib.publish import PublishError
    from dagster_project.lib.seal import SealError
    from dagster_project.lib.spark import SparkError
    from ingest.archive import ArchiveError
    from ingest.intake import IntakeError
    from ingest.journal import JournalError
    from ingest.load import WarehouseError
    from ingest.reference_checks import ReferenceDataError
    from invoicing.approval import ApprovalError
    from invoicing.disputes import DisputeError
    from invoicing.gate import StaleDraftError
    from invoicing.ledger import LedgerError

    try:
        yield
    except (
        ApprovalError,
        ArchiveError,
        DbtError,
        DisputeError,
        IntakeError,
        JournalError,
        LedgerError,
        OSError,
        PublishError,
        ReferenceDataError,
        SealError,
        SparkError,
        StaleDraftError,
        truths.TruthError,
        WarehouseError,
        # A full disk or too little memory; everything else DuckDB says is ours to mend.
        duckdb.IOException,
        duckdb.OutOfMemoryException,
    ) as error:
        said = oserrors.in_words(error) if isinstance(error, OSError) else str(error)
        raise dg.Failure(description=said, allow_retries=False) from error
