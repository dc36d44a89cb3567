"""Jobs, schedules and the sensor: what runs together, and what makes it run.

No step's work belongs here.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from dagster_project.defs import invoices, raw, reference, watch
from dagster_project.defs.publish import PUBLISHED
from dagster_project.lib import lock, periods, receiving
from dagster_project.lib.settings import Settings
from ingest.contracts import FEEDS

DAILY_REFRESH = "daily_refresh"
MONTH_END = "month_end"
REBUILD = "rebuild"

# Snapshots of the cut-off date are taken when that day is over and land during the night.
_HOUR = 6

# How often the landing folder is looked at. A look costs a few thousand file stats.
_LOOK_SECONDS = 60

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


# A run that was killed begins again at its first step: what is done already is found done.
_AGAIN_FROM_THE_START = {"dagster/retry_strategy": "ALL_STEPS"}


def days_tags(first: date, last: date) -> dict[str, str]:
    """The run tags that mean every day from `first` to `last`, both included, in one run."""
    return {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}


def months_tags(first: str, last: str) -> dict[str, str]:
    """The run tags that mean every period from `first` to `last`, both included, in one run."""
    return {RANGE_START: first, RANGE_END: last}


def build(settings: Settings, models: dg.AssetsDefinition) -> dg.Definitions:
    """Three jobs, each ending in a publication when all before it was good; what starts them."""
    feeds = [raw.feed_key(feed) for feed in FEEDS]
    built = dg.AssetSelection.assets(*models.keys, PUBLISHED)
    hooks = {watch.failure_hook(settings)}
    refresh = dg.define_asset_job(
        DAILY_REFRESH,
        selection=built | dg.AssetSelection.assets(*reference.KEYS, *feeds),
        hooks=hooks,
        tags=_AGAIN_FROM_THE_START,
        description="Take in what was landed, build and test the models, publish the marts.",
    )
    month_end = dg.define_asset_job(
        MONTH_END,
        selection=built
        | dg.AssetSelection.assets(invoices.RELEASE, invoices.DOCUMENTS, invoices.EXPORTS),
        hooks=hooks,
        tags=_AGAIN_FROM_THE_START,
        description="Draft, gate, issue and export the invoices of a period, then publish.",
    )
    rebuild = dg.define_asset_job(
        REBUILD,
        selection=built | dg.AssetSelection.assets(invoices.EXPORTS),
        hooks=hooks,
        tags=_AGAIN_FROM_THE_START,
        description="Make warehouse, exports and publication again from archive and ledger.",
    )
    # The cut-offs are read when the code is loaded: reload it in the UI after adding one.
    cutoff_days = periods.cutoff_days(settings.seeds / "distributors.csv")
    return dg.Definitions(
        jobs=[refresh, month_end, rebuild],
        schedules=[_schedule(cutoff_day) for cutoff_day in cutoff_days],
        sensors=[_sensor(settings)],
    )


def _schedule(cutoff_day: int) -> dg.ScheduleDefinition:
    """Closes a period on the morning after its cut-off.

    One schedule a cut-off day. Not one for all: its name says whose month ends, and one can be
    switched off alone. Not one a distributor: those with the same cut-off are closed by one run,
    as every hold is per distributor anyway.
    """
    name = "last_day" if cutoff_day == 31 else f"day_{cutoff_day:02d}"
    days = ",".join(str(day) for day in periods.mornings_after(cutoff_day))

    @dg.schedule(
        name=f"{MONTH_END}_after_{name}",
        job_name=MONTH_END,
        cron_schedule=f"0 {_HOUR} {days} * *",
        execution_timezone="UTC",
        # On as soon as the daemon runs: an invoice run that waits for a click is one nobody misses
        # until a distributor asks.
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Closes the period whose cut-off was yesterday.",
    )
    def after_cutoff(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        morning = context.scheduled_execution_time.date()
        period = periods.period_ended_before(morning, cutoff_day)
        if period is None:
            return dg.SkipReason(f"No period ended on the day before {morning}.")
        return dg.RunRequest(run_key=period, partition_key=period)

    return after_cutoff


def _sensor(settings: Settings) -> dg.SensorDefinition:
    """Looks at the landing folder and asks for one run over the days that changed."""

    @dg.sensor(
        name="landing",
        job_name=DAILY_REFRESH,
        minimum_interval_seconds=_LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the day's refresh when files land, change or are retracted.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        pending = receiving.pending(settings, FEEDS)
        if not pending:
            return dg.SensorResult(skip_reason="Nothing new in the landing folder.")
        cursor = _cursor(pending)
        if cursor != context.cursor:
            # Still changing: wait for one quiet look, so that half a delivery starts no run.
            return dg.SensorResult(
                skip_reason=f"{len(pending)} folders changed; waiting until they are complete.",
                cursor=cursor,
            )
        holder = lock.holder(settings.lock)
        if holder:
            return dg.SensorResult(skip_reason=f"{holder} is writing; looking again later.")
        changed = sorted({day for _, day in pending})
        return dg.SensorResult(
            run_requests=[
                # The key is what was seen: a run that failed is not tried again until files change.
                dg.RunRequest(run_key=cursor, tags=days_tags(changed[0], changed[-1]))
            ],
            cursor=cursor,
        )

    return landing


def _cursor(pending: receiving.Folders) -> str:
    lines = sorted(f"{feed}/{day} {seen}" for (feed, day), seen in pending.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def external(names: Sequence[str]) -> Iterator[dg.AssetSpec]:
    """The tables of schema `ledger`: written from the ledger's files before every build."""
    for name in names:
        yield dg.AssetSpec(
            ["ledger", name],
            group_name="ledger",
            kinds={"duckdb"},
            description="What the issued documents say, as tables; the truth is its files. "
            "Nothing leads here from invoices/documents, as drafts are made before issuing.",
        )
