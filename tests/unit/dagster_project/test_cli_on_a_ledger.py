"""dispute, release, validate, verify, as far as a ledger alone decides: no run, nothing built."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from billing_marts import POLICIES, VERSION_SET, Warehouse, fill_january
from click.testing import CliRunner, Result

from dagster_project import cli
from dagster_project.lib import lock
from ingest.archive import Archive
from ingest.journal import Entry, Journal, Kind
from invoicing import documents, gate
from invoicing.approval import Approval
from invoicing.canonical import sha256
from invoicing.exports import render_period
from invoicing.ledger import Ledger
from invoicing.notes import cancel

Run: TypeAlias = Callable[..., Result]
NOTE = ("--note", "two users left", "--by", "A. Clerk", "--on", "2026-02-03")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        home, landing = str(tmp_path / "home"), str(tmp_path / "landing")
        return CliRunner().invoke(cli.main, ["--home", home, "--landing", landing, *arguments])

    return invoke


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Under policy approved: Alpenland issued by R. Roe, Cascadia held, Sakura waiting."""
    warehouse, ledger = Warehouse(), Ledger(tmp_path / "home" / "ledger")
    fill_january(warehouse)
    policies = json.dumps({**POLICIES, "release": "approved"})
    warehouse.conn.execute("update billing.draft_invoices set policies = ?", [policies])
    warehouse.discrepancy("d1", "cascadia")
    alpenland = Approval("2026-01", "alpenland", "EUR", "R. Roe", "47.35", VERSION_SET)
    gate.decide(warehouse.conn, ledger, "2026-01", [], [alpenland])
    documents.issue(warehouse.conn, ledger, "2026-01")
    return ledger


def tree(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dispute_is_shown_until_it_is_settled(run: Run, ledger: Ledger) -> None:
    assert run("dispute").output == "No dispute is open.\n"
    opened = run("dispute", "ALPENLAND-000001", "1", *NOTE)
    assert opened.exit_code == 0
    # Alpha IT's Endpoint Standard, 1.01 EUR: see billing_marts.
    assert opened.output.startswith("Opened: line 1 of ALPENLAND-000001, Alpha IT, Endpoint")
    assert "1.01 EUR" in opened.output
    (listed,) = json.loads(run("dispute", "--json").output)
    assert (listed["number"], listed["line_number"]) == ("ALPENLAND-000001", 1)
    assert (listed["amount"], listed["since"], listed["state"]) == ("1.01", "2026-02-03", "open")
    assert [note["text"] for note in listed["notes"]] == ["two users left"]
    for shown in (run("dispute"), run("status"), run("explain", "ALPENLAND-000001", "1")):
        assert shown.exit_code == 0, shown.output
        assert "2026-02-03 A. Clerk: two users left" in shown.output
    assert json.loads(run("status", "--json").output)["disputes"] == [listed]

    settled = run(
        "dispute", "ALPENLAND-000001", "1", "--settle", "--note", "credited", "--by", "B. Bee"
    )
    assert settled.output.startswith("Settled: line 1")
    assert run("dispute").output == "No dispute is open.\n"
    for hidden in (run("status"), run("explain", "ALPENLAND-000001", "1")):
        assert "two users left" not in hidden.output
    for line in ("two users left", "B. Bee: credited", "settled"):
        assert line in run("dispute", "--all").output


def test_the_day_of_a_note_is_today_unless_it_is_given(run: Run, ledger: Ledger) -> None:
    before = datetime.now(UTC).date()
    run("dispute", "ALPENLAND-000001", "1", "--note", "two users left", "--by", "A. Clerk")
    (listed,) = json.loads(run("dispute", "--json").output)
    assert listed["since"] in (str(before), str(datetime.now(UTC).date()))


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["NOBODY-000001", "1", *NOTE], 1, "Issued are: ALPENLAND-000001."),
        (["ALPENLAND-000001", "9", *NOTE], 1, "it has lines 1 to 3"),
        (["ALPENLAND-000001", "1", *NOTE, "--settle"], 1, "no open dispute"),
        (["ALPENLAND-000001", "1", "--note", " ", "--by", "A. Clerk"], 1, "the note is empty"),
        (["ALPENLAND-000001", "1", "--note", "x"], 2, "--note TEXT --by NAME"),
        (["ALPENLAND-000001", "0", *NOTE], 2, "x>=1"),
        (["ALPENLAND-000001", "1", *NOTE, "--on", "3.2.2026"], 2, "does not match the format"),
        (["ALPENLAND-000001"], 2, "Give NUMBER LINE"),
        (["--settle"], 2, "A note needs its line"),
    ],
)
def test_a_note_that_is_refused_leaves_no_trace(
    run: Run, ledger: Ledger, arguments: list[str], code: int, reason: str
) -> None:
    before = tree(ledger.root)
    result = run("dispute", *arguments)
    assert (result.exit_code, "Traceback" in result.output) == (code, False)
    assert reason in result.output
    assert tree(ledger.root) == before


