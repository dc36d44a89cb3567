"""Policy release = approved over the whole line: nothing is issued until a second person says so.

What one approval is worth is tested beside `invoicing.approval`.
"""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from house import PLANTED, SEEDS, House

from dagster_project.assembly import build_defs
from dagster_project.defs.invoices import RELEASE, RELEASE_STEP
from dagster_project.lib.settings import Settings, environment_of
from ingest.simulate import simulate

pytestmark = pytest.mark.long

# The two distributors that have a January in three days over its end; Cascadia's ended on the 25th.
DISTRIBUTORS = ["alpenland", "sakura"]


def with_policy_approved(folder: Path) -> Path:
    """Seeds of their own, in which a second person releases."""
    seeds = folder / "seeds"
    shutil.copytree(SEEDS, seeds)
    policies = seeds / "policies.csv"
    text = policies.read_text()
    assert "\nrelease,automatic," in text
    policies.write_text(text.replace("\nrelease,automatic,", "\nrelease,approved,"))
    return seeds


@pytest.fixture(scope="module")
def waiting_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A small vendor whose January was closed once, and waits."""
    folder = tmp_path_factory.mktemp("approved")
    house = House(folder / "home", folder / "landing", with_policy_approved(folder))
    simulate(
        house.landing,
        date(2026, 1, 30),
        date(2026, 2, 1),
        partners=6,
        customers=12,
        devices=60,
        seed=7,
        format="csv",
        seeds=house.seeds,
    )
    house.muster("load")
    told = house.muster("close", "2026-01", expect=3)
    for distributor_id in DISTRIBUTORS:
        assert f"  muster release 2026-01 {distributor_id} --currency" in told
    return house


@pytest.fixture
def copied(waiting_house: House, tmp_path: Path) -> House:
    house = House(tmp_path / "home", tmp_path / "landing", tmp_path / "seeds")
    shutil.copytree(waiting_house.home, house.home, symlinks=True)
    shutil.copytree(waiting_house.landing, house.landing, copy_function=shutil.copy2)
    shutil.copytree(waiting_house.seeds, house.seeds)
    return house


def documents(house: House) -> dict[str, dict[str, Any]]:
    return {
        str(path.relative_to(house.home / "ledger")): json.loads(path.read_text())
        for path in house.home.glob("ledger/*/[0-9]*.json")
    }


def records(house: House) -> dict[str, dict[str, Any]]:
    folder = house.home / "ledger/releases/2026-01"
    return {path.name.split(".")[0]: json.loads(path.read_text()) for path in folder.iterdir()}


def states(house: House) -> dict[str, str]:
    periods = house.ask("status")["periods"]
    return {one["distributor_id"]: one["state"] for one in periods if one["period"] == "2026-01"}


def approval(house: House, distributor_id: str, by: str) -> dict[str, str]:
    """What `muster release` says for a person, from what the record shows."""
    seen = records(house)[distributor_id]
    keys = ("period", "distributor_id", "currency", "total_amount", "version_set_sha256")
    return {**{key: seen[key] for key in keys}, "by": by}


def run_release(
    house: House, approvals: list[dict[str, str]], *, documents_too: bool
) -> dg.ExecuteInProcessResult:
    """The job as `muster release` starts it; without the documents it is a run that was killed."""
    settings = Settings(house.home, house.landing, house.seeds)
    with environment_of(settings):
        job = build_defs(settings, for_command=True).resolve_job_def("month_end")
        steps = [RELEASE]
        if documents_too:
            steps.append(dg.AssetKey(["invoices", "documents"]))
        return job.execute_in_process(
            partition_key="2026-01",
            asset_selection=steps,
            run_config={"ops": {RELEASE_STEP: {"config": {"approvals": approvals}}}},
            raise_on_error=False,
        )


def late_file(house: House) -> None:
    """The last day's usage again, a row shorter: other bytes in force."""
    path = house.landing / "usage/2026-01-31/eu-central.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    (path.parent / f"{path.name}.manifest.json").unlink(missing_ok=True)


