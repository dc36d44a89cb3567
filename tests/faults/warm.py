"""A process that has imported the product and forks a child for each piece of work it is given.

How work is run, and killed, only: one JSON object a line in, one a line out. `killing` talks to it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from datetime import date
from pathlib import Path
from typing import Any

from dagster_project.lib.settings import Settings

# What Python does to files, as its audit events name it: each is a point to be killed just before.
# What DuckDB and SQLite do inside is reached by a time instead.
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod")
_WRITING = os.O_WRONLY | os.O_RDWR


def muster(settings: Settings, *arguments: str) -> None:
    """A whole command, but for the start of the interpreter and its imports."""
    from dagster_project.cli import main

    where = ("--home", settings.home, "--landing", settings.landing, "--seeds", settings.seeds)
    main([*map(str, where), *arguments], prog_name="muster")


def reference(settings: Settings) -> None:
    """The seeds, as the step `reference` of a load receives them, and the sweep after it."""
    from ingest.reference import receive_reference

    receive_reference(settings.home, settings.seeds)
    synchronise(settings)


def receive(settings: Settings) -> None:
    """All feeds, as the steps `raw/*` of a load receive them."""
    from dagster_project.lib import receiving, warehouse
    from ingest.contracts import FEEDS
    from ingest.intake import receive as take_in

    seen = receiving.folders(settings, FEEDS)
    with warehouse.connect(settings, makes_again=True) as conn:
        take_in(conn, settings.home, settings.landing)
    receiving.mark_received(settings, seen)


def synchronise(settings: Settings) -> None:
    """The raw tables from archive and journal, as after the loss of a warehouse."""
    from dagster_project.lib import warehouse

    with warehouse.connect(settings, makes_again=True) as conn:
        warehouse.bring_up_to_date(conn, settings, lambda *_: None)


def month_end(settings: Settings, period: str) -> None:
    """Gate, documents and folders, as the steps `invoices/*` make them from models that are built.

    Without the checks of the draft, which write nothing.
    """
    from dagster_project.lib import truths, warehouse
    from invoicing.documents import issue
    from invoicing.gate import decide
    from invoicing.ledger import Ledger

    with warehouse.connect(settings) as conn:
        truths.check_issuable(settings, conn)
        decide(conn, Ledger(settings.ledger), period, [])
    ledger = Ledger(settings.ledger)
    ledger.check()
    with warehouse.connect(settings) as conn:
        issue(conn, ledger, period)
    export(settings, period)


def cancel(settings: Settings, number: str, period: str) -> None:
    """A cancellation and its files, as the job `cancel_invoice` and the export after it."""
    from invoicing.ledger import Ledger
    from invoicing.notes import cancel as take_back

    ledger = Ledger(settings.ledger)
    if not any(document.cancels == number for document in ledger.documents()):
        take_back(ledger, number, reason="wrong", by="A. Clerk", on=date(2026, 3, 5))
    export(settings, period)


def export(settings: Settings, *periods: str) -> None:
    """The folders, as the step `invoices/exports` renders them."""
    from invoicing.exports import render_period
    from invoicing.ledger import Ledger

    ledger = Ledger(settings.ledger)
    ledger.check()
    for period in periods:
        render_period(ledger, period, settings.exports)


def publish(settings: Settings, run: str) -> None:
    """The publication of marts that are built; new ones even when they are published."""
    from dagster_project.lib.dbt import descriptions
    from dagster_project.lib.publish import publish as replace

    replace(settings, run, descriptions(settings), again=True)


WORK = {
    one.__name__: one
    for one in (muster, reference, receive, synchronise, month_end, cancel, export, publish)
}


def _serve() -> None:
    """Without arguments a child for each line; with HOME LANDING SEEDS WORK … that work at once."""
    if sys.argv[1:]:
        home, landing, seeds, work, *arguments = sys.argv[1:]
        settings = Settings(Path(home), Path(landing), Path(seeds))
        os.environ.update(settings.environment())
        WORK[work](settings, *arguments)
        return
    _warm_up()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(_forked(**json.loads(line))), flush=True)


def _warm_up() -> None:
    """Import what takes a command long to import. Opens no database and no thread pool.

    Polars is left to the child: its threads start with the import and do not survive a fork.
    """
    import dagster_dbt
    import duckdb
    import great_expectations
    from dbt.adapters.duckdb import connections
    from dbt.cli.main import dbtRunner

    import dagster_project.lib.runs

    del dagster_dbt, duckdb, great_expectations, connections, dbtRunner, dagster_project
    assert "polars" not in sys.modules, "a fork of its threads would hang"


def _forked(
    work: str,
    arguments: list[str],
    home: str,
    landing: str,
    seeds: str,
    log: str,
    point: int | None,
    at: str | None,
    seconds: float,
) -> dict[str, Any]:
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _become(log)
            settings = Settings(Path(home), Path(landing), Path(seeds))
            os.environ.update(settings.environment())
            _watch(home, f"{log}.changes", point, at)
            WORK[work](settings, *arguments)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    watched = os.pidfd_open(child)
    ended = select.select([watched], [], [], seconds)[0]
    os.close(watched)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began}


def _become(log: str) -> None:
    """The child's own output, and an empty input."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)


def _watch(home: str, changes: str, point: int | None, at: str | None) -> None:
    """Count what is changed below `home` and note each change before it is made.

    Dagster's run history and dbt's files are left out: both are theirs, and hold no truth of ours.
    """
    below, theirs = f"{home}/", (f"{home}/dagster/history", f"{home}/dbt/")
    count = 0
    record = os.open(changes, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            named = arguments[:1] if (arguments[2] or 0) & _WRITING else ()
        else:
            named = arguments[:2] if event in _CHANGES else ()
        paths = [os.fsdecode(one) for one in named if isinstance(one, str | bytes | os.PathLike)]
        if not any(one.startswith(below) and not one.startswith(theirs) for one in paths):
            return
        count += 1
        told = " -> ".join(one.removeprefix(below) for one in paths)
        os.write(record, f"{event} {told}\n".encode())
        if count == point or (at is not None and at in told):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if __name__ == "__main__":
    _serve()