def test_a_note_of_a_command_that_is_run_again_is_there_once(run: Run, ledger: Ledger) -> None:
    run("dispute", "ALPENLAND-000001", "1", *NOTE)
    before = tree(ledger.root)
    again = run("dispute", "ALPENLAND-000001", "1", *NOTE)
    assert again.exit_code == 0
    assert again.output.startswith("Opened already, on 2026-02-03: line 1 of ALPENLAND-000001")
    assert tree(ledger.root) == before


def test_a_mistyped_home_is_not_made(run: Run, tmp_path: Path) -> None:
    assert run("dispute", "ALPENLAND-000001", "1", *NOTE).exit_code == 1
    assert run("dispute").exit_code == 0
    assert run("release", "2026-01", "alpenland", "--by", "R. Roe").exit_code == 1
    assert not (tmp_path / "home").exists()


def test_status_shows_what_waits_and_the_command_that_releases_it(
    run: Run, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The journal here is empty, so its version set is not the one of the hand-made records.
    stale = run("status")
    assert "2026-01  sakura       waiting" in stale.output
    assert "can no longer be approved: `muster close 2026-01`" in stale.output
    assert "muster release" not in stale.output
    assert "waits for approval of sakura, but data changed" in stale.output
    monkeypatch.setattr("dagster_project.lib.status._version_set", lambda _: VERSION_SET)
    told = run("status")
    assert "  muster release 2026-01 sakura --currency JPY --total 0 --by NAME" in told.output
    assert "2026-01 waits for approval of sakura: a second person looks at" in told.output
    states = {
        one["distributor_id"]: one["state"]
        for one in json.loads(run("status", "--json").output)["periods"]
    }
    assert states == {"alpenland": "issued", "cascadia": "held", "sakura": "waiting"}


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["cascadia", "--by", "R. Roe"], 1, "held for other reasons"),
        (["cascadia", "--by", "R. Roe"], 1, "unapproved_transfer: 1 open"),
        (["sakura", "--by", " "], 1, "needs the name of the person"),
        (["sakura", "--by", "automatic"], 1, "not the name of a person"),
        (["sakura", "--by", "R. Roe", "--currency", "EUR"], 1, "give --currency JPY"),
        (["nobody", "--by", "R. Roe"], 1, "closed for alpenland, cascadia, sakura"),
        (["sakura"], 2, "Missing option '--by'"),
    ],
)
def test_what_needs_no_run_is_said_without_one(
    run: Run, ledger: Ledger, arguments: list[str], code: int, reason: str
) -> None:
    before = tree(ledger.root.parent)
    result = run("release", "2026-01", *arguments)
    assert result.exit_code == code, result.output
    assert reason in result.output
    assert tree(ledger.root.parent) == before


def test_under_policy_automatic_release_explains_itself(run: Run, tmp_path: Path) -> None:
    warehouse, ledger = Warehouse(), Ledger(tmp_path / "home" / "ledger")
    fill_january(warehouse)
    gate.decide(warehouse.conn, ledger, "2026-01", [])
    before = tree(tmp_path)
    result = run("release", "2026-01", "alpenland", "--by", "R. Roe")
    assert result.exit_code == 1
    assert "under policy release = automatic, so `muster close 2026-01` issues" in result.output
    assert tree(tmp_path) == before


