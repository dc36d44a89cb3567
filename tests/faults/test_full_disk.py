"""A disk that is full at any step: a message with the path, the last publication stays, and with
space the same command ends as if nothing had been.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from scenarios import JANUARY, Scenario

_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


def _may_mount() -> bool:
    """Whether a small disk can be mounted here, where nobody else sees it."""
    try:
        command = [*_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def tries(
    scenarios: dict[str, Scenario], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    if not _may_mount():
        pytest.skip("this machine lets nobody mount a small disk in a namespace of its own")
    disk = tmp_path_factory.mktemp("full") / "disk"
    disk.mkdir()
    asked = json.dumps([(one.name, str(one.start), one.work) for one in scenarios.values()])
    script = 'mount -t tmpfs -o size=150m tmpfs "$1" && exec "$2" "$3" "$1" "$4"'
    arguments = [str(disk), sys.executable, str(Path(__file__).with_name("full_disk.py")), asked]
    done = subprocess.run(
        [*_NAMESPACE, "sh", "-c", script, "sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_piece_is_stopped_at_least_twice_and_then_ends_well(
    tries: list[dict[str, Any]], scenarios: dict[str, Scenario]
) -> None:
    for name in scenarios:
        codes = [one["code"] for one in tries if one["name"] == name]
        assert codes[-1] == 0, name
        assert codes[:-1].count(1) == len(codes) - 1 >= 2, name


def test_nothing_is_torn_and_the_last_publication_stays(tries: list[dict[str, Any]]) -> None:
    for one in tries:
        assert one["torn"] is None, one
        assert one["publication stays"] or one["code"] == 0, one


def test_with_space_again_the_result_is_the_same(tries: list[dict[str, Any]]) -> None:
    assert [one for one in tries if one["different afterwards"]] == []


def test_the_message_names_what_could_not_be_written(tries: list[dict[str, Any]]) -> None:
    """The innermost error, last in the log, is the one that a person is told."""
    for one in tries:
        if one["code"]:
            # Python's own warnings about what a process left behind come after everything.
            lines = [line for line in one["said"].splitlines() if "resource_tracker" not in line]
            said = next(line for line in reversed(lines) if line.strip())
            assert "No space left on device" in one["said"], one
            assert "/full/home/" in said, (one["name"], one["left"], said)


def test_a_command_says_that_the_disk_is_full_and_what_to_do(
    scenarios: dict[str, Scenario], tmp_path: Path
) -> None:
    if not _may_mount():
        pytest.skip("this machine lets nobody mount a small disk in a namespace of its own")
    house = scenarios["seeds received"].house(tmp_path)
    script = (
        'mount -t tmpfs -o size=200k tmpfs "$1" && shift && exec "$@"'  # too small for the seeds
    )
    done = subprocess.run(
        [*_NAMESPACE, "sh", "-c", script, "sh", str(house.home), *house.command("load")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"The disk of {house.home} is full, with " in done.stderr
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_in_the_run_history_is_told_in_words(
    scenarios: dict[str, Scenario], tmp_path: Path
) -> None:
    """Dagster's own storage says no more than "disk I/O error"; here it has a disk of its own."""
    if not _may_mount():
        pytest.skip("this machine lets nobody mount a small disk in a namespace of its own")
    house = scenarios["publication"].house(tmp_path)
    house = replace(house, landing=tmp_path / "landing")
    tiny.month_end(house.landing, JANUARY, tiny.usage("C1", ["a", "b", "c", "d"], "2026-01-20"))
    history, load = house.home / "dagster", shlex.join(house.command("load"))
    history.mkdir(exist_ok=True)
    script = f"""
        mount -t tmpfs -o size=4m tmpfs {history}
        dd if=/dev/zero of={history}/ballast bs=4096 count=1000
        {load}
        echo "ended with $?" >&2
        rm {history}/ballast && umount {history} && {load}
    """
    done = subprocess.run(
        [*_NAMESPACE, "sh", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = done.stderr.partition("ended with 1")[0]
    assert f"muster: The run history {history} cannot be written (" in told, done.stderr
    assert "bytes are free there). Make room" in told
    assert "unexpected" not in told
    assert "Traceback" not in told
