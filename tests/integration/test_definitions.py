"""What Dagster knows: assets, checks, jobs, schedules and sensors, pinned in a reviewed file.

After a change that is meant, write the file again and read its diff:
``python tests/integration/test_definitions.py``
"""

import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.assembly import build_defs
from dagster_project.lib import receiving
from dagster_project.lib.settings import REPOSITORY, Settings
from ingest.contracts import FEEDS

SNAPSHOT = Path(__file__).with_name("definitions.txt")


def describe(definitions: dg.Definitions) -> str:
    """Every asset, check, job, schedule and sensor, one a line."""
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    lines = ["# assets: key, partitions"]
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        partitions = type(node.partitions_def).__name__ if node.partitions_def else ""
        kind = partitions if node.is_executable else "external"
        lines.append(f"{key.to_user_string()} {kind}".rstrip())
    lines += ["", "# checks: asset, name, blocking"]
    for check in sorted(graph.asset_check_keys):
        blocking = " blocking" if graph.get_check_spec(check).blocking else ""
        lines.append(f"{check.asset_key.to_user_string()} {check.name}{blocking}")
    lines += ["", "# jobs: name, partitions, steps"]
    for job in sorted(repository.get_all_jobs(), key=lambda one: one.name):
        if not job.name.startswith("__"):
            partitions = type(job.partitions_def).__name__ if job.partitions_def else ""
            steps = ", ".join(sorted(node.name for node in job.nodes))
            lines.append(f"{job.name} {partitions}: {steps}")
    lines += ["", "# schedules: name, cron, job"]
    for schedule in sorted(repository.schedule_defs, key=lambda one: one.name):
        lines.append(f"{schedule.name} [{schedule.cron_schedule}] {schedule.job_name}")
    lines += ["", "# sensors: name, job"]
    for sensor in sorted(repository.sensor_defs, key=lambda one: one.name):
        lines.append(f"{sensor.name} {sensor.job_name}")
    return "\n".join(lines) + "\n"


def _settings(folder: Path) -> Settings:
    return Settings(home=folder / "home", landing=folder / "landing", seeds=REPOSITORY / "seeds")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return _settings(tmp_path_factory.mktemp("definitions"))


@pytest.fixture(scope="module")
def definitions(settings: Settings) -> dg.Definitions:
    return build_defs(settings)


def test_nothing_appears_or_disappears_unseen(definitions: dg.Definitions) -> None:
    expected = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    assert describe(definitions).splitlines() == expected


def test_definitions_load_before_any_data(definitions: dg.Definitions, settings: Settings) -> None:
    dg.Definitions.validate_loadable(definitions)
    assert not settings.warehouse.exists()


def test_every_step_that_writes_shares_one_pool(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    for job in repository.get_all_jobs():
        for node in job.nodes:
            assert isinstance(node.definition, dg.OpDefinition)
            if job.name == "missing_feeds":  # reads the journal alone, also while something writes
                continue
            assert node.definition.pool == "warehouse", node.name
            assert "writer" in node.definition.required_resource_keys, node.name


def test_a_range_of_days_is_one_run(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    for feed in FEEDS:
        policy = graph.get(dg.AssetKey(["raw", feed])).backfill_policy
        assert policy == dg.BackfillPolicy.single_run()


@pytest.mark.parametrize(
    ("schedule", "morning", "period"),
    [
        # cascadia's cut-off is the 25th; the others' is the month's last day.
        ("month_end_after_day_25", datetime(2026, 1, 26, 6, tzinfo=UTC), "2026-01"),
        ("month_end_after_last_day", datetime(2026, 2, 1, 6, tzinfo=UTC), "2026-01"),
        ("month_end_after_last_day", datetime(2026, 3, 1, 6, tzinfo=UTC), "2026-02"),
        ("month_end_after_last_day", datetime(2026, 3, 2, 6, tzinfo=UTC), None),
    ],
)
def test_a_schedule_closes_the_period_that_ended(
    definitions: dg.Definitions, schedule: str, morning: datetime, period: str | None
) -> None:
    context = dg.build_schedule_context(
        scheduled_execution_time=morning, repository_def=definitions.get_repository_def()
    )
    found = definitions.resolve_schedule_def(schedule).evaluate_tick(context)
    assert [request.partition_key for request in found.run_requests or ()] == (
        [period] if period else []
    )


def test_the_sensor_asks_for_one_run_over_what_changed(
    definitions: dg.Definitions, settings: Settings
) -> None:
    def look(cursor: str | None) -> tuple[list[dict[str, str]], str | None]:
        with dg.build_sensor_context(cursor=cursor) as context:
            found = definitions.resolve_sensor_def("landing").evaluate_tick(context)
        tags = [dict(request.tags) for request in found.run_requests or ()]
        return tags, found.cursor

    def land(feed: str, day: str) -> None:
        folder = settings.landing / feed / day
        folder.mkdir(parents=True)
        (folder / "eu-central.csv").write_text("x")

    assert look(None) == ([], None)
    land("usage", "2026-01-05")
    land("heartbeat", "2026-01-07")
    # Seen once it may still be growing; seen twice alike it is complete.
    requests, cursor = look(None)
    assert requests == []
    requests, same = look(cursor)
    assert same == cursor
    assert [
        (tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"])
        for tags in requests
    ] == [("2026-01-05", "2026-01-07")]
    land("usage", "2026-01-06")
    assert look(cursor)[0] == []
    # Received, and so nothing to ask for.
    receiving.mark_received(settings, receiving.pending(settings, FEEDS))
    assert look(cursor)[0] == []


if __name__ == "__main__":
    scratch = Path(tempfile.mkdtemp())
    SNAPSHOT.write_text(describe(build_defs(_settings(scratch))), encoding="utf-8")
    shutil.rmtree(scratch)
    sys.stdout.write(f"{SNAPSHOT} written\n")
