"""`cancel_invoice`: the job by which a person takes an issued invoice back (R24).

What a cancellation says is `invoicing.notes`; here is what `muster cancel` fills in. The UI has no
such job.
"""

from datetime import date

import dagster as dg

from dagster_project.defs import watch, writer
from dagster_project.lib.settings import Settings

JOB = "cancel_invoice"
OP = "take_back"


def build(settings: Settings) -> dg.JobDefinition:
    """One step; exports and publication follow with the next run that renders the period."""

    @dg.op(
        name=OP,
        pool=writer.POOL,
        required_resource_keys={writer.RESOURCE},
        config_schema={
            "number": dg.Field(str, description="The invoice to take back, as in the ledger."),
            "reason": dg.Field(str, description="Why; it stays in the ledger and is printed."),
            "by": dg.Field(str, description="Who decided."),
            "on": dg.Field(str, description="The date to print, YYYY-MM-DD."),
        },
    )
    def take_back(context: dg.OpExecutionContext) -> None:
        from invoicing.ledger import Ledger
        from invoicing.notes import cancel, check_date

        asked = context.op_config
        with writer.told_in_words():
            ledger = Ledger(settings.ledger)
            ledger.check()
            check_date(ledger, asked["number"], date_of(asked["on"]))
            note = cancel(
                ledger,
                asked["number"],
                reason=asked["reason"],
                by=asked["by"],
                on=date_of(asked["on"]),
            )
        context.log.info(f"{asked['number']} is taken back by {note.number}")
        context.add_output_metadata(
            {"credit note": note.number or "", "amount": note.content["totals"]["amount"]}
        )

    @dg.job(
        name=JOB,
        hooks={watch.failure_hook(settings)},
        description="Take an invoice back with a full credit note; then close its period anew.",
    )
    def cancel_invoice() -> None:
        take_back()

    return cancel_invoice


def date_of(text: str) -> date:
    """A date that a person filled in. Raises Failure when it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise dg.Failure(
            description=f"{text!r} is not a date such as 2026-03-01.", allow_retries=False
        ) from error