def test_nothing_is_issued_and_everything_waits(waiting_house: House) -> None:
    assert documents(waiting_house) == {}
    assert not (waiting_house.home / "exports").exists()
    assert states(waiting_house) == dict.fromkeys(DISTRIBUTORS, "waiting")
    (step,) = [one for one in waiting_house.ask("status")["next"] if "approval" in one]
    assert "2026-01 waits for approval of alpenland, sakura" in step


def test_only_what_a_person_released_is_issued(copied: House) -> None:
    total = records(copied)["alpenland"]["total_amount"]
    before = {name: digest for name, digest in copied.ledger().items() if "sakura" in name}
    refused = copied.muster(
        "release", "2026-01", "alpenland", "--by", "R. Roe", "--total", "1.00", expect=1
    )
    assert f"it was given for 1.00 EUR, but the draft is {total} EUR" in refused
    assert documents(copied) == {}

    copied.muster("release", "2026-01", "alpenland", "--by", "R. Roe", "--total", total)
    (name,) = documents(copied)
    assert name == "alpenland/000001.json"
    assert documents(copied)[name]["provenance"]["released_by"] == "R. Roe"
    assert documents(copied)[name]["content"]["totals"]["amount"] == total
    assert {name.split("/")[1] for name in copied.exports()} == {"alpenland", "_vendor"}
    assert states(copied) == {"alpenland": "issued", "sakura": "waiting"}
    assert {name: digest for name, digest in copied.ledger().items() if "sakura" in name} == before

    # Again, or by another: it is issued already. Closing leaves the rest waiting.
    ledger, exports, marts = copied.ledger(), copied.exports(), copied.marts()
    assert "issued already" in copied.muster("release", "2026-01", "alpenland", "--by", "B. Bee")
    copied.muster("close", "2026-01", expect=3)
    assert (copied.ledger(), copied.exports(), copied.marts()) == (ledger, exports, marts)


def test_a_killed_run_keeps_the_approval_until_data_changes(copied: House) -> None:
    given = approval(copied, "alpenland", "R. Roe")
    result = run_release(copied, [given], documents_too=False)
    assert result.success
    assert records(copied)["alpenland"]["released_by"] == "R. Roe"
    assert documents(copied) == {}
    killed = copied.home.with_name("killed")
    shutil.copytree(copied.home, killed, symlinks=True)

    # The same command again, by whoever: what R. Roe decided is carried out.
    copied.muster("close", "2026-01", expect=3)
    (document,) = documents(copied).values()
    assert document["provenance"]["released_by"] == "R. Roe"
    assert states(copied) == {"alpenland": "issued", "sakura": "waiting"}

    # The same kill, but a file arrives before the rerun.
    other = House(killed, copied.landing, copied.seeds)
    late_file(other)
    told = other.muster("close", "2026-01", expect=3)
    assert "R. Roe's approval is void" in told
    assert "Files or reference data changed since" in told
    assert documents(other) == {}
    assert states(other) == {"alpenland": "waiting", "sakura": "waiting"}


def test_what_was_seen_cannot_be_released_once_data_changed(copied: House) -> None:
    late_file(copied)
    copied.muster("load")
    told = copied.muster("status")
    assert "can no longer be approved: `muster close 2026-01`" in told
    before = copied.ledger()
    refused = copied.muster("release", "2026-01", "alpenland", "--by", "R. Roe", expect=1)
    assert "R. Roe's approval is void" in refused
    assert "Traceback" not in refused
    assert copied.ledger() == before


