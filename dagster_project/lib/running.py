"""Runs that have not ended: which they are, and whether the process of each still lives.

Read from the run history's files without Dagster, which takes seconds to import: `muster status`
asks too.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

# The tag by which a command says which process its run is in.
PID = "musterhouse/pid"

QUEUED = ("QUEUED",)
BEGUN = ("STARTING", "STARTED", "CANCELING")

# What Dagster's own events call the process that works on a run.
_PROCESS = re.compile(r"in process \(pid: ([0-9]+)\)|process for run \(pid: ([0-9]+)\)")
# A process that is younger than the run it should work on is another one with the same number.
# The clock of the machine's start is told in whole seconds.
_SAME_TIME_SECONDS = 5.0


@dataclass(frozen=True)
class Run:
    """A run that has not ended.

    status    one of QUEUED or BEGUN
    since     when it was asked for, UTC, to the second
    began     when it began, in seconds of the epoch; None before that
    pid       the process that works on it; None while none said so
    """

    run_id: str
    job: str
    status: str
    since: str
    began: float | None
    pid: int | None

    @property
    def name(self) -> str:
        return f"{self.run_id[:8]} ({self.job})"

    @property
    def is_dead(self) -> bool:
        """Whether it has begun and the process that worked on it has ended."""
        if self.status not in BEGUN or self.pid is None:
            return False
        return not _is_alive(self.pid, self.began)


def unfinished(dagster_home: Path) -> list[Run]:
    """In the order in which they were asked for. Empty when the history cannot be read."""
    history = dagster_home / "history"
    rows = _rows(history / "runs.db", _UNFINISHED, [PID, *QUEUED, *BEGUN])
    return [
        Run(
            run_id=run_id,
            job=job,
            status=status,
            since=str(since)[:19],
            began=began,
            pid=_process(history / "runs" / f"{run_id}.db") or (int(pid) if pid else None),
        )
        for run_id, job, status, since, began, pid in rows
    ]


def close_dead(instance: dg.DagsterInstance) -> None:
    """End every run whose process is gone: it would keep its place, and others in the queue."""
    for one in unfinished(Path(instance.root_directory)):
        run = instance.get_run_by_id(one.run_id) if one.is_dead else None
        if run is None or run.is_finished:
            continue
        said = f"Process {one.pid} ended before the run did."
        if one.status == "CANCELING":
            instance.report_run_canceled(run, said)
        else:
            instance.report_run_failed(run, said)


_UNFINISHED = """
    select runs.run_id, runs.pipeline_name, runs.status, runs.create_timestamp, runs.start_time,
        run_tags.value
    from runs
    left join run_tags on runs.run_id = run_tags.run_id and run_tags.key = ?
    where runs.status in (?, ?, ?, ?)
    order by runs.id
"""

_PROCESS_EVENTS = """
    select event from event_logs where dagster_event_type = 'ENGINE_EVENT' order by id
"""


def _process(events: Path) -> int | None:
    """The last process that said it works on the run: a retry inside Dagster is another one."""
    pid = None
    for (event,) in _rows(events, _PROCESS_EVENTS, []):
        for found in _PROCESS.finditer(event):
            pid = int(found[1] or found[2])
    return pid


def _rows(database: Path, query: str, parameters: list[str]) -> list[tuple[Any, ...]]:
    if not database.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as conn:
            return conn.execute(query, parameters).fetchall()
    except sqlite3.Error:
        # Made this moment and still without tables, or on a disk that may only be read.
        return []


def _is_alive(pid: int, began: float | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, so it is there
    state, started = _of_process(pid)
    if state == "Z":  # ended, and nobody has asked how
        return False
    return started is None or began is None or started <= began + _SAME_TIME_SECONDS


def _of_process(pid: int) -> tuple[str | None, float | None]:
    """State and start of a process, in seconds of the epoch; unknown but on Linux."""
    try:
        # The name before it is in brackets and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        booted = re.search(r"^btime ([0-9]+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:
        return None, None
    if booted is None:
        return fields[0], None
    return fields[0], int(booted[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
