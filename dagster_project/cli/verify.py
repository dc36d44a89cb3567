"""The command verify: whether ledger, exports and publication are what they were when written.

Checking is `invoicing.verify` and `lib.verify`; here it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dagster_project.cli.group import main
from dagster_project.cli.telling import print_json
from dagster_project.lib import lock
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.verify import Check

GOOD, BROKEN = 0, 1


@main.command()
@click.option(
    "--head",
    "noted",
    multiple=True,
    metavar="HASH",
    help="A head noted down earlier, or the content hash of a manifest that was sent out.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def verify(settings: Settings, noted: tuple[str, ...], as_json: bool) -> None:
    """Check that every issued document, export, published and archived file is what it was.

    Reads only, needs no lock and no warehouse. Ends with 0 when all is well, and with 1 and the
    first broken link: its file, what was expected and found, and what to do.
    """
    from dagster_project.lib.verify import of_files, of_publication
    from invoicing.ledger import Ledger
    from invoicing.verify import checks_of, run

    if not settings.home.is_dir():
        raise click.ClickException(
            f"{settings.home} does not exist, so there is nothing to verify. Give the right home "
            "with --home or MUSTER_HOME."
        )
    ledger = Ledger(settings.ledger)
    writer = _writer(settings)
    # What is published rests on no document: it is looked at whatever is found before.
    checks = [
        *run(checks_of(ledger, settings.exports, [one.strip() for one in noted])),
        *run(of_publication(settings)),
        *run(of_files(settings)),
    ]
    writer = writer or _writer(settings)
    broken = [check.broken for check in checks if check.broken]
    head = None if checks[0].broken else ledger.heads().sha256
    if as_json:
        print_json(
            {
                "is_good": not broken,
                "head": head,
                "writing_meanwhile": writer,
                "checks": [_as_json(check) for check in checks],
            }
        )
    else:
        for check in checks:
            _tell(check)
        if broken and writer:
            click.echo(f"\n{writer} is writing to this home: verify again when it is done.")
        if head and not broken:
            click.echo(
                f"\nHead {head}\nNote it down outside this home: `muster verify --head HASH` "
                "shows later that nothing up to it was rewritten."
            )
    click.get_current_context().exit(BROKEN if broken else GOOD)


def _tell(check: Check) -> None:
    if check.broken:
        click.echo(f"BROKEN  {check.name}: {check.broken.file}: {check.broken.what}")
        click.echo(f"        {check.broken.action}")
    elif check.looked_at is None:
        click.echo(f"-       {check.name}: not looked at, it rests on what is broken")
    else:
        click.echo(f"good    {check.name}: {check.looked_at}")


def _as_json(check: Check) -> dict[str, object]:
    broken = check.broken
    return {
        "check": check.name,
        "is_good": None if check.looked_at is None and not broken else not broken,
        "looked_at": check.looked_at,
        "broken": {"file": broken.file, "what": broken.what, "action": broken.action}
        if broken
        else None,
    }


def _writer(settings: Settings) -> str | None:
    """Who is writing, since a run under way looks like one that was killed."""
    try:
        return lock.holder(settings.lock)
    except OSError:  # a home that may only be read, such as a backup
        return None
