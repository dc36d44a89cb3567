"""Commands about a home as a whole: making one up, rebuilding it, looking at it in the UI.

Months are `months`, single lines `lines`.
"""

from __future__ import annotations

import dataclasses
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import click

from dagster_project.cli.group import main
from dagster_project.cli.months import tell_documents, tell_feeds, tell_periods
from dagster_project.cli.working import load_new, progress, working
from dagster_project.lib import lock
from dagster_project.lib.settings import Settings


@main.command()
@click.option("--dir", "folder", default="demo", type=click.Path(path_type=Path), show_default=True)
@click.pass_obj
def demo(settings: Settings, folder: Path) -> None:
    """Two made-up months, loaded and closed: what Musterhouse does, in a minute or two.

    Between them a backfill comes late, and another one when it is too late for a note.
    """
    folder = folder.absolute()
    original, planted = settings.seeds, "cascadia"
    settings = dataclasses.replace(
        settings, home=folder / "home", landing=folder / "landing", seeds=folder / "seeds"
    )
    first, last = date(2026, 1, 1), date(2026, 2, 28)
    began = time.monotonic()
    # A second demo in the same folder keeps the waivers a person may have written there.
    if not settings.seeds.exists():
        _plant_references(original, settings.seeds, first, planted)
    _simulate(
        settings.landing,
        first,
        last,
        partners=12,
        customers=150,
        devices=6000,
        seed=7,
        file_format="csv.gz",
        seeds=original,
        plant=planted,
    )
    with working(settings, "demo") as open_runner:
        load_new(settings, open_runner)
        open_runner().month_end("2026-01")
        _deliver_late(settings, date(2026, 1, 20), users=40)
        load_new(settings, open_runner)
        open_runner().month_end("2026-02")
        _deliver_late(settings, date(2026, 1, 21), users=2)
        load_new(settings, open_runner)
    tell_documents(settings, "2026-02")
    tell_periods(settings, ["2026-01", "2026-02"])
    click.echo(
        f"\nDone in {time.monotonic() - began:.0f} s. One distributor's data was made bad on "
        "purpose, in every way Musterhouse knows: a hold is the house at work. A backfill for "
        "another one's January came late and became a note; what came later still is reported.\n"
        f"The demo has reference data of its own, {settings.seeds}, to try waivers in.\n"
        f"Look around: muster --home {settings.home} --landing {settings.landing} "
        f"--seeds {settings.seeds} status"
    )


