"""The command line `muster`: the same Dagster jobs as in the UI, run and told in a terminal.

Asking and telling only. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dagster_project.lib import lock, receiving
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from dagster_project.lib.runs import Runner
    from dagster_project.lib.status import PeriodStatus
    from invoicing.explain import Explanation, Unit

ALL_ISSUED, FAILED, HELD = 0, 1, 3

# More lines than this of one kind say less.
_LISTED = 10

_OWN_PACKAGES = ("dagster_project", "ingest", "invoicing")


class _Group(click.Group):
    """Ends with a reason a person can act on, never with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # The reader of our output, `head` for instance, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except Exception as error:
            if os.environ.get("MUSTER_TRACEBACK"):
                raise
            click.echo(f"muster: {_in_words(error)}", err=True)
            ctx.exit(FAILED)


def _in_words(error: Exception) -> str:
    if type(error).__module__.split(".")[0] in _OWN_PACKAGES:
        return str(error)
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{where}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"unexpected {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: "
        f"{error}\nRun it again with MUSTER_TRACEBACK=1 for the details a developer needs."
    )


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--home", type=click.Path(path_type=Path), help="What Musterhouse keeps [./home].")
@click.option("--landing", type=click.Path(path_type=Path), help="Where feeds land [./landing].")
@click.option("--seeds", type=click.Path(path_type=Path), help="Reference data [seeds/].")
@click.pass_context
def main(
    context: click.Context, home: Path | None, landing: Path | None, seeds: Path | None
) -> None:
    """Usage and heartbeat snapshots in, distributors' invoices out, with the roster behind every
    number.

    The options can be given as MUSTER_HOME, MUSTER_LANDING and MUSTER_SEEDS too.
    """
    context.obj = Settings.from_environment(home=home, landing=landing, seeds=seeds)


