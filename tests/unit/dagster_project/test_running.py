"""Whether a run's process lives is told from its number and its age, and a queue is told of."""

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.lib import running
from dagster_project.lib.running import Run, unfinished
from dagster_project.lib.settings import Settings
from dagster_project.lib.status import status

_RUN = """
import time
import dagster as dg

@dg.op
def wait():
    time.sleep(600)

@dg.job
def slow():
    wait()

with dg.DagsterInstance.get() as instance:
    slow.execute_in_process(instance=instance)
"""


@dg.job
def waiting() -> None:
    pass


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    one = Settings(tmp_path / "home", tmp_path / "landing", tmp_path / "seeds")
    one.create_home()
    return one


def test_a_run_whose_process_was_killed_is_dead_and_is_ended(settings: Settings) -> None:
    environment = {**os.environ, **settings.environment()}
    child = subprocess.Popen([sys.executable, "-c", _RUN], env=environment)
    try:
        give_up_at = time.monotonic() + 60
        while not (found := begun(settings)) and time.monotonic() < give_up_at:
            time.sleep(0.1)
        (run,) = found
        assert (run.job, run.status, run.pid) == ("slow", "STARTED", child.pid)
        assert not run.is_dead
        child.send_signal(signal.SIGKILL)
        while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT) is None:
            pass
        # Killed, and still in the table of processes until somebody asks how it ended.
        assert run.is_dead
    finally:
        child.kill()
        child.wait()
    assert run.is_dead
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        queue(settings, instance.create_run_for_job(waiting).run_id)
        told = [one for one in status(settings).next if "Run " in one]
        assert len(told) == 1
        assert told[0].startswith(f"Run {run.run_id[:8]} (slow) has begun, but its process is gone")
        assert "; 1 wait behind it since 20" in told[0]
        running.close_dead(instance)
        ended = instance.get_run_by_id(run.run_id)
        assert ended is not None
        assert ended.status == dg.DagsterRunStatus.FAILURE
    # What waits is alive, and there is nobody who would begin it.
    (told_of_queue,) = [one for one in status(settings).next if "runs wait" in one]
    assert "(waiting), and nothing starts them: `muster ui` does." in told_of_queue


def queue(settings: Settings, run_id: str) -> None:
    """Dagster lets only a run of a code server into the queue."""
    with closing(sqlite3.connect(settings.dagster_home / "history/runs.db")) as conn:
        conn.execute("update runs set status = 'QUEUED' where run_id = ?", [run_id])
        conn.commit()


def begun(settings: Settings) -> list[Run]:
    found = unfinished(settings.dagster_home)
    return [one for one in found if one.began is not None and one.pid is not None]


def test_another_process_with_the_same_number_does_not_keep_a_run_alive() -> None:
    """After a restart of the machine numbers begin anew."""
    ours = Run("r", "job", "STARTED", "2026-01-01 00:00:00", time.time(), os.getpid())
    assert not ours.is_dead
    assert dataclasses.replace(ours, began=time.time() - 86_400 * 365).is_dead
    # What has not begun, and what nobody said the process of, is not called dead.
    assert not dataclasses.replace(ours, status="QUEUED", pid=2**22 + 1).is_dead
    assert not dataclasses.replace(ours, pid=None).is_dead
    assert dataclasses.replace(ours, pid=2**22 + 1, began=None).is_dead


def test_a_home_without_a_history_has_no_runs(tmp_path: Path) -> None:
    assert unfinished(tmp_path / "dagster") == []
