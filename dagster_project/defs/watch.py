"""What tells somebody when nobody is looking: failed runs, and feeds that did not come.

Holds are told by the release itself; how an alert is sent is `lib/alerts`.
"""

from datetime import date, timedelta

import dagster as dg

from dagster_project.lib import alerts, receiving
from dagster_project.lib.settings import Settings

JOB = "missing_feeds"

# Late enough that a source which delivers in the morning is not called missing.
_HOUR = 9


def failure_hook(settings: Settings) -> dg.HookDefinition:
    """Tells which step of which run failed, and why, in the words the run shows."""

    @dg.failure_hook(name="alert_on_failure")
    def alert_on_failure(context: dg.HookContext) -> None:
        error = context.op_exception
        reason = error.description if isinstance(error, dg.Failure) else None
        fault = alerts.send(
            settings,
            "failure",
            job=context.job_name,
            run=context.run_id,
            step=context.op.name.replace("__", "/"),
            reason=reason or str(error),
        )
        if fault:
            context.log.warning(fault)

    return alert_on_failure


def build(settings: Settings) -> dg.Definitions:
    """A job that looks for yesterday's expected snapshots, and the schedule that starts it."""

    @dg.op(
        name="look",
        config_schema={"day": dg.Field(str, description="The snapshot date, YYYY-MM-DD.")},
    )
    def look(context: dg.OpExecutionContext) -> None:
        day = date.fromisoformat(context.op_config["day"])
        missing = receiving.missing(settings, day)
        for text in missing:
            context.log.warning(f"{day}: {text}")
        fault = (
            alerts.send(settings, "missing_feed", day=day.isoformat(), missing=missing)
            if missing
            else None
        )
        if fault:
            context.log.warning(fault)
        context.add_output_metadata({"day": day.isoformat(), "missing": len(missing)})

    @dg.job(
        name=JOB,
        hooks={failure_hook(settings)},
        description="Says which expected snapshots of a day did not come or were refused.",
    )
    def missing_feeds() -> None:
        look()

    @dg.schedule(
        name=f"{JOB}_daily",
        job=missing_feeds,
        cron_schedule=f"0 {_HOUR} * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Looks every morning for the snapshots of the day before.",
    )
    def every_morning(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        day = (context.scheduled_execution_time.date() - timedelta(days=1)).isoformat()
        return dg.RunRequest(run_key=day, run_config={"ops": {"look": {"config": {"day": day}}}})

    return dg.Definitions(jobs=[missing_feeds], schedules=[every_morning])
