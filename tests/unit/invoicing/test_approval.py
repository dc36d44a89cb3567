"""Policy release = approved: a second person releases what was seen, and nothing else (R22)."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal

import pytest
from billing_marts import POLICIES, VERSION_SET, Warehouse, add_period

from invoicing import documents, gate
from invoicing.approval import Approval, ApprovalError, same_person
from invoicing.checks import CheckResult
from invoicing.ledger import Ledger

# Alpenland's January is 47.35 EUR: see billing_marts.
ALPENLAND = Approval("2026-01", "alpenland", "EUR", "R. Roe", "47.35", VERSION_SET)


@pytest.fixture
def approved(january: Warehouse) -> Warehouse:
    policies = json.dumps({**POLICIES, "release": "approved"})
    january.conn.execute("update billing.draft_invoices set policies = ?", [policies])
    return january


def states(releases: list[gate.Release]) -> dict[str, str]:
    return {release.distributor_id: release.state for release in releases}


def tree(ledger: Ledger) -> dict[str, bytes]:
    return {
        str(path.relative_to(ledger.root)): path.read_bytes()
        for path in ledger.root.rglob("*")
        if path.is_file()
    }


def arrives(warehouse: Warehouse, total: str) -> None:
    """A late file: another version set, and Alpenland's draft recomputed from it."""
    warehouse.set_version("b" * 64)
    warehouse.conn.execute("update billing.draft_invoices set version_set_sha256 = repeat('b', 64)")
    warehouse.conn.execute(
        "update billing.draft_invoices set total_amount = ? where distributor_id = 'alpenland'",
        [Decimal(total)],
    )


def test_clean_drafts_wait_and_nothing_is_issued(ledger: Ledger, approved: Warehouse) -> None:
    releases = gate.decide(approved.conn, ledger, "2026-01", [])
    assert set(states(releases).values()) == {"waiting"}
    assert releases[0].reasons == (
        "Waits for approval: policy release is `approved`, so a second, named person has to "
        "release these 47.35 EUR.",
    )
    assert releases[0].released_by is None
    assert documents.issue(approved.conn, ledger, "2026-01") == []
    assert gate.records(ledger) == releases


def test_an_approval_releases_its_own_draft_and_names_the_person(
    ledger: Ledger, approved: Warehouse
) -> None:
    gate.decide(approved.conn, ledger, "2026-01", [])
    given = dataclasses.replace(ALPENLAND, by="  R. Roe ")
    releases = gate.decide(approved.conn, ledger, "2026-01", [], [given])
    assert states(releases) == {"alpenland": "released", "cascadia": "waiting", "sakura": "waiting"}
    (document,) = documents.issue(approved.conn, ledger, "2026-01")
    assert document.number == "ALPENLAND-000001"
    assert document.provenance["released_by"] == "R. Roe"
    # The distributor does not read who it was.
    assert "R. Roe" not in json.dumps(document.content)


def test_an_approval_outlives_a_run_that_ended_before_its_document(
    ledger: Ledger, approved: Warehouse
) -> None:
    gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND])
    before = tree(ledger)
    # The run was killed here. Closing again, or another's approval, keeps what was decided.
    gate.decide(approved.conn, ledger, "2026-01", [])
    assert tree(ledger) == before
    gate.decide(approved.conn, ledger, "2026-01", [], [dataclasses.replace(ALPENLAND, by="B. Bee")])
    assert tree(ledger) == before
    (document,) = documents.issue(approved.conn, ledger, "2026-01")
    assert document.provenance["released_by"] == "R. Roe"


@pytest.mark.parametrize("total", ["52.00", "47.35"])
def test_a_recorded_approval_is_void_once_data_changed(
    ledger: Ledger, approved: Warehouse, total: str
) -> None:
    """Also when the total came out the same: other files are not what was seen."""
    gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND])
    arrives(approved, total)
    release = gate.decide(approved.conn, ledger, "2026-01", [])[0]
    assert (release.state, release.released_by) == ("waiting", None)
    void, waits = release.reasons
    assert void == (
        "R. Roe's approval is void: it was given for 47.35 EUR of version set aaaaaaaaaaaa. Files "
        f"or reference data changed since: the draft is now {total} EUR of version set "
        "bbbbbbbbbbbb."
    )
    assert f"release these {total} EUR" in waits
    assert documents.issue(approved.conn, ledger, "2026-01") == []
    # What was seen anew can be released.
    seen = dataclasses.replace(
        ALPENLAND, total_amount=release.total_amount, version_set_sha256="b" * 64
    )
    assert gate.decide(approved.conn, ledger, "2026-01", [], [seen])[0].state == "released"


