"""What commands that run something share: the lock, the runner, progress, the load before.

Nothing that tells a result belongs here.
"""

from __future__ import annotations

import functools
import gc
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from dagster_project.cli.terminal import printed_above, unguarded
from dagster_project.lib import lock, receiving, truths
from dagster_project.lib.settings import Settings
from ingest.reasons import printable

if TYPE_CHECKING:
    from dagster_project.lib.runs import Runner


# Collections of what is young before one of everything; Python's own choice is 10.
_FULL_COLLECTIONS_AFTER = 1000


@contextmanager
def working(settings: Settings, command: str) -> Iterator[Callable[[], Runner]]:
    """Hold the home's lock and show what the runs are at; opens the runner when it is needed."""
    if not settings.journal.exists() and not receiving.pending(settings, feeds()):
        raise click.ClickException(
            f"There is nothing to load: {settings.landing} has no folder such as "
            f"usage/{settings.first_day}. `muster simulate` makes up some."
        )
    with lock.writer(settings.lock, f"muster {command}"), progress() as tell:
        truths.check(settings)
        os.environ.update(settings.environment())

        @functools.cache
        def open_runner() -> Runner:
            # A full collection looks at every object, and the million that Dagster, dbt and Great
            # Expectations are made of stay to the end: a fifth of a small command.
            gc.set_threshold(*gc.get_threshold()[:2], _FULL_COLLECTIONS_AFTER)
            from dagster_project.lib.runs import Runner

            return Runner.open(settings, tell)

        yield open_runner


def load_new(settings: Settings, open_runner: Callable[[], Runner]) -> bool:
    """Receive, build and publish what is new; whether anything was."""
    from dagster_project.lib import publish

    if (
        not receiving.pending(settings, feeds())
        and not receiving.seeds_changed(settings)
        and publish.is_current(settings)
    ):
        return False
    again = receiving.to_take_again(settings)
    if again:
        click.echo(
            f"{settings.journal} was restored from a backup: {len(again)} folders of "
            f"{settings.landing} are taken in again, as far as it does not know their files."
        )
    open_runner().load()
    return True


def tell_not_loaded(settings: Settings) -> None:
    """For a command that loads nothing: that there is something to load."""
    if receiving.pending(settings, feeds()) or receiving.seeds_changed(settings):
        click.echo("What landed or changed since the last `muster load` is not part of this.")


def feeds() -> Collection[str]:
    from ingest.contracts import FEEDS

    return FEEDS


def check_period(settings: Settings, period: str) -> None:
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", period):
        raise click.UsageError(f"{period!r} is not a period such as 2026-01.")
    if period < f"{settings.first_day:%Y-%m}":
        raise click.ClickException(
            f"{period} lies before the first day, {settings.first_day}. Give a later period, or "
            "set MUSTER_FIRST_DAY if earlier files are to count."
        )


@contextmanager
def progress() -> Iterator[Any]:
    """Says what is going on: one changing line in a terminal, a line a step anywhere else."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    # Rich finds the terminal behind our stream by itself only while it leaves the streams alone.
    console = Console(file=unguarded(sys.stderr), markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        told: set[str] = set()

        def tell_once(step: str, text: str) -> None:
            if step and step not in told:
                told.add(step)
                click.echo(f"· {_step_in_words(step)}", err=True)

        yield tell_once
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    bar = Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    with bar, printed_above(console):
        task = bar.add_task("starting")

        def tell(step: str, text: str) -> None:
            if step or text:
                words = " · ".join(part for part in (_step_in_words(step), text.strip()) if part)
                bar.update(task, description=printable(words)[: console.width - 12])

        yield tell


def _step_in_words(step: str) -> str:
    """`raw__portal_usage` is the asset raw/portal_usage; a step without a key is just words."""
    return step.replace("__", "/") if "__" in step else step.replace("_", " ")