def test_drafts_in_two_currencies_need_to_be_told_apart(run: Run, ledger: Ledger) -> None:
    (waiting,) = [one for one in gate.records(ledger) if one.distributor_id == "sakura"]
    gate._record(ledger, replace(waiting, currency="USD"))
    result = run("release", "2026-01", "sakura", "--by", "R. Roe")
    assert result.exit_code == 1
    assert "has drafts in JPY and USD: add --currency" in result.output


def test_verify_tells_each_check_and_the_head(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    render_period(ledger, "2026-01", tmp_path / "home/exports")
    before = tree(tmp_path)
    good = run("verify")
    assert good.exit_code == 0, good.output
    # Alpenland alone is issued; Cascadia is held and Sakura waits.
    told = good.output.splitlines()
    assert told[:2] == [
        "good    heads: 1 lines, each chained to the one before",
        "good    documents: 1 of 1 distributors, 1 as the heads have them",
    ]
    assert "good    releases: 3 records, 1 of them of invoices" in good.output
    head = json.loads(run("verify", "--json").output)["head"]
    assert f"Head {head}" in told
    assert run("verify", "--head", head).exit_code == 0
    assert tree(tmp_path) == before

    path = ledger.document_path("alpenland", 1)
    path.write_bytes(path.read_bytes().replace(b"47.35", b"47.36"))
    bad = run("verify")
    assert (bad.exit_code, "Traceback" in bad.output) == (1, False)
    assert "BROKEN  documents: alpenland/000001.json: has sha256" in bad.output
    assert f"Restore {ledger.root} from its backup." in bad.output
    assert "exports: not looked at, it rests on what is broken" in bad.output
    assert "Head" not in bad.output
    found = json.loads(run("verify", "--json").output)
    assert found["is_good"] is False
    (broken,) = [check["broken"] for check in found["checks"] if check["broken"]]
    assert broken["file"] == "alpenland/000001.json"
    assert {"what", "action"} < set(broken)


def test_verify_says_that_somebody_is_writing(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    """A document whose export is not there yet is what a run under way looks like."""
    with lock.writer(tmp_path / "home/lock", "muster close"):
        told = run("verify")
    assert told.exit_code == 1
    assert "exports/2026-01/alpenland/invoice.json: is missing" in told.output
    assert "(muster close) is writing to this home: verify again when it is done." in told.output


def test_verify_makes_no_home(run: Run, tmp_path: Path) -> None:
    told = run("verify")
    assert told.exit_code == 1
    assert "does not exist, so there is nothing to verify" in told.output
    assert not (tmp_path / "home").exists()


def test_validate_tells_each_broken_rule(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    render_period(ledger, "2026-01", tmp_path / "home/exports")
    good = run("validate")
    assert good.exit_code == 0
    assert good.output.startswith("1 document, ")
    assert good.output.endswith(" rules and the UBL 2.1 schema: all valid.\n")
    path = tmp_path / "home/exports/2026-01/alpenland/invoice.ubl.xml"
    broken = tmp_path / "broken.ubl.xml"
    broken.write_text(path.read_text().replace(">0.335<", ">-0.335<"))
    found = run("validate", str(broken))
    assert found.exit_code == 1
    assert f"BROKEN  BR-27: {broken}: /Invoice[1]/InvoiceLine[1]" in found.output
    told = json.loads(run("validate", "--json", str(broken), str(path)).output)
    assert (told["is_valid"], told["documents"]) == (False, 2)
    assert {one["rule"] for one in told["findings"]} == {"BR-27"}
    gone = run("validate", str(tmp_path / "gone"))
    assert gone.exit_code == 1
    assert f"{tmp_path / 'gone'} is not there. Give another path" in gone.output


def test_a_damaged_ledger_or_journal_does_not_become_the_last_backup(
    run: Run, ledger: Ledger, tmp_path: Path
) -> None:
    journal = tmp_path / "home/journal"
    reference = Entry(kind=Kind.REFERENCE, file_name="a.csv", sha256=sha256(b"a"))
    Journal(journal).append(reference)
    whole, target = journal.read_bytes(), tmp_path / "backups"
    told = run("backup", "--to", str(target))
    assert told.exit_code == 1
    assert f"- a.csv: {tmp_path}/home/archive/{sha256(b'a')}" in told.output
    assert "is missing from the archive" in run("status").output
    Archive(tmp_path / "home/archive").add_bytes(b"a")
    assert run("backup", "--to", str(target)).exit_code == 0
    journal.write_bytes(whole.replace(b"reference", b"referenze"))
    told = run("backup", "--to", str(target))
    assert told.exit_code == 1
    assert "line 1 is damaged" in told.output
    journal.write_bytes(whole)
    document = tmp_path / "home/ledger/alpenland/000001.json"
    document.chmod(0o640)
    document.write_bytes(document.read_bytes().replace(b"47.35", b"47.36"))
    told = run("backup", "--to", str(target))
    assert told.exit_code == 1
    assert "from its backup" in told.output
    assert [path.name for path in (target / "backups").iterdir()] == ["000001.json"]


def test_every_archived_byte_and_journal_line_is_verified(
    run: Run, ledger: Ledger, tmp_path: Path
) -> None:
    home, archive = tmp_path / "home", Archive(tmp_path / "home/archive")

    def told() -> dict[str, tuple[bool, str]]:
        checks = json.loads(run("verify", "--json").output)["checks"]
        return {
            one["check"]: (one["is_good"], one["looked_at"] or str(one["broken"])) for one in checks
        }

    journal, slot = Journal(home / "journal"), {"feed": "usage", "source": "eu"}
    for content in (b"first", b"second"):
        sha = archive.add_bytes(content)
        entry = Entry(
            kind=Kind.ACCEPTED,
            file_name="usage/2026-01-15/eu.csv",
            sha256=sha,
            snapshot_date=date(2026, 1, 15),
            **slot,
        )
        journal.append(entry)
    assert told()["journal"] == (True, "2 entries")
    assert told()["archive"] == (True, "2 files, every byte")
    # What a later version replaced may be erased (a person asks to be forgotten); it is told.
    archive.path(sha256(b"first")).unlink()
    assert told()["archive"] == (True, "1 files, every byte; 1 replaced ones are gone")
    path = archive.path(sha256(b"second"))
    path.unlink()
    assert "usage/2026-01-15/eu.csv" in told()["archive"][1]
    assert "is missing" in told()["archive"][1]
    path.write_bytes(b"secund")
    assert "its SHA-256 is now" in told()["archive"][1]
    path.write_bytes(b"second")
    (home / "archive/notes.txt").write_bytes(b"mine")
    assert "is no archived file" in told()["archive"][1]
    (home / "archive/notes.txt").unlink()
    lines = journal.path.read_bytes()
    journal.path.write_bytes(lines.replace(b"accepted", b"rejected", 1))
    assert "line 1 is damaged" in told()["journal"][1]
    assert told()["archive"][0] is None


@pytest.mark.parametrize("taken", ["alpenland/000002.json", "heads.jsonl"])
def test_what_is_taken_from_the_ledgers_end_is_told_by_status_and_refused_by_the_rest(
    run: Run, ledger: Ledger, tmp_path: Path, taken: str
) -> None:
    """The last document, or the lines of heads but the first; both leave a chain that is right."""
    note = cancel(ledger, "ALPENLAND-000001", reason="wrong", by="A. Clerk", on=date(2026, 3, 5))
    assert note.sequence == 2
    run("dispute", "ALPENLAND-000001", "1", *NOTE)
    heads = ledger.root / "heads.jsonl"
    if taken == "heads.jsonl":
        heads.write_bytes(b"")
    else:
        (ledger.root / taken).unlink()
    Journal(tmp_path / "home/journal").append(
        Entry(kind=Kind.REFERENCE, file_name="a.csv", sha256=sha256(b"a"))
    )
    Archive(tmp_path / "home/archive").add_bytes(b"a")
    assert "The ledger is damaged" in run("status").output
    for command in (
        ("load",),
        ("close", "2026-01"),
        ("backup", "--to", str(tmp_path / "backups")),
        ("cancel", "ALPENLAND-000001", "--reason", "x", "--by", "A. Clerk"),
    ):
        refused = run(*command)
        assert (refused.exit_code, "The ledger is damaged" in refused.output) == (1, True), command