def test_an_approval_of_what_is_no_longer_there_changes_nothing(
    ledger: Ledger, approved: Warehouse
) -> None:
    gate.decide(approved.conn, ledger, "2026-01", [])
    arrives(approved, "52.00")
    before = tree(ledger)
    with pytest.raises(ApprovalError, match=r"changed since: the draft is now 52\.00 EUR"):
        gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND])
    # The right version set, the total of another one.
    of_now = dataclasses.replace(ALPENLAND, version_set_sha256="b" * 64)
    with pytest.raises(ApprovalError, match=r"given for 47.35 EUR, but the draft is 52.00 EUR\."):
        gate.decide(approved.conn, ledger, "2026-01", [], [of_now])
    nonsense = dataclasses.replace(of_now, total_amount="a lot")
    with pytest.raises(ApprovalError, match="given for a lot EUR, but"):
        gate.decide(approved.conn, ledger, "2026-01", [], [nonsense])
    assert tree(ledger) == before
    written_otherwise = dataclasses.replace(of_now, total_amount="52")
    releases = gate.decide(approved.conn, ledger, "2026-01", [], [written_otherwise])
    assert releases[0].state == "released"


@pytest.mark.parametrize("name", ["A. Clerk", " a.  CLERK", "\uff21. Clerk"])
def test_who_decided_a_waiver_of_the_draft_cannot_release_it(
    ledger: Ledger, approved: Warehouse, name: str
) -> None:
    waived = {"state": "waived", "decision": "bill"}
    approved.discrepancy("d1", "alpenland", **waived, decided_by="A. Clerk")
    approved.discrepancy("d2", "cascadia", **waived, decided_by="B. Bee")
    gate.decide(approved.conn, ledger, "2026-01", [])
    before = tree(ledger)
    with pytest.raises(ApprovalError, match=r"decided on d1 in seeds/waivers\.csv.*Four eyes"):
        gate.decide(approved.conn, ledger, "2026-01", [], [dataclasses.replace(ALPENLAND, by=name)])
    assert tree(ledger) == before
    # A waiver of somebody else's draft is no reason against, nor is a name that is only alike.
    for other in ("B. Bee", "A. Clerke"):
        given = dataclasses.replace(ALPENLAND, by=other)
        assert gate.decide(approved.conn, ledger, "2026-01", [], [given])[0].state == "released"


def test_a_waiver_of_nobodys_discrepancy_is_part_of_every_draft(
    ledger: Ledger, approved: Warehouse
) -> None:
    approved.discrepancy("d1", None, state="waived", decision="bill", decided_by="R. Roe")
    with pytest.raises(ApprovalError, match="Four eyes"):
        gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND])


def test_two_eyes_are_not_four_in_a_record_either(ledger: Ledger, approved: Warehouse) -> None:
    """A record edited by hand, or of an older version, does not go round the rule."""
    gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND])
    approved.discrepancy("d1", "alpenland", state="waived", decided_by="R. Roe")
    release = gate.decide(approved.conn, ledger, "2026-01", [])[0]
    assert release.state == "waiting"
    assert "Four eyes" in release.reasons[0]


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31mb", "Automatic"])
def test_an_approval_has_the_name_of_a_person(
    ledger: Ledger, approved: Warehouse, name: str
) -> None:
    with pytest.raises(ApprovalError, match="name of"):
        gate.decide(approved.conn, ledger, "2026-01", [], [dataclasses.replace(ALPENLAND, by=name)])
    assert gate.records(ledger) == []


def test_an_approval_settles_no_other_hold(ledger: Ledger, approved: Warehouse) -> None:
    approved.discrepancy("d1", "alpenland", amount_at_stake=Decimal("30.5"), currency="EUR")
    release = gate.decide(approved.conn, ledger, "2026-01", [])[0]
    # 30.50 at stake. It does not wait yet: what will be approved is not known.
    assert (release.state, len(release.reasons)) == ("held", 1)
    before = tree(ledger)
    with pytest.raises(ApprovalError, match=r"1 open, 30.50 EUR at stake"):
        gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND])
    failed = [CheckResult("line_quantity", False, "blocking", ("alpenland",), "Too many.")]
    with pytest.raises(ApprovalError, match=r"at stake(.|\n)*Check line_quantity failed: Too many"):
        gate.decide(approved.conn, ledger, "2026-01", failed, [ALPENLAND])
    assert tree(ledger) == before