@main.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The landing folder.")
@click.option("--start", required=True, type=click.DateTime(["%Y-%m-%d"]), help="First day.")
@click.option("--end", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.option("--partners", default=12, show_default=True, type=click.IntRange(1))
@click.option("--customers", default=150, show_default=True, type=click.IntRange(1))
@click.option("--devices", default=6000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=7, show_default=True, help="Same seed, same bytes.")
@click.option(
    "--format",
    "file_format",
    default="csv.gz",
    show_default=True,
    type=click.Choice(["csv", "csv.gz", "parquet"]),
)
@click.option("--plant", metavar="DISTRIBUTOR", help="Whose data goes bad in named ways.")
@click.option(
    "--plant-seeds",
    type=click.Path(path_type=Path),
    help="Where to write a copy of the reference data with what some of these ways need.",
)
@click.option("--force", is_flag=True, help="Write into a folder that holds files already.")
@click.pass_obj
def simulate(
    settings: Settings,
    /,
    out: Path,
    start: Any,
    end: Any,
    plant: str | None,
    plant_seeds: Path | None,
    force: bool,
    **world: Any,
) -> None:
    """Write made-up landing files for all feeds, deterministic and alive."""
    if plant_seeds is not None and plant is None:
        raise click.UsageError("--plant-seeds needs --plant: whose data goes bad?")
    for folder in (out, plant_seeds):
        if folder is not None and not force and folder.is_dir() and any(folder.iterdir()):
            raise click.ClickException(
                f"{folder} holds files already; made-up ones would replace them at the next load. "
                "Give another folder, or --force to lengthen or replace a simulation."
            )
    _simulate(out, start.date(), end.date(), seeds=settings.seeds, plant=plant, **world)
    click.echo(f"Landing files for {start.date()} to {end.date()} are in {out.absolute()}")
    if plant is not None and plant_seeds is not None:
        _plant_references(settings.seeds, plant_seeds, start.date(), plant)
        click.echo(f"Load them with --seeds {plant_seeds.absolute()}")


@main.command()
@click.pass_obj
def rebuild(settings: Settings) -> None:
    """Make warehouse, exports and publication again from archive, journal and ledger.

    Removes nothing a person made: only the warehouse, which holds no truth of its own, and that
    only when the new one is complete.
    """
    from dagster_project.lib.status import status as find
    from invoicing.ledger import Ledger

    with lock.writer(settings.lock, "muster rebuild"):
        if not settings.journal.exists():
            raise click.ClickException(
                f"{settings.home} has no journal, so there is nothing to rebuild from. "
                "Restore archive, journal and ledger from their backup, or run `muster load`."
            )
        ledger = Ledger(settings.ledger)
        ledger.check()
        issued = sorted({document.period for document in ledger.documents()})
        with _set_aside(settings.warehouse), working(settings, "rebuild") as open_runner:
            open_runner().rebuild(issued)
    click.echo(f"Rebuilt. {len(issued)} issued periods were rendered again to {settings.exports}.")
    tell_feeds(find(settings))


@main.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.pass_obj
def ui(settings: Settings, port: int) -> None:
    """Open Dagster's UI of this home on 127.0.0.1, with schedules and the landing sensor on.

    It is open to whoever has the token in the address printed here, until it ends.
    """
    with socket.socket() as listening:
        # As every server does it: a port that was left a moment ago is free.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen()
        except OSError as error:
            raise click.ClickException(
                f"Port {port} of 127.0.0.1 cannot be listened on ({error.strerror}): give another "
                "with --port, or end what listens there."
            ) from error
        settings.create_home()
        token = secrets.token_urlsafe(32)
        # Two that serve one home would start every waiting run twice.
        other = lock.holder(settings.served)
        if other:
            raise click.ClickException(
                f"{other} serves {settings.home} already: open the address that it printed, or "
                "end it first."
            )
        with lock.writer(settings.served, "muster ui"):
            # Listened on already: a browser that is quick waits for the answer.
            click.echo(
                f"http://127.0.0.1:{port}/?token={token}\n"
                "Open this address; it answers in some ten seconds. Ctrl-C ends it."
            )
            from dagster_project.lib.ui import serve

            with suppress(KeyboardInterrupt):
                serve(settings, listening, token)


@contextmanager
def _set_aside(warehouse: Path) -> Iterator[None]:
    """The warehouse is not there while the body runs; it comes back when that fails."""
    files = [warehouse.with_suffix(".seal"), warehouse]
    files.append(warehouse.with_name(f"{warehouse.name}.wal"))
    aside = [path.with_name(f"{path.name}.before") for path in files]
    for path, other in zip(files, aside, strict=True):
        if path.exists():
            path.replace(other)
    try:
        yield
    except BaseException:
        for path, other in zip(files, aside, strict=True):
            path.unlink(missing_ok=True)
            if other.exists():
                other.replace(path)
        raise
    for other in aside:
        other.unlink(missing_ok=True)


def _deliver_late(settings: Settings, day: date, users: int) -> None:
    """Users of Alpenland's largest customer of Endpoint Advanced turn up for January."""
    from dagster_project.lib.status import published
    from ingest.simulate import deliver_late

    conn = published(settings)
    if conn is None:
        return
    with conn:
        found = conn.execute(
            """
            select customer_id from billing.issued_invoices
            inner join billing.draft_invoice_customers using (period, distributor_id)
            where period = '2026-01' and distributor_id = 'alpenland' and product_code = 'EPADV'
            order by quantity desc, customer_id limit 1
            """
        ).fetchall()
    for (customer_id,) in found:
        deliver_late(settings.landing, day, customer_id, "EPADV", date(2026, 1, 12), users)


def _plant_references(seeds: Path, out: Path, first: date, plant: str) -> None:
    from ingest.simulate import plant_references

    try:
        plant_references(seeds, out, first, plant)
    except ValueError as error:  # no such distributor
        raise click.ClickException(str(error)) from error


def _simulate(
    out: Path,
    first: date,
    last: date,
    *,
    partners: int,
    customers: int,
    devices: int,
    seed: int,
    file_format: Any,
    seeds: Path,
    plant: str | None,
) -> None:
    from ingest.simulate import simulate as write

    try:
        with progress() as tell:
            write(
                out,
                first,
                last,
                partners=partners,
                customers=customers,
                devices=devices,
                seed=seed,
                format=file_format,
                seeds=seeds,
                plant=plant,
                progress=lambda done, total, day: tell("simulate", f"{done} of {total} days"),
            )
    except ValueError as error:  # arguments or seeds that cannot carry a world
        raise click.ClickException(str(error)) from error
