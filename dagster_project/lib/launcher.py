"""Dagster's run launcher, which also says whether the process of a run still lives.

Dagster's own cannot tell: a run whose process and code server were killed stayed started for ever,
and every run behind it queued.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

# The paths Dagster's manual gives for a launcher of one's own; there are no shorter ones.
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

from dagster_project.lib.running import unfinished


class RunLauncher(DefaultRunLauncher):
    """Named in dagster.yaml; the daemon asks it about every started run now and then."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        dead = {one.run_id: one.pid for one in unfinished(home_of(self._instance)) if one.is_dead}
        if run.run_id in dead:
            return CheckRunHealthResult(
                WorkerStatus.FAILED, msg=f"Process {dead[run.run_id]} ended before the run did."
            )
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def home_of(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory)


def close_dead(instance: dg.DagsterInstance) -> None:
    """End every run whose process is gone: it would take a place in the queue."""
    for one in unfinished(home_of(instance)):
        run = instance.get_run_by_id(one.run_id) if one.is_dead else None
        if run is None or run.is_finished:
            continue
        said = f"Process {one.pid} ended before the run did."
        if one.status == "CANCELING":
            instance.report_run_canceled(run, said)
        else:
            instance.report_run_failed(run, said)
