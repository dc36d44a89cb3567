"""`muster expire`: what the retention policy lets go of, shown and then done.

Which date that is, is `lib/retention`; what goes with it, `ingest/retention`.
"""

from __future__ import annotations

import click

from dagster_project.cli.group import main
from dagster_project.cli.telling import shortened
from dagster_project.cli.working import load_new, working
from dagster_project.lib import publish
from dagster_project.lib.settings import Settings


@main.command()
@click.option("--by", metavar="NAME", help="Do it, in this name; without it, only show.")
@click.pass_obj
def expire(settings: Settings, by: str | None) -> None:
    """Let go of usage, heartbeat, portal and PSA files older than the policy raw_retention_months.

    Without --by it only shows what would go. What a period still rests on stays, and so do registry
    files, rosters, documents, exports. It cannot be undone, except by restoring an older backup.
    """
    from dagster_project.lib.retention import kept_from, policy_date

    if policy_date(settings) is None:
        if by is not None:
            raise click.ClickException(
                f"Everything is kept: raw_retention_months in {settings.seeds}/policies.csv is 0, "
                "or nothing is loaded yet. Set it to the months to keep, then `muster load`."
            )
        click.echo("Nothing would go: raw_retention_months is 0, or nothing is loaded yet.")
        return
    with working(settings, "expire") as open_runner:
        from dagster_project.lib import scratch, warehouse
        from ingest.retention import expire as let_go
        from ingest.retention import expiring

        if by is not None:
            # Also what an expiry that was killed left to do: its date is in the journal by then.
            load_new(settings, open_runner)
        if not publish.is_current(settings):
            raise click.ClickException(
                "What is published is not of what is loaded, so it cannot be told what periods "
                "still rest on. Run `muster load` first."
            )
        since = kept_from(settings)
        what = expiring(settings.home, since) if since else None
        if what is None or not (what.files or what.contents):
            click.echo(
                f"Nothing to let go of: the policy keeps what is dated {policy_date(settings)} or "
                f"later, and periods still rest on what is dated {since} or later."
            )
            return
        click.echo(
            f"{'Letting go of' if by else 'Would let go of'} {what.files:,} files of usage, "
            f"heartbeat, portal and PSA dated before {what.kept_from}: {what.rows:,} rows, "
            f"{what.bytes / 1e6:,.1f} MB in the archive."
        )
        numbers = _issued(settings)
        if numbers:
            click.echo(
                f"What is issued so far ({shortened(numbers)}) can then be verified and explained, "
                "not made again: it was computed with all files of its time."
            )
        if by is None:
            click.echo("To do it: muster expire --by NAME. Back up first: it cannot be undone.")
            return
        with warehouse.connect(settings) as conn:
            let_go(conn, settings.home, what, by, scratch.progress(lambda *_: None))
        open_runner().load()
    click.echo("Done. Backups from before still hold them: remove those too where they have to go.")


def _issued(settings: Settings) -> list[str]:
    from invoicing.ledger import Ledger

    return [document.name for document in Ledger(settings.ledger).documents() if document.number]
