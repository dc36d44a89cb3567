"""A test inside the warehouse that fails holds those whose rows it found, and stops nobody else.

What the gate makes of a failed check is tested beside `invoicing.gate`.
"""

from __future__ import annotations

import json
import shutil
from datetime import date

import dagster as dg
import duckdb
import pytest
from house import SEEDS

from dagster_project.lib import checked, model_checks, warehouse
from dagster_project.lib.dbt import NodeResult
from dagster_project.lib.runs import Runner
from dagster_project.lib.settings import REPOSITORY, Settings, environment_of
from ingest.simulate import simulate

_META = 'meta={"dagster": {"ref": {"name": "draft_invoice_lines"}}}'
# Nothing of the draft is wrong: the test claims it of one distributor's rows.
_FINDS_ALPENLAND = f"""
{{{{ config({_META}) }}}}
select * from {{{{ ref("draft_invoice_lines") }}}} where distributor_id = 'alpenland'
"""
_CANNOT_RUN = f"""
{{{{ config({_META}) }}}}
select * from {{{{ ref("draft_invoice_lines") }}}} where cast(distributor_id as integer) > 0
"""
_CUSTOMERS = """
    create schema quality;
    create table quality.customer_accounts as
    from (values ('alpenland', 'C1', 'P1'), ('sakura', 'C2', 'P2'), ('cascadia', 'C2', 'P3'))
        as accounts (distributor_id, customer_id, partner_id)
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three days over January's end, two distributors, and a dbt project of its own."""
    folder = tmp_path_factory.mktemp("checks")
    shutil.copytree(
        REPOSITORY / "dbt", folder / "dbt", ignore=shutil.ignore_patterns("target", "logs")
    )
    simulate(
        folder / "landing",
        date(2026, 1, 30),
        date(2026, 2, 1),
        partners=6,
        customers=12,
        devices=60,
        seed=7,
        format="csv",
        seeds=SEEDS,
    )
    return Settings(
        home=folder / "home",
        landing=folder / "landing",
        seeds=SEEDS,
        project=folder / "dbt",
        cache=None,
    )


def _states(settings: Settings) -> dict[str, tuple[str, list[str]]]:
    records = sorted((settings.ledger / "releases" / "2026-01").glob("*.json"))
    told = [json.loads(path.read_text()) for path in records]
    return {one["distributor_id"]: (one["state"], one["reasons"]) for one in told}


def _run(settings: Settings) -> dict[str, bool]:
    """Load and close; the checks of the models in the last run, by name."""
    with environment_of(settings):
        runner = Runner.open(settings, lambda step, text: None)
        with runner.instance:
            runner.load()
            runner.month_end("2026-01")
            events = runner.instance.event_log_storage.get_event_records(
                dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION), limit=1000
            )
    found: dict[str, bool] = {}
    for record in sorted(events, key=lambda one: one.storage_id):
        evaluation = record.event_log_entry.dagster_event.asset_check_evaluation_data
        found[evaluation.check_name] = evaluation.passed
    return found


def test_rows_found_hold_their_distributor_and_the_others_go_on(settings: Settings) -> None:
    planted = settings.project / "tests" / "planted.sql"
    cannot_run = settings.project / "tests" / "cannot_run.sql"
    planted.write_text(_FINDS_ALPENLAND)

    checks = _run(settings)
    states = _states(settings)
    assert (checks["planted"], checks["amounts_are_whole_minor_units"]) == (False, True)
    assert states["sakura"] == ("released", [])
    state, (reason,) = states["alpenland"]
    assert (state, "Check planted failed:" in reason) == ("held", True)
    assert [one.partition(":")[0] for one in checked.failed_on_models(settings)] == ["planted"]
    # What analysts read is brought up to date for everybody: Sakura's invoice is in it.
    with duckdb.connect(str(settings.published / "current.duckdb"), read_only=True) as conn:
        issued = conn.execute("select distinct distributor_id from billing.issued_invoices")
        assert issued.fetchall() == [("sakura",)]

    # A check that cannot run has found nobody's rows, so nobody left is issued; models are built.
    planted.unlink()
    cannot_run.write_text(_CANNOT_RUN)
    checks = _run(settings)
    assert checks["cannot_run"] is False
    state, (reason,) = _states(settings)["alpenland"]
    assert (state, "Check cannot_run failed: it could not run" in reason) == ("held", True)

    # With the fault gone, what was held is issued.
    cannot_run.unlink()
    _run(settings)
    assert _states(settings)["alpenland"] == ("released", [])
    assert checked.failed_on_models(settings) == []


