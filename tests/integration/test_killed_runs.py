"""Runs that are killed under the UI end, and what waits behind them goes on, without a person."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from test_ui import Served, children, new_house, served, until

from dagster_project.lib import lock

# As the landing sensor asks for a refresh: it waits for whoever writes to the home.
REFRESH = "daily_refresh"
BY_SENSOR = {"sensor_name": "landing"}


def ask_for_two(ui: Served) -> tuple[str, str]:
    """A refresh that has begun, and one that waits for its end."""
    first, second = (ui.launch(REFRESH, {}, **BY_SENSOR)["run"]["runId"] for _ in range(2))
    until(lambda: state(ui, first) == "STARTED")
    assert state(ui, second) == "QUEUED"
    return first, second


def state(ui: Served, run_id: str) -> str:
    return next(one["status"] for one in ui.runs() if one["runId"] == run_id)


def begun_again(ui: Served, run_id: str) -> list[str]:
    return [one["runId"] for one in ui.runs() if one["parentRunId"] == run_id]


def test_a_killed_run_ends_and_the_queue_goes_on(tmp_path: Path) -> None:
    house = new_house(tmp_path)
    # Held by this process, so that what has begun stays where it is until it is killed.
    with lock.writer(house.home / "lock", "the test"):
        with served(house, tmp_path / "told") as ui:
            first, second = ask_for_two(ui)
            # The code server goes too: as long as it lives it notices by itself.
            for pid in children(ui.process.pid):
                os.kill(pid, signal.SIGKILL)
            until(lambda: state(ui, first) == "FAILURE")
            # A code server is there again, and takes what waited.
            until(lambda: state(ui, second) == "STARTED")
            # The first is begun again by nobody's hand.
            until(lambda: begun_again(ui, first))

            # Everything at once, as when the machine loses power.
            for pid in [ui.process.pid, *children(ui.process.pid)]:
                os.kill(pid, signal.SIGKILL)
            ui.process.wait()
        told = house.ask("status")["next"]
        assert any(
            f"{second[:8]} ({REFRESH}) has begun, but its process is gone" in one for one in told
        )
        with served(house, tmp_path / "told again") as ui:
            until(lambda: state(ui, second) == "FAILURE")
            until(lambda: "STARTED" in [state(ui, one) for one in begun_again(ui, first)])
