"""The commands that keep a home safe: backup and restore.

What is copied and how it is checked is `lib/backup`; nothing is computed here.
"""

from __future__ import annotations

from pathlib import Path

import click

from dagster_project.cli.group import main
from dagster_project.cli.working import progress
from dagster_project.lib import lock, truths
from dagster_project.lib.settings import Settings

_FOLDER = click.Path(path_type=Path, file_okay=False)


@main.command()
@click.option("--to", "target", required=True, type=_FOLDER, help="The folder of the backups.")
@click.option("--check", "check_all", is_flag=True, help="Read every byte of it again afterwards.")
@click.pass_obj
def backup(settings: Settings, target: Path, check_all: bool) -> None:
    """Back up archive, journal, ledger and reference data: everything else can be made again.

    The folder keeps every backup, and of each content one copy, so the next one costs what is new.
    It must not lie in the home, and is best on another machine's disk. A home with a damaged
    journal, ledger or archive is not backed up: restore it first.
    """
    from dagster_project.lib.backup import check, take
    from invoicing.ledger import Ledger

    target = target.expanduser().absolute()
    with lock.writer(settings.lock, "muster backup"), progress() as tell:
        # A damaged home must not become the last backup, which is the one that is restored.
        truths.check(settings)
        Ledger(settings.ledger).check()
        made, copied = take(settings, target, tell)
        if check_all:
            check(target, made, tell)
    click.echo(
        f"Backup {made.number}: {len(made.files):,} files, {made.bytes / 1e6:,.1f} MB, of them "
        f"{copied / 1e6:,.1f} MB new in {target}{', all read again' if check_all else ''}."
    )


@main.command()
@click.option("--from", "source", required=True, type=_FOLDER, help="The folder of the backups.")
@click.option("--number", type=click.IntRange(1), help="Which backup [the last].")
@click.pass_obj
def restore(settings: Settings, source: Path, number: int | None) -> None:
    """Put a backup into an empty home (--home), all of it or nothing.

    `muster rebuild` then makes warehouse, exports and publication again, to the byte.
    """
    from dagster_project.lib.backup import find
    from dagster_project.lib.backup import restore as put_back

    source = source.expanduser().absolute()
    found = find(source, number)
    settings.home.mkdir(parents=True, exist_ok=True)
    with lock.writer(settings.lock, "muster restore"), progress() as tell:
        put_back(settings, source, found, tell)
    click.echo(
        f"Restored backup {found.number} of {found.made_at} to {settings.home}: "
        f"{len(found.files):,} files.\n"
        f"Next: muster --home {settings.home} rebuild\n"
        "Documents issued after that backup are not in its ledger. If any were sent, put their "
        "ledger files back first: their numbers would be given again."
    )
