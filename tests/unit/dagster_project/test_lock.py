"""The writer's lock: a second writer is refused and told who holds it; nothing stale stays."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from dagster_project.lib import lock

Holder: TypeAlias = "subprocess.Popen[str]"

_HOLD = """
import sys, time
from pathlib import Path
from dagster_project.lib import lock
with lock.writer(Path(sys.argv[1]), "muster close 2026-01"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_writer_is_refused_by_name(holder: Holder, tmp_path: Path) -> None:
    expected = rf"Process {holder.pid} \(muster close 2026-01\) is writing"
    with (
        pytest.raises(lock.LockedError, match=expected),
        lock.writer(tmp_path / "lock", "muster load", wait_seconds=0),
    ):
        pytest.fail("two writers")
    assert lock.holder(tmp_path / "lock") == f"Process {holder.pid} (muster close 2026-01)"


def test_a_killed_writer_leaves_no_lock(holder: Holder, tmp_path: Path) -> None:
    holder.kill()
    holder.wait()
    assert lock.holder(tmp_path / "lock") is None
    with lock.writer(tmp_path / "lock", "muster load", wait_seconds=0):
        pass


def test_a_patient_writer_waits(holder: Holder, tmp_path: Path) -> None:
    threading.Timer(0.3, holder.kill).start()
    with lock.writer(tmp_path / "lock", "a scheduled run", wait_seconds=30):
        assert lock.holder(tmp_path / "lock") is not None


def test_one_process_may_take_it_again(tmp_path: Path) -> None:
    path = tmp_path / "home" / "lock"
    assert lock.holder(path) is None
    with lock.writer(path, "a command"):
        with lock.writer(path, "a run of it"):
            pass
        assert "a command" in (lock.holder(path) or "")
    assert lock.holder(path) is None
