"""The command validate: whether the e-invoices are valid by the official rules.

Checking is `invoicing.validation`; here it is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagster_project.cli.group import main
from dagster_project.cli.telling import print_json
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.validation import Validation

VALID, INVALID = 0, 1


@main.command()
@click.argument("paths", nargs=-1, metavar="[FOLDER or FILE]...", type=click.Path(path_type=Path))
@click.option(
    "--schematron",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="More rules to check, such as Peppol's: a folder of .sch or .xslt files.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def validate(
    settings: Settings, paths: tuple[Path, ...], schematron: Path | None, as_json: bool
) -> None:
    """Check e-invoices against the UBL 2.1 schema and the EN 16931 rules, offline.

    Without a path, every e-invoice of the exports. Ends with 0 when all are valid, with 1 and each
    rule that is broken when one is not. Needs the extra `einvoice`.
    """
    from invoicing import validation

    try:
        files = validation.documents(paths or [settings.exports])
        found = validation.validate(files, schematron)
    except (FileNotFoundError, validation.ValidatorMissingError, validation.RulesError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json(
            {
                "is_valid": not found.errors,
                "documents": found.documents,
                "rules": found.rules,
                "findings": [
                    {
                        "file": str(one.file),
                        "rule": one.rule,
                        "is_error": one.is_error,
                        "location": one.location,
                        "text": one.text,
                    }
                    for one in found.findings
                ],
            }
        )
    else:
        _tell(found)
    click.get_current_context().exit(INVALID if found.errors else VALID)


def _tell(found: Validation) -> None:
    for one in found.findings:
        severity = "BROKEN " if one.is_error else "warning"
        click.echo(f"{severity} {one.rule}: {one.file}: {one.location}\n        {one.text}")
    documents = "1 document" if found.documents == 1 else f"{found.documents} documents"
    looked_at = f"{documents}, {found.rules} rules and the UBL 2.1 schema"
    if found.errors:
        broken = len({one.file for one in found.errors})
        click.echo(f"{looked_at}: {broken} not valid.")
    elif found.documents:
        click.echo(f"{looked_at}: all valid.")
    else:
        click.echo("There is no e-invoice to check.")
