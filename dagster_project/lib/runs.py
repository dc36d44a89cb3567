"""Runs a Dagster job in this process, recorded in the home's run history like any other run.

For the command line, which so does the same as the UI; what a job does is in `defs`.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
from sqlalchemy.exc import DBAPIError

from dagster_project.assembly import build_defs
from dagster_project.defs import automation, cancellation, invoices, publish, raw
from dagster_project.defs.warehouse import LAYERS
from dagster_project.lib import receiving, running, warehouse
from dagster_project.lib.settings import Settings
from ingest.contracts import FEEDS

if TYPE_CHECKING:
    from invoicing.approval import Approval

Tell = Callable[[str, str], None]


class RunError(RuntimeError):
    """A run failed; the message is the reason a person can act on."""


@dataclass(frozen=True)
class Runner:
    """Jobs of one home, on one open run history."""

    settings: Settings
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    @classmethod
    def open(cls, settings: Settings, tell: Tell) -> Runner:
        """Expects the settings' environment. `tell(step, text)` hears what the runs log."""
        settings.create_home()
        definitions = build_defs(settings, {"console": _listener(tell)}, for_command=True)
        with _history_in_words(settings):
            instance = dg.DagsterInstance.get()
            running.close_dead(instance)
        return cls(settings, definitions, instance)

    def load(self) -> None:
        """Receive what is new in the landing folder and the seeds, build and publish.

        One run over the days that changed. Raises RunError.
        """
        days = sorted({day for _, day in receiving.pending(self.settings, FEEDS)})
        if days:
            self._run(automation.DAILY_REFRESH, tags=automation.days_tags(days[0], days[-1]))
        else:
            self._run(automation.DAILY_REFRESH, without=raw.is_feed)

    def month_end(
        self, period: str, approvals: Sequence[Approval] = (), on: date | None = None
    ) -> None:
        """Close a period; the models are built first unless they are what they would be.

        `approvals` release drafts that wait for a second person (R22), `on` dates what is issued
        (R20). Raises RunError.
        """
        without = _is_model if warehouse.is_current(self.settings) else None
        config = {
            "approvals": [asdict(one) for one in approvals],
            "on": on.isoformat() if on else "",
        }
        self._run(
            automation.MONTH_END,
            partition_key=period,
            without=without,
            ops={invoices.RELEASE_STEP: {"config": config}},
        )

    def cancel(self, number: str, *, reason: str, by: str, on: str) -> None:
        """Take an invoice back with a full credit note (R24). Raises RunError."""
        config = {"number": number, "reason": reason, "by": by, "on": on}
        self._run(cancellation.JOB, ops={cancellation.OP: {"config": config}})

    def rebuild(self, issued: Sequence[str]) -> None:
        """Build everything from archive, journal and ledger; render the issued periods again.

        Raises RunError.
        """
        if issued:
            tags = automation.months_tags(issued[0], issued[-1])
            self._run(automation.REBUILD, tags={**tags, publish.AGAIN: "yes"})
        else:
            self._run(
                automation.REBUILD,
                tags={publish.AGAIN: "yes"},
                without=lambda key: key == invoices.EXPORTS,
            )

    def _run(
        self,
        job: str,
        *,
        tags: Mapping[str, str] | None = None,
        partition_key: str | None = None,
        without: Callable[[dg.AssetKey], bool] | None = None,
        ops: Mapping[str, Any] | None = None,
    ) -> None:
        definition = self.definitions.resolve_job_def(job)
        selection = None
        if without is not None:
            keys = definition.asset_layer.executable_asset_keys
            selection = sorted(key for key in keys if not without(key))
        with _history_in_words(self.settings):
            result = definition.execute_in_process(
                instance=self.instance,
                partition_key=partition_key,
                asset_selection=selection,
                tags={running.PID: str(os.getpid()), **(tags or {})},
                run_config={"loggers": {"console": {}}, "ops": dict(ops or {})},
                raise_on_error=False,
            )
        if not result.success:
            if any(_is_interrupt(event) for event in result.all_events):
                raise KeyboardInterrupt
            raise RunError(_why(result))


@contextmanager
def _history_in_words(settings: Settings) -> Iterator[None]:
    """What Dagster's own storage cannot write, with its path and what to do. Raises RunError."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, DBAPIError | sqlite3.Error):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        said = cause.orig if isinstance(cause, DBAPIError) else cause
        free = shutil.disk_usage(settings.dagster_home).free
        raise RunError(
            f"The run history {settings.dagster_home} cannot be written ({said}; {free:,} bytes "
            "are free there). Make room, or see that this user may write there, then run the same "
            "command again: nothing that was accepted or issued is lost."
        ) from error


def _is_model(key: dg.AssetKey) -> bool:
    return key.path[0] in LAYERS


def _listener(tell: Tell) -> dg.LoggerDefinition:
    started: set[str] = set()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            meta = getattr(record, "dagster_meta", {})
            step, event = meta.get("step_key") or "", meta.get("dagster_event")
            if event is not None and event.event_type_value == "STEP_START":
                started.add(step)
                tell(step, "")
            elif event is None and step in started:
                tell(step, str(meta.get("orig_message", "")))

    @dg.logger
    def console(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("muster", level=logging.DEBUG)
        logger.addHandler(Handler())
        return logger

    return console


def _is_interrupt(event: dg.DagsterEvent) -> bool:
    if not event.is_step_failure:
        return False
    error = event.step_failure_data.error
    while error is not None:
        if "Query interrupted" in error.message:  # by DuckDB
            return True
        if error.cls_name in (
            KeyboardInterrupt.__name__,
            dg.DagsterExecutionInterruptedError.__name__,
        ):
            return True
        error = error.cause
    return False


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The first failure in words: a failure's own description, else the innermost error."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                return str(data.user_failure_data.description)
            error = data.error
            while error is not None and error.cause is not None:
                error = error.cause
            step = (event.step_key or "").replace("__", "/")
            return f"{step}: {error.message.strip() if error else event.message}"
    failures = [event for event in result.all_events if event.is_failure]
    return failures[0].message or "the run failed" if failures else "the run failed"