@main.command()
@click.option("--dir", "folder", default="demo", type=click.Path(path_type=Path), show_default=True)
@click.pass_obj
def demo(settings: Settings, folder: Path) -> None:
    """Two made-up months, loaded and closed: what Musterhouse does, in about a minute."""
    folder = folder.absolute()
    settings = dataclasses.replace(settings, home=folder / "home", landing=folder / "landing")
    first, last = date(2026, 1, 1), date(2026, 2, 28)
    began = time.monotonic()
    _simulate(
        settings.landing,
        first,
        last,
        partners=12,
        customers=150,
        devices=6000,
        seed=7,
        file_format="csv.gz",
        seeds=settings.seeds,
        plant="cascadia",
    )
    with _working(settings, "demo") as open_runner:
        _load(settings, open_runner)
        for period in ("2026-01", "2026-02"):
            open_runner().month_end(period)
    _tell_documents(settings, "2026-02")
    _tell_periods(settings, ["2026-01", "2026-02"])
    click.echo(
        f"\nDone in {time.monotonic() - began:.0f} s. One distributor's data was made bad on "
        "purpose: a hold is the house at work.\n"
        f"Look around: muster --home {settings.home} --landing {settings.landing} status"
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
@click.option("--force", is_flag=True, help="Write into a folder that holds files already.")
@click.pass_obj
def simulate(
    settings: Settings,
    /,
    out: Path,
    start: Any,
    end: Any,
    plant: str | None,
    force: bool,
    **world: Any,
) -> None:
    """Write made-up landing files for all feeds, deterministic and alive."""
    if not force and out.is_dir() and any(out.iterdir()):
        raise click.ClickException(
            f"{out} holds files already; made-up ones would replace them at the next load. Give "
            "another --out, or --force to lengthen or replace a simulation."
        )
    _simulate(out, start.date(), end.date(), seeds=settings.seeds, plant=plant, **world)
    click.echo(f"Landing files for {start.date()} to {end.date()} are in {out.absolute()}")


@main.command()
@click.pass_obj
def load(settings: Settings) -> None:
    """Take in everything new in the landing folder and bring the publication up to date."""
    with _working(settings, "load") as open_runner:
        is_new = _load(settings, open_runner)
    if is_new:
        _tell_feeds(settings)
    else:
        click.echo("Nothing new: the publication is up to date.")
    _tell_ignored(len(receiving.without_partition(settings, _feeds())), settings)


@main.command()
@click.argument("period")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def draft(settings: Settings, period: str, as_json: bool) -> None:
    """Show the period as it would be invoiced now; takes in what landed first, issues nothing.

    An issued period is shown as known today, beside what was issued.
    """
    _check_period(settings, period)
    with _working(settings, f"draft {period}") as open_runner:
        _load(settings, open_runner)
    drafts = _drafts(settings, period)
    if as_json:
        _print_json([_draft_in_text(one) for one in drafts])
    else:
        _tell_drafts(drafts)


@main.command()
@click.argument("period")
@click.pass_obj
def close(settings: Settings, period: str) -> None:
    """Issue the period's invoices: all that is good, with a reason for what is held.

    Ends with 0 when all are issued, 3 when some are held, 1 when it failed.
    """
    _check_period(settings, period)
    with _working(settings, f"close {period}") as open_runner:
        _load(settings, open_runner)
        if not _drafts(settings, period):
            raise click.ClickException(
                f"There is nothing to close in {period}. {_loaded_in_words(settings)}"
            )
        open_runner().month_end(period)
    click.get_current_context().exit(_tell_periods(settings, [period]))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """What is loaded, what is quarantined, which periods are where, and what to do next."""
    from dagster_project.lib.status import status as find

    found = find(settings)
    if as_json:
        _print_json(dataclasses.asdict(found))
        return
    if any(feed.files for feed in found.feeds):
        _tell_feeds(settings)
    if found.periods:
        _print_table("Periods", _PERIOD_HEADERS, [_period_row(one) for one in found.periods])
        _tell_holds(found.periods)
    _tell_ignored(found.ignored_folders, settings)
    if found.writing:
        click.echo(f"{found.writing} is writing.")
    if found.next or not found.writing:
        click.echo("\n".join(found.next) or "Nothing to do.")


@main.command()
@click.argument("line", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def explain(settings: Settings, line: tuple[str, ...], as_json: bool) -> None:
    """Show the roster behind a line: PERIOD DISTRIBUTOR LINE, or NUMBER LINE.

    Every user, device or firewall that was counted, the dates it was active, and the row that said
    so; then those that came close.
    """
    from dagster_project.lib.status import published
    from invoicing.explain import explain as find
    from invoicing.ledger import Ledger

    found = find(Ledger(settings.ledger), published(settings), " ".join(line))
    if as_json:
        _print_json(dataclasses.asdict(found))
    else:
        _tell_explanation(found)


@main.command()
@click.argument("query")
@click.option("--csv", "as_csv", is_flag=True, help="CSV instead of a table.")
@click.pass_obj
def sql(settings: Settings, query: str, as_csv: bool) -> None:
    """Run one SELECT on the publication; it can read files such as a roster, never write any."""
    import duckdb

    from dagster_project.lib.status import published

    conn = published(settings)
    if conn is None:
        raise click.ClickException("Nothing is published yet. Run `muster load` first.")
    with conn:
        try:
            statements = duckdb.extract_statements(query)
            # COPY, EXPORT and EXPLAIN ANALYZE of these would write files whatever the database is.
            if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
                raise click.ClickException(
                    "Only one SELECT (or FROM, DESCRIBE, SUMMARIZE, SHOW) is run here. For all "
                    f"else open {settings.published / 'current.duckdb'} read-only in DuckDB."
                )
            cursor = conn.execute(query)
            headers = [column[0] for column in cursor.description or []]
            rows = [[_plain(value) for value in row] for row in cursor.fetchall()]
        except duckdb.Error as error:
            raise click.ClickException(str(error)) from error
    if as_csv:
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(headers)
        writer.writerows(rows)
    else:
        _print_table(None, headers, rows)


@main.command()
@click.pass_obj
def rebuild(settings: Settings) -> None:
    """Make warehouse, exports and publication again from archive, journal and ledger.

    Removes nothing a person made: only the warehouse, which holds no truth of its own, and that
    only when the new one is complete.
    """
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
        with _set_aside(settings.warehouse), _working(settings, "rebuild") as open_runner:
            open_runner().rebuild(issued)
    click.echo(f"Rebuilt. {len(issued)} issued periods were rendered again to {settings.exports}.")
    _tell_feeds(settings)


@main.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.pass_obj
def ui(settings: Settings, port: int) -> None:
    """Open Dagster's UI of this home on 127.0.0.1, with schedules and the landing sensor on."""
    settings.create_home()
    os.environ.update(settings.environment())
    arguments = ["-m", "dagster_dg_cli.cli", "dev", "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--module-name", "dagster_project.definitions"]
    # A shell hands ignored signals down to what it starts in the background; this must end on them.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, *arguments])


# --- doing ---------------------------------------------------------------------------------


@contextmanager
def _working(settings: Settings, command: str) -> Iterator[Callable[[], Runner]]:
    """Hold the home's lock and show what the runs are at; opens the runner when it is needed."""
    if not settings.journal.exists() and not receiving.pending(settings, _feeds()):
        raise click.ClickException(
            f"There is nothing to load: {settings.landing} has no folder such as "
            f"usage/{settings.first_day}. `muster simulate` makes up some."
        )
    with lock.writer(settings.lock, f"muster {command}"), _progress() as tell:
        os.environ.update(settings.environment())

        @functools.cache
        def open_runner() -> Runner:
            from dagster_project.lib.runs import Runner

            return Runner.open(settings, tell)

        yield open_runner


@contextmanager
def _set_aside(warehouse: Path) -> Iterator[None]:
    """The warehouse is not there while the body runs; it comes back when that fails."""
    files = [warehouse, warehouse.with_name(f"{warehouse.name}.wal")]
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


def _load(settings: Settings, open_runner: Callable[[], Runner]) -> bool:
    """Receive, build and publish what is new; whether anything was."""
    from dagster_project.lib import warehouse

    if (
        not receiving.pending(settings, _feeds())
        and not receiving.seeds_changed(settings)
        and warehouse.is_current(settings)
        and (settings.published / "current.duckdb").exists()
    ):
        return False
    open_runner().load()
    return True


def _feeds() -> Collection[str]:
    from ingest.contracts import FEEDS

    return FEEDS


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
        with _progress() as tell:
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


def _check_period(settings: Settings, period: str) -> None:
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", period):
        raise click.ClickException(f"{period!r} is not a period such as 2026-01.")
    if period < f"{settings.first_day:%Y-%m}":
        raise click.ClickException(
            f"{period} lies before the first day, {settings.first_day} (MUSTER_FIRST_DAY)."
        )


def _drafts(settings: Settings, period: str) -> list[dict[str, Any]]:
    """The period's invoices as they would be now: header, lines, open blocking discrepancies."""
    from dagster_project.lib.status import published
    from invoicing.draft import invoices, rows
    from invoicing.ledger import Ledger

    conn = published(settings)
    if conn is None:
        return []
    ledger = Ledger(settings.ledger)
    found = []
    with conn:
        for invoice in invoices(conn, period):
            key = [invoice.period, invoice.distributor_id, invoice.currency]
            lines = rows(conn, _DRAFT_LINES, key)
            document = ledger.issued(*key)
            blocking = rows(conn, _DRAFT_BLOCKING, [invoice.period, invoice.distributor_id])
            issued = document and {
                "number": document.number,
                "total_amount": Decimal(document.content["totals"]["amount"]),
            }
            header = dataclasses.asdict(invoice)
            found.append({**header, "issued": issued, "lines": lines, "blocking": blocking})
    return found


_DRAFT_LINES = """
    select line_number, partner_id, partner_name, product_code, product_name, quantity, unit_price,
        amount, customer_count
    from billing.draft_invoice_lines
    where period = ? and distributor_id = ? and currency = ?
    order by line_number
"""
_DRAFT_BLOCKING = """
    select discrepancy_id, kind, partner_id, customer_id, product_code, expected, found,
        amount_at_stake, currency, action
    from billing.draft_discrepancies
    where period = ? and severity = 'blocking' and state = 'open'
        and (distributor_id = ? or distributor_id is null)
    order by kind, discrepancy_id
"""


# --- telling -------------------------------------------------------------------------------

_LINE_HEADERS = ("line", "partner", "product", "units", "price", "amount")
_PERIOD_HEADERS = ("period", "distributor", "state", "number", "amount", "currency")


@contextmanager
def _progress() -> Iterator[Any]:
    """Says what is going on: one changing line in a terminal, a line a step anywhere else."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        told: set[str] = set()

        def tell_once(step: str, text: str) -> None:
            if step and step not in told:
                told.add(step)
                click.echo(f"· {_step_in_words(step)}", err=True)

        yield tell_once
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting")

        def tell(step: str, text: str) -> None:
            if step or text:
                words = " · ".join(part for part in (_step_in_words(step), text.strip()) if part)
                bar.update(task, description=words[: console.width - 12])

        yield tell


def _step_in_words(step: str) -> str:
    """`raw__portal_usage` is the asset raw/portal_usage; a step without a key is just words."""
    return step.replace("__", "/") if "__" in step else step.replace("_", " ")


def _tell_feeds(settings: Settings) -> None:
    from dagster_project.lib.status import status as find

    found = find(settings)
    _print_table(
        "Feeds",
        ("feed", "from", "to", "files", "rows", "quarantined", "refused", "missing"),
        [
            (
                feed.feed,
                feed.first_day,
                feed.last_day,
                feed.files,
                feed.rows,
                feed.rows_quarantined or None,
                len(feed.refused) or None,
                _shortened(feed.missing),
            )
            for feed in found.feeds
        ],
    )
    for refused in [text for feed in found.feeds for text in feed.refused][:_LISTED]:
        click.echo(f"Refused: {refused}")
    for unrecognised in found.unrecognised[:_LISTED]:
        click.echo(f"Not a delivery: {unrecognised}")


def _shortened(texts: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + more


def _tell_ignored(folders: int, settings: Settings) -> None:
    if folders:
        click.echo(
            f"{folders} folders are not loaded: they are dated before {settings.first_day} "
            "(MUSTER_FIRST_DAY) or after today."
        )


def _tell_periods(settings: Settings, wanted: Sequence[str]) -> int:
    """The invoices and holds of some periods, and where the files are; the exit code."""
    from dagster_project.lib.status import periods

    found = [one for one in periods(settings) if one.period in wanted]
    _print_table("Invoices", _PERIOD_HEADERS, [_period_row(one) for one in found])
    _tell_holds(found)
    for period in sorted({one.period for one in found if one.state == "issued"}):
        click.echo(f"Files of {period}: {settings.exports / period}")
    return ALL_ISSUED if all(one.state == "issued" for one in found) else HELD


def _period_row(one: PeriodStatus) -> tuple[object, ...]:
    number = one.number or ("nil" if one.state == "issued" else None)
    return (one.period, one.distributor_id, one.state, number, one.amount, one.currency)


def _tell_holds(found: Sequence[PeriodStatus]) -> None:
    for one in found:
        if one.state == "held":
            click.echo(f"Held: {one.period} {one.distributor_id}, {one.amount} {one.currency}")
            for reason in one.reasons:
                click.echo(f"  - {reason}")


def _tell_documents(settings: Settings, period: str) -> None:
    """The invoices issued for a period, line by line, as they stand in the ledger."""
    from invoicing.ledger import Ledger

    for document in Ledger(settings.ledger).documents():
        if document.period != period or document.number is None:
            continue
        content = document.content
        dates = content["dates"]
        _print_table(
            f"Invoice {document.number} to {content['distributor']['distributor_name']}, "
            f"{dates['period_starts_on']} to {dates['cutoff_on']}",
            _LINE_HEADERS,
            [
                (
                    line["line_number"],
                    f"{line['partner_id']} {line['partner_name']}",
                    line["product_name"],
                    line["quantity"],
                    line["unit_price"] or "graduated",
                    line["amount"],
                )
                for line in content["lines"]
            ],
        )
        total = content["totals"]["amount"]
        click.echo(f"Total {total} {document.currency}, due on {dates['due_on']}\n")


def _tell_drafts(drafts: Sequence[dict[str, Any]]) -> None:
    for one in drafts:
        state = "" if one["is_complete"] else ", period not over"
        _print_table(
            f"{one['period']} {one['distributor']['distributor_name']}{state}",
            _LINE_HEADERS,
            [
                (
                    line["line_number"],
                    f"{line['partner_id']} {line['partner_name']}",
                    line["product_name"],
                    line["quantity"],
                    _price(line["unit_price"], one["minor_units"]),
                    _money(line["amount"], one["minor_units"]),
                )
                for line in one["lines"]
            ],
        )
        total = _money(one["total_amount"], one["minor_units"])
        click.echo(f"Total {total} {one['currency']}, cut-off {one['cutoff_on']}")
        if one["issued"]:
            was, places = one["issued"]["total_amount"], one["minor_units"]
            click.echo(
                f"Issued as {one['issued']['number'] or 'nil'} with {_money(was, places)}; "
                f"as known today, {_money(one['total_amount'] - was, places)} more."
            )
        for found in one["blocking"]:
            click.echo(f"  blocking {found['kind']} {found['discrepancy_id']}: {found['action']}")
        click.echo()
    if not drafts:
        click.echo("No distributor has a draft of this period.")


def _draft_in_text(draft: dict[str, Any]) -> dict[str, Any]:
    """The same with money as text to the currency's digits, as in status, explain and exports."""
    from invoicing.canonical import money_text, price_text

    places = draft["minor_units"]
    issued = draft["issued"] and {
        **draft["issued"],
        "total_amount": money_text(draft["issued"]["total_amount"], places),
    }
    lines = [
        {
            **line,
            "unit_price": line["unit_price"] and price_text(line["unit_price"], places),
            "amount": money_text(line["amount"], places),
        }
        for line in draft["lines"]
    ]
    total = money_text(draft["total_amount"], places)
    return {**draft, "total_amount": total, "issued": issued, "lines": lines}


def _price(price: Decimal | None, minor_units: int) -> str:
    from invoicing.canonical import price_text

    return "graduated" if price is None else price_text(price, minor_units)


def _money(amount: Decimal, minor_units: int) -> str:
    return f"{amount:,.{minor_units}f}"


def _tell_explanation(found: Explanation) -> None:
    line = found.line
    click.echo(
        f"{found.number or 'Draft'} · {found.period} {found.distributor_id} · line "
        f"{line['line_number']}: {line['partner_name']}, {line['product_name']}, "
        f"{line['quantity']} {line['billing_unit']}s, {line['amount']} {found.currency}\n"
        f"Active from {found.window_starts_on} to {found.cutoff_on}"
    )
    for title, units in (("Counted", found.counted), ("Not counted", found.not_counted)):
        if units:
            _print_table(
                f"{title}: {len(units)}",
                ("customer", "unit", "last active", "active on", "said by", "why not"),
                [_unit_row(unit) for unit in units],
            )


def _unit_row(unit: Unit) -> tuple[object, ...]:
    return (
        unit.customer_id,
        unit.unit_id,
        unit.last_active_on,
        _days_in_words([date.fromisoformat(day) for day in unit.active_on]),
        unit.source,
        unit.reason,
    )


def _days_in_words(days: Sequence[date]) -> str:
    """Ascending dates by month, runs of days joined: `2026-01: 2 5-9 12-16; 2026-02: 1`."""
    months: dict[str, list[list[int]]] = {}
    for day in days:
        runs = months.setdefault(f"{day:%Y-%m}", [])
        if runs and runs[-1][1] == day.day - 1:
            runs[-1][1] = day.day
        else:
            runs.append([day.day, day.day])
    return "; ".join(
        f"{month}: " + " ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
        for month, runs in months.items()
    )


def _print_table(
    title: str | None, headers: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """A table on standard output; numbers to the right, empty columns left out."""
    from rich.console import Console
    from rich.table import Table

    shown = [
        index
        for index in range(len(headers))
        if title is None or any(row[index] not in (None, "") for row in rows)
    ]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index in shown:
        numeric = all(isinstance(row[index], int | float | Decimal | None) for row in rows)
        is_amount = headers[index] in ("amount", "price")
        table.add_column(
            headers[index],
            justify="right" if numeric or is_amount else "left",
            # What a narrow terminal cannot hold goes on the next line: nothing is cut off.
            overflow="fold",
        )
    for row in rows:
        # Only our own tables group digits: in an answer to a query 2026 may be a year.
        table.add_row(*(_cell(row[index], grouped=title is not None) for index in shown))

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            # Left to itself rich ends the process; the command group knows better.
            raise BrokenPipeError

    # A file or a pipe is as wide as what is in it. Names are text, never markup.
    width = None if sys.stdout.isatty() else 10_000
    Piped(width=width, markup=False, highlight=False, emoji=False).print(table)


def _cell(value: object, *, grouped: bool) -> str:
    if value is None:
        return ""
    return f"{value:,}" if grouped and type(value) is int else str(value)


def _plain(value: object) -> object:
    """A value of a query as text a person or a program reads back; null stays null."""
    if isinstance(value, list | dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, default=str, ensure_ascii=False, indent=2))


def _loaded_in_words(settings: Settings) -> str:
    from dagster_project.lib.status import status as find

    usage = next(feed for feed in find(settings).feeds if feed.feed == "usage")
    if usage.last_day is None:
        return f"No usage is loaded: put landing files into {settings.landing}."
    return f"Usage is loaded from {usage.first_day} to {usage.last_day}."