def test_a_draft_is_not_judged_on_models_that_were_not_all_tested(settings: Settings) -> None:
    with warehouse.connect(settings) as conn:
        warehouse.stamp(conn, None)
    with environment_of(settings):
        runner = Runner.open(settings, lambda step, text: None)
        with runner.instance:
            job = runner.definitions.resolve_job_def("month_end")
            result = job.execute_in_process(
                instance=runner.instance,
                partition_key="2026-01",
                asset_selection=[dg.AssetKey(["invoices", "release"])],
                raise_on_error=False,
            )
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data.description
    assert "not all built and tested" in told


@pytest.fixture
def conn() -> duckdb.DuckDBPyConnection:
    conn = duckdb.connect()
    conn.execute(_CUSTOMERS)
    return conn


def _test(name: str, outcome: str, failures: int | None, sql: str = "") -> NodeResult:
    return NodeResult(f"test.musterhouse.{name}", outcome, failures, 0.1, "", f"{name}.sql", sql)


@pytest.mark.parametrize(
    ("rows", "held"),
    [
        ("select 'alpenland' as distributor_id, 'C2' as customer_id", ("alpenland",)),
        # C2 moved from Cascadia to Sakura: it can be on either's bill.
        ("select 'C2' as customer_id", ("cascadia", "sakura")),
        ("select null as distributor_id, 'C1' as customer_id", ("alpenland",)),
        ("select 'P3' as partner_id", ("cascadia",)),
        ("with found as (select 'P2' as partner_id) select * from found", ("sakura",)),
        # Nobody has it, or no column says whose it is: then it can be anybody's.
        ("select 'C9' as customer_id", ()),
        ("select unnest(['C1', 'C9']) as customer_id", ()),
        ("select 'kind' as kind", ()),
    ],
)
def test_whose_rows_a_test_found(
    conn: duckdb.DuckDBPyConnection, rows: str, held: tuple[str, ...]
) -> None:
    results = [_test("t", "failed", 1, rows)]
    (found,) = model_checks.judge(conn, results, [], lambda sql: model_checks.rows_found(conn, sql))
    assert (found.success, found.severity, found.distributors) == (False, "blocking", held)


def test_a_check_without_a_result_has_failed(conn: duckdb.DuckDBPyConnection) -> None:
    results = [_test("ran", "passed", 0), _test("left_out", "skipped", None)]
    found = model_checks.judge(
        conn, results, ["ran", "left_out", "forgotten"], lambda sql: ([], [])
    )
    model_checks.keep(conn, "models", found, every=True)
    assert [(one.name, one.success, one.distributors) for one in model_checks.kept(conn)] == [
        ("forgotten", False, ()),
        ("left_out", False, ()),
        ("ran", True, ()),
    ]


def test_what_is_not_run_again_stays_as_it_was_found(conn: duckdb.DuckDBPyConnection) -> None:
    def find(sql: str) -> model_checks.Rows:
        return model_checks.rows_found(conn, sql)

    first = [_test("a", "failed", 1, "select 'P1' as partner_id"), _test("b", "passed", 0)]
    model_checks.keep(conn, "models", model_checks.judge(conn, first, [], find), every=True)
    again = [_test("b", "failed", 2, "select 'sakura' as distributor_id")]
    model_checks.keep(conn, "models", model_checks.judge(conn, again, [], find), every=False)
    kept = {one.name: (one.success, one.distributors) for one in model_checks.kept(conn)}
    assert kept == {"a": (False, ("alpenland",)), "b": (False, ("sakura",))}
