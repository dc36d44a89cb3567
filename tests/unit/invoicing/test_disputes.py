"""Disputes: notes that survive a crash, sit on lines that exist, and change no document."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest
from billing_marts import Warehouse, add_period

from invoicing import disputes
from invoicing.disputes import Dispute, DisputeError
from invoicing.explain import explain
from invoicing.exports import render
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]
FEB_3, FEB_9 = date(2026, 2, 3), date(2026, 2, 9)


@pytest.fixture
def issued(ledger: Ledger, january: Warehouse, close: Close) -> Ledger:
    """January: Alpenland with lines 1 to 3, Cascadia with one, Sakura nil."""
    close(january, ledger, "2026-01")
    return ledger


def note(ledger: Ledger, text: str, line: int = 1, **given: object) -> Dispute:
    values = {"text": text, "by": "A. Clerk", "on": FEB_3, **given}
    made, is_new = disputes.record(ledger, "ALPENLAND-000001", line, **values)  # type: ignore[arg-type]
    assert is_new
    return made


def test_a_note_made_again_is_one_note(issued: Ledger) -> None:
    """A command that was killed is run again, after midnight too; and so is one that settles."""
    note(issued, "two users left")
    for settle, text in ((False, "two users left"), (True, "credited")):
        if settle:
            note(issued, text, settle=True)
        before, heads = path(issued).read_bytes(), issued.heads().sha256
        again, is_new = disputes.record(
            issued, "ALPENLAND-000001", 1, text=text, by="A. Clerk", on=FEB_9, settle=settle
        )
        assert (is_new, again.notes[-1].on) == (False, "2026-02-03")
        assert (path(issued).read_bytes(), issued.heads().sha256) == (before, heads)
    # Somebody else's words, or the same ones once others were said, are a note of their own.
    note(issued, "two users left")
    note(issued, "two users left", by="B. Bee")
    note(issued, "two users left")
    assert [len(one.notes) for one in disputes.every(issued)] == [2, 3]


def test_a_note_without_its_line_of_the_heads_gets_it_when_it_is_made_again(issued: Ledger) -> None:
    """As a kill between the two leaves it."""
    note(issued, "two users left")
    heads = issued.root / "heads.jsonl"
    whole = heads.read_bytes()
    heads.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    ledger = Ledger(issued.root)
    _, is_new = disputes.record(
        ledger, "ALPENLAND-000001", 1, text="two users left", by="A. Clerk", on=FEB_3
    )
    assert not is_new
    assert heads.read_bytes() == whole


def path(ledger: Ledger) -> Path:
    return ledger.root / "disputes.jsonl"


def told(found: list[Dispute]) -> list[tuple[int, str, list[str]]]:
    return [(one.line_number, one.state, [n.text for n in one.notes]) for one in found]


def test_a_dispute_is_opened_noted_settled_and_opened_again(issued: Ledger) -> None:
    note(issued, "two users left")
    note(issued, "too dear", line=2, by="B. Bee")
    note(issued, "asked the partner", on=FEB_9)
    assert told(disputes.every(issued)) == [
        (1, "open", ["two users left", "asked the partner"]),
        (2, "open", ["too dear"]),
    ]
    first = disputes.every(issued)[0]
    # Line 1 of the fixture: Alpha IT, Endpoint Standard, 3 x 0.335 rounded to 1.01.
    assert (first.partner_name, first.product_name) == ("Alpha IT", "Endpoint Standard")
    assert (first.amount, first.currency, first.period) == ("1.01", "EUR", "2026-01")
    assert first.since == "2026-02-03"
    settled = note(issued, "they were right", settle=True, on=FEB_9)
    assert (settled.state, len(settled.notes)) == ("settled", 3)
    note(issued, "not credited yet")
    assert told(disputes.every(issued)) == [
        (1, "settled", ["two users left", "asked the partner", "they were right"]),
        (2, "open", ["too dear"]),
        (1, "open", ["not credited yet"]),
    ]
    lines = [json.loads(line) for line in path(issued).read_text().splitlines()]
    assert [line["sequence"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["dispute_id"] for line in lines] == [1, 2, 1, 1, 5]
    assert lines[1] == {
        "sequence": 2,
        "dispute_id": 2,
        "number": "ALPENLAND-000001",
        "line_number": 2,
        "kind": "opened",
        "text": "too dear",
        "by": "B. Bee",
        "on": "2026-02-03",
    }


@pytest.mark.parametrize(
    ("number", "line", "given", "message"),
    [
        ("ALPENLAND-000009", 1, {}, "Issued are: ALPENLAND-000001 to ALPENLAND-000002, CASCADIA-"),
        ("ALPENLAND-000001", 4, {}, "ALPENLAND-000001 has no line 4: it has lines 1 to 3"),
        ("ALPENLAND-000001", 1, {"text": " \n"}, "the note is empty"),
        ("ALPENLAND-000001", 1, {"by": ""}, "the name is empty"),
        ("ALPENLAND-000001", 1, {"text": "\x1b[2J"}, "cannot be printed"),
        ("ALPENLAND-000001", 1, {"text": "\udcff"}, "cannot be printed"),
        ("ALPENLAND-000001", 2, {"settle": True}, "Line 2 of ALPENLAND-000001 has no open dispute"),
        ("CASCADIA-000001", 1, {"settle": True}, "has no open dispute"),
    ],
)
def test_what_cannot_be_noted_is_refused_and_leaves_the_file_alone(
    issued: Ledger,
    january: Warehouse,
    close: Close,
    number: str,
    line: int,
    given: dict[str, object],
    message: str,
) -> None:
    add_period(january, "2026-02")
    close(january, issued, "2026-02")
    note(issued, "two users left")
    before = path(issued).read_bytes()
    values = {"text": "x", "by": "A. Clerk", "on": FEB_3, **given}
    with pytest.raises(DisputeError, match=message):
        disputes.record(issued, number, line, **values)  # type: ignore[arg-type]
    assert path(issued).read_bytes() == before


def test_nothing_is_settled_twice(issued: Ledger) -> None:
    note(issued, "two users left")
    note(issued, "credited", settle=True)
    with pytest.raises(DisputeError, match="nothing to settle"):
        note(issued, "credited again", settle=True)


def test_a_torn_last_line_is_left_out_and_cut_off(issued: Ledger) -> None:
    note(issued, "two users left")
    whole, heads = path(issued).read_bytes(), path(issued).with_name("heads.jsonl")
    anchored = heads.read_bytes()
    note(issued, "asked the partner")
    for kept in range(len(whole), path(issued).stat().st_size):
        torn = path(issued).read_bytes()[:kept]
        path(issued).write_bytes(torn)
        heads.write_bytes(anchored)  # its line is only written once the note is whole
        assert told(disputes.every(issued)) == [(1, "open", ["two users left"])]
        note(issued, "asked the partner")
        assert len(disputes.every(issued)[0].notes) == 2
    assert path(issued).read_bytes().count(b"\n") == 2


def test_a_full_disk_leaves_no_half_note(issued: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    note(issued, "two users left")
    before = path(issued).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match=r"No space left on device \(1\d\d bytes needed\)"):
            note(issued, "asked the partner")
    assert path(issued).read_bytes() == before


def edited(line: bytes, **values: object) -> bytes:
    made = {**json.loads(line), **values}
    return json.dumps(made, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [lines[0], b"", lines[2]],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[0], lines[1][:-4], lines[2]],
        lambda lines: [lines[0], b"[]", lines[2]],
        lambda lines: [lines[0], lines[1].replace(b"asked", b"\xff"), lines[2]],
        lambda lines: [lines[0], edited(lines[1], on="2026-02-31"), lines[2]],
        lambda lines: [lines[0], edited(lines[1], on=20260203), lines[2]],
        lambda lines: [lines[0], edited(lines[1], more="x"), lines[2]],
        lambda lines: [lines[0], edited(lines[1], kind="opened"), lines[2]],
        lambda lines: [lines[0], edited(lines[1], kind="closed"), lines[2]],
        lambda lines: [lines[0], edited(lines[1], dispute_id=2), lines[2]],
        lambda lines: [lines[0], edited(lines[1], line_number=2), lines[2]],
    ],
)
def test_an_earlier_damaged_line_is_named(
    issued: Ledger, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    note(issued, "two users left")
    note(issued, "asked the partner")
    note(issued, "credited", settle=True)
    lines = path(issued).read_bytes().split(b"\n")[:-1]
    path(issued).write_bytes(b"".join(line + b"\n" for line in damage(lines)))
    before = path(issued).read_bytes()
    with pytest.raises(DisputeError, match=r"disputes.jsonl, line 2 is damaged .*its backup"):
        disputes.every(issued)
    with pytest.raises(DisputeError, match="line 2 is damaged"):
        note(issued, "again")
    assert path(issued).read_bytes() == before


def test_a_dispute_of_a_missing_document_says_the_ledger_is_not_whole(
    issued: Ledger, january: Warehouse, close: Close
) -> None:
    """Documents missing at the end of a chain leave no trace in it, but here."""
    add_period(january, "2026-02")
    close(january, issued, "2026-02")
    disputes.record(issued, "ALPENLAND-000002", 1, text="x", by="A. Clerk", on=FEB_3)
    issued.document_path("alpenland", 2).unlink()
    with pytest.raises(DisputeError, match="line 1 of ALPENLAND-000002, which the ledger does not"):
        disputes.every(Ledger(issued.root))


def test_no_document_and_no_export_changes(
    issued: Ledger, january: Warehouse, close: Close, tmp_path: Path
) -> None:
    own = (disputes.FILE, "heads.jsonl")

    def tree(folder: Path) -> dict[Path, bytes]:
        files = (one for one in folder.rglob("*") if one.is_file() and one.name not in own)
        return {one: one.read_bytes() for one in files}

    exports = tmp_path / "exports"
    for document in issued.documents():
        render(issued, document, exports)
    before = tree(tmp_path)
    note(issued, "two users left")
    for document in issued.documents():
        render(issued, document, exports)
    assert tree(tmp_path) == before
    assert issued.verify() is None
    assert issued.distributors() == ["alpenland", "cascadia", "sakura"]
    # The next document of the chain does not know either.
    add_period(january, "2026-02")
    (february, *_) = close(january, issued, "2026-02")
    assert "two users left" not in february.to_bytes().decode()


def test_explain_shows_it_until_it_is_settled(issued: Ledger) -> None:
    note(issued, "two users left")
    found = explain(issued, None, "ALPENLAND-000001 1")
    assert found.dispute is not None
    assert [one.text for one in found.dispute.notes] == ["two users left"]
    json.dumps(asdict(found))  # plain data
    for other in ("ALPENLAND-000001 2", "CASCADIA-000001 1"):
        assert explain(issued, None, other).dispute is None
    note(issued, "credited", settle=True)
    assert explain(issued, None, "ALPENLAND-000001 1").dispute is None


def test_the_warehouse_holds_a_row_a_note(issued: Ledger, january: Warehouse) -> None:
    issued.load_into(january.conn)
    query = "select * from ledger.disputes order by note_number"
    assert january.conn.execute(query).fetchall() == []
    note(issued, "two users left")
    note(issued, 'it\'s "settled"', settle=True, by="B. Bee", on=FEB_9)
    issued.load_into(january.conn)
    line = ("ALPENLAND-000001", 1)
    assert january.conn.execute(query).fetchall() == [
        (1, 1, *line, "opened", "two users left", "A. Clerk", FEB_3),
        (2, 1, *line, "settled", 'it\'s "settled"', "B. Bee", FEB_9),
    ]