def test_an_approval_is_configuration_that_is_described_and_checked(copied: House) -> None:
    """A good one issues, and a bad one fails the run in words."""
    settings = Settings(copied.home, copied.landing, copied.seeds)
    with environment_of(settings):
        definitions = build_defs(settings, for_command=True)
        job = definitions.resolve_job_def("month_end")
    schema = definitions.resolve_assets_def(RELEASE).op.config_schema.config_type
    approvals = schema.fields["approvals"]
    each = approvals.config_type.inner_type.inner_type.fields
    assert set(each) == set(approval(copied, "alpenland", ""))
    assert all(field.description for field in (approvals, *each.values()))
    given = approval(copied, "alpenland", "R. Roe")
    of_step = {RELEASE_STEP: {"config": {"approvals": [given]}}}
    assert dg.validate_run_config(job, {"ops": of_step})
    short = {key: value for key, value in given.items() if key != "version_set_sha256"}
    of_step = {RELEASE_STEP: {"config": {"approvals": [short]}}}
    with pytest.raises(dg.DagsterInvalidConfigError, match="version_set_sha256"):
        dg.validate_run_config(job, {"ops": of_step})
    # A plain month-end needs no configuration.
    assert dg.validate_run_config(job, {})

    for wrong, words in (
        ({**given, "by": ""}, "needs the name of the person"),
        ({**given, "period": "2026-02"}, "is for 2026-02, but this run closes 2026-01"),
        ({**given, "distributor_id": "nobody"}, "there for alpenland EUR, sakura JPY"),
    ):
        failed = run_release(copied, [wrong], documents_too=True)
        assert not failed.success
        (failure,) = [event for event in failed.all_events if event.is_step_failure]
        description = failure.step_failure_data.user_failure_data.description
        assert words in description
        assert documents(copied) == {}
    assert run_release(copied, [given], documents_too=True).success
    assert list(documents(copied)) == ["alpenland/000001.json"]


def test_a_run_shows_the_commands_that_release(copied: House) -> None:
    result = run_release(copied, [], documents_too=False)
    (event,) = [one for one in result.all_events if one.is_step_materialization]
    shown = event.materialization.metadata["to approve"].value
    seen = records(copied)
    assert shown.splitlines()[1:-1] == [
        f"muster release 2026-01 {one} --currency {seen[one]['currency']} "
        f"--total {seen[one]['total_amount']} --by NAME"
        for one in DISTRIBUTORS
    ]


def test_who_waived_does_not_release(closed_house: House, tmp_path: Path) -> None:
    """Four eyes, on the planted distributor: A. Clerk decides its waivers, R. Roe releases."""
    house = House(tmp_path / "home", closed_house.landing, with_policy_approved(tmp_path))
    shutil.copytree(closed_house.home, house.home, symlinks=True)
    with duckdb.connect(house.home / "published/current.duckdb", read_only=True) as conn:
        ids = conn.execute(
            """
            select discrepancy_id from billing.draft_discrepancies
            where period = '2026-01' and distributor_id = ? and severity = 'blocking'
            """,
            [PLANTED],
        ).fetchall()
    assert ids
    with (house.seeds / "waivers.csv").open("a") as waivers:
        for (discrepancy_id,) in ids:
            waivers.write(f"{discrepancy_id},exclude,partner is being moved,A. Clerk,2026-02-01\n")
    before = house.exports()
    told = house.muster("close", "2026-01", expect=3)
    assert f"Waiting: 2026-01 {PLANTED}" in told
    refused = house.muster("release", "2026-01", PLANTED, "--by", " a. CLERK", expect=1)
    assert "Four eyes: somebody else has to release it" in refused
    assert house.exports() == before
    house.muster("release", "2026-01", PLANTED, "--by", "R. Roe")
    document = documents(house)[f"{PLANTED}/000001.json"]
    assert document["provenance"]["released_by"] == "R. Roe"
    assert {one["decided_by"] for one in document["provenance"]["waivers"]} == {"A. Clerk"}
    # The documents issued under the other policy are as they were.
    after = house.exports()
    # The vendor's own postings of the month are of one document more.
    before["2026-01/_vendor/ledger_journal.csv"] = after["2026-01/_vendor/ledger_journal.csv"]
    assert {name: digest for name, digest in after.items() if name in before} == before
