"""Puts the definitions of one home together.

No definition of its own belongs here.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import dagster as dg

from dagster_project.defs import (
    automation,
    cancellation,
    checks,
    invoices,
    publish,
    raw,
    reference,
    warehouse,
    watch,
    writer,
)
from dagster_project.lib.settings import Settings


def build_defs(
    settings: Settings,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
    *,
    for_command: bool = False,
) -> dg.Definitions:
    """Everything Dagster knows of the home that `settings` describes.

    Needs no home and no warehouse: both are made by the first run. What commits money on a person's
    word, taking an invoice back and releasing a draft as its second person, is there only
    `for_command`: from the UI it cannot be started, in whichever way a run is asked for.
    """
    with warnings.catch_warnings():
        # Backfill policies and freshness are marked beta; the versions are pinned together.
        warnings.simplefilter("ignore", dg.BetaWarning)
        models = warehouse.build(settings)
        parts = dg.Definitions(
            assets=[
                reference.build(settings),
                *raw.build(settings),
                models,
                *automation.external(["documents", "lines", "customers", "disputes"]),
                *invoices.build(settings, for_command=for_command),
                publish.build(settings, models),
            ],
            jobs=[cancellation.build(settings)] if for_command else [],
            asset_checks=[checks.landed_volumes(settings)],
            resources={writer.RESOURCE: writer.resource(settings)},
            # In one process: DuckDB takes one writer, and a step's start would cost seconds.
            executor=dg.in_process_executor,
            loggers=loggers or {},
        )
        return dg.Definitions.merge(
            parts, automation.build(settings, models), watch.build(settings)
        )
