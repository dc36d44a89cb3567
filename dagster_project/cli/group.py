"""The command line `muster`: its options, and errors told in words.

No command of its own belongs here. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import click

from dagster_project.cli.terminal import printable_output
from dagster_project.lib import oserrors
from dagster_project.lib.settings import Settings, keep_private

FAILED = 1

# How DuckDB says that a file of its own is not what it wrote, whichever command comes upon it.
_DAMAGE = ("Corrupt database file", "not a valid DuckDB database", "Could not read enough bytes")
# The same of a full disk: the operating system, DuckDB, and the run history's SQLite.
_FULL = ("No space left on device", "disk is full")

_OWN_PACKAGES = ("dagster_project", "ingest", "invoicing")


class _Group(click.Group):
    """Ends with a reason a person can act on, never with a traceback."""

    def main(self, *args: Any, **how: Any) -> Any:
        with printable_output():
            return super().main(*args, **how)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for one in args:
            # No ledger, database or JSON file can hold it; told here, it is told once for all.
            if not _is_text(one):
                raise click.UsageError(
                    f"{one!r} is not UTF-8. Type it in UTF-8; `locale` shows what this terminal "
                    "uses.",
                    ctx,
                )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            self._interrupted(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            # The reader of our output, `head` for instance, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except Exception as error:
            if os.environ.get("MUSTER_TRACEBACK"):
                raise
            if any(_is_interrupt(one) for one in _chain(error)):
                self._interrupted(ctx)
            click.echo(f"muster: {_in_words(error)}{_repair(error, ctx.obj)}", err=True)
            ctx.exit(FAILED)

    def _interrupted(self, ctx: click.Context) -> NoReturn:
        click.echo(
            "\nmuster: Interrupted. Nothing that was accepted or issued is lost: run the same "
            "command again.",
            err=True,
        )
        ctx.exit(FAILED)


def _is_text(argument: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_interrupt(error: BaseException) -> bool:
    # DuckDB makes a RuntimeError of it.
    return isinstance(error, KeyboardInterrupt) or str(error) == "Query interrupted"


def _repair(error: Exception, settings: Settings | None) -> str:
    """What to do about a disk or a database file, whichever step came upon it."""
    if settings is not None and any(full in str(error) for full in _FULL):
        free = shutil.disk_usage(settings.home).free if settings.home.exists() else 0
        return (
            f"\nThe disk of {settings.home} is full, with {free:,} bytes left. Free some and run "
            "the same command again: nothing is lost, and the last publication stays."
        )
    said = str(error)
    if "muster rebuild" in said or not any(damage in said for damage in _DAMAGE):
        return ""
    return (
        "\nA database file is damaged. Nothing is lost with it: `muster rebuild` makes warehouse "
        "and publication again from archive, journal and ledger."
    )


def _in_words(error: Exception) -> str:
    if type(error).__module__.split(".")[0] in _OWN_PACKAGES:
        return str(error)
    if isinstance(error, OSError):
        return oserrors.in_words(error)
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
    keep_private()
    context.obj = Settings.from_environment(home=home, landing=landing, seeds=seeds)