def test_a_recorded_approval_does_not_survive_a_hold_that_came_later(
    ledger: Ledger, approved: Warehouse
) -> None:
    gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND])
    failed = [CheckResult("line_quantity", False, "blocking", ("alpenland",), "Too many.")]
    release = gate.decide(approved.conn, ledger, "2026-01", failed)[0]
    assert (release.state, release.released_by) == ("held", None)
    assert release.reasons == ("Check line_quantity failed: Too many.",)
    assert gate.decide(approved.conn, ledger, "2026-01", [])[0].state == "waiting"


def test_one_refused_approval_stops_the_others_of_its_run(
    ledger: Ledger, approved: Warehouse
) -> None:
    cascadia = Approval("2026-01", "cascadia", "USD", "R. Roe", "4.62", VERSION_SET)
    wrong = dataclasses.replace(cascadia, total_amount="4.63")
    with pytest.raises(ApprovalError, match="2026-01 cascadia USD was not released") as refused:
        gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND, wrong])
    assert "alpenland" not in str(refused.value)
    assert gate.records(ledger) == []
    both = gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND, cascadia])
    assert states(both) == {"alpenland": "released", "cascadia": "released", "sakura": "waiting"}


def test_an_approval_must_name_a_draft_once(ledger: Ledger, approved: Warehouse) -> None:
    unknown = dataclasses.replace(ALPENLAND, distributor_id="alpenlnd")
    with pytest.raises(ApprovalError, match="there for alpenland EUR, cascadia USD, sakura JPY"):
        gate.decide(approved.conn, ledger, "2026-01", [], [unknown])
    with pytest.raises(ApprovalError, match="Two approvals name 2026-01 alpenland EUR"):
        gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND, ALPENLAND])
    assert gate.records(ledger) == []


def test_policy_automatic_needs_no_approval_and_takes_none(
    ledger: Ledger, january: Warehouse
) -> None:
    with pytest.raises(ApprovalError, match="Policy release is `automatic`"):
        gate.decide(january.conn, ledger, "2026-01", [], [ALPENLAND])
    assert gate.records(ledger) == []
    # A release by itself is no person's: under the other policy somebody has to look.
    gate.decide(january.conn, ledger, "2026-01", [])
    policies = json.dumps({**POLICIES, "release": "approved"})
    january.conn.execute("update billing.draft_invoices set policies = ?", [policies])
    assert gate.decide(january.conn, ledger, "2026-01", [])[0].state == "waiting"


def test_an_issued_period_takes_no_approval(ledger: Ledger, approved: Warehouse) -> None:
    gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND])
    documents.issue(approved.conn, ledger, "2026-01")
    before = tree(ledger)
    arrives(approved, "52.00")
    releases = gate.decide(
        approved.conn, ledger, "2026-01", [], [dataclasses.replace(ALPENLAND, by="B. Bee")]
    )
    assert (releases[0].state, releases[0].released_by) == ("issued", "R. Roe")
    after = tree(ledger)
    alpenland = [name for name in before if "alpenland" in name]
    assert [after[name] for name in alpenland] == [before[name] for name in alpenland]


def test_months_are_approved_in_order(ledger: Ledger, approved: Warehouse) -> None:
    add_period(approved, "2026-02")
    policies = json.dumps({**POLICIES, "release": "approved"})
    approved.conn.execute("update billing.draft_invoices set policies = ?", [policies])
    february = Approval("2026-02", "alpenland", "EUR", "R. Roe", "0.34", VERSION_SET)
    with pytest.raises(ApprovalError, match="2026-01 must be issued first"):
        gate.decide(approved.conn, ledger, "2026-02", [], [february])
    gate.decide(approved.conn, ledger, "2026-01", [], [ALPENLAND])
    documents.issue(approved.conn, ledger, "2026-01")
    assert gate.decide(approved.conn, ledger, "2026-02", [], [february])[0].state == "released"


def test_names_are_compared_as_a_person_reads_them() -> None:
    assert same_person("Jos\u00e9 Stra\u00dfe", " JOSE\u0301  STRASSE ")
    assert not same_person("A. Clerk", "B. Clerk")
