"""The journal survives torn lines, and its state follows per slot."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.journal import Entry, Journal, JournalError, Kind, Slot, State, entries_of

DAY = date(2026, 1, 15)


def entry(kind: Kind, sha256: str, source: str = "eu", name: str = "") -> Entry:
    return Entry(
        kind=kind,
        file_name=name or f"usage/2026-01-15/{source}.csv",
        sha256=sha256,
        feed="usage",
        snapshot_date=DAY,
        source=source,
        clock_skew_minutes=10,
        reason="wrong_header" if kind is Kind.REJECTED else None,
        warnings=("crlf: lines end in CRLF",),
    )


def in_force(*entries: Entry) -> dict[str, str]:
    return {slot.source: one.sha256 for slot, one in State(entries).in_force.items()}


def test_entries_are_numbered_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "home" / "journal"
    first, second = Journal(path).append(
        entry(Kind.ACCEPTED, "a"),
        Entry(kind=Kind.REFERENCE, file_name="products.csv", sha256="Größe\n\u2028"),
    )
    (third,) = Journal(path).append(entry(Kind.RETRACTED, "a"))
    assert [first.sequence, second.sequence, third.sequence] == [1, 2, 3]
    assert Journal(path).entries() == [first, second, third]
    assert len(path.read_bytes().splitlines()) == 3
    assert first.slot == Slot("usage", DAY, "eu")
    assert second.slot is None


def test_a_torn_last_line_is_left_out_and_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path).append(entry(Kind.ACCEPTED, "a"), entry(Kind.ACCEPTED, "b"))
    whole = path.read_bytes()
    first_line = whole.index(b"\n") + 1
    for cut in range(first_line, len(whole)):
        path.write_bytes(whole[:cut])
        journal = Journal(path)
        assert [one.sha256 for one in journal.entries()] == ["a"]
        assert journal.append(entry(Kind.ACCEPTED, "c"))[0].sequence == 2
        assert [one.sha256 for one in Journal(path).entries()] == ["a", "c"]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path).append(entry(Kind.ACCEPTED, "a"), entry(Kind.ACCEPTED, "b"))
    path.write_bytes(path.read_bytes().replace(b'"accepted"', b'"excepted"', 1))
    with pytest.raises(JournalError, match=r"journal, line 1 is damaged.*from the same backup"):
        Journal(path).entries()


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_line_is_noticed(tmp_path: Path, lost: int) -> None:
    """Without it a file would silently be out of force, and every count with it."""
    journal = Journal(tmp_path / "journal")
    journal.append(*(entry(Kind.ACCEPTED, one * 64) for one in "abc"))
    lines = journal.path.read_bytes().splitlines(keepends=True)
    del lines[lost]
    journal.path.write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match=rf"line {lost + 1} is damaged .it was written after"):
        Journal(journal.path).entries()


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_a_line_that_says_something_else_is_noticed(tmp_path: Path, changed: int) -> None:
    """It reads well, and would put other bytes in force. The last line too."""
    journal = Journal(tmp_path / "journal")
    journal.append(*(entry(Kind.ACCEPTED, one * 64) for one in "abc"))
    lines = journal.path.read_bytes().splitlines(keepends=True)
    other = lines[changed].replace(b'"accepted"', b'"rejected"')
    journal.path.write_bytes(b"".join([*lines[:changed], other, *lines[changed + 1 :]]))
    with pytest.raises(JournalError, match=rf"line {changed + 1} is damaged .its sha256 is"):
        Journal(journal.path).entries()
    # With a hash that fits, the next line tells; after the last one there is none.
    body = re.sub(rb',"sha256":"[0-9a-f]{64}"\}\n$', b"}", other)
    own = hashlib.sha256(body).hexdigest().encode()
    forged = body[:-1] + b',"sha256":"' + own + b'"}\n'
    journal.path.write_bytes(b"".join([*lines[:changed], forged, *lines[changed + 1 :]]))
    if changed < 2:
        with pytest.raises(JournalError, match=rf"line {changed + 2} is damaged .it was written"):
            Journal(journal.path).entries()


def test_a_journal_from_before_lines_had_hashes_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    old = [replace(entry(Kind.ACCEPTED, one), sequence=n) for n, one in enumerate("ab", start=1)]
    path.write_text("".join(f"{one.to_line()}\n" for one in old))
    assert Journal(path).entries() == old
    (new,) = Journal(path).append(entry(Kind.ACCEPTED, "c"))
    assert Journal(path).entries() == [*old, new]
    whole = path.read_bytes()
    # From here on the old lines are vouched for too, and a line without a hash is none of ours.
    path.write_bytes(whole.replace(b'"sha256":"a"', b'"sha256":"x"', 1))
    with pytest.raises(JournalError, match="line 3 is damaged"):
        Journal(path).entries()
    path.write_bytes(whole + replace(old[1], sequence=4).to_line().encode() + b"\n")
    with pytest.raises(JournalError, match=r"line 4 is damaged .it has no hash"):
        Journal(path).entries()


def test_an_older_journal_does_not_go_on_from_a_later_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.head() is None
    journal.append(entry(Kind.ACCEPTED, "a"))
    older, first = journal.path.read_bytes(), journal.head()
    journal.append(entry(Kind.ACCEPTED, "b"))
    second = journal.head()
    assert first
    assert second
    assert (journal.goes_on_from(first), journal.goes_on_from(second)) == (True, True)
    journal.path.write_bytes(older)
    assert (journal.goes_on_from(first), journal.goes_on_from(second)) == (True, False)
    # Another line in its place is not that line.
    journal.append(entry(Kind.ACCEPTED, "c"))
    assert not journal.goes_on_from(second)


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append(entry(Kind.ACCEPTED, "a"))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            journal.append(entry(Kind.ACCEPTED, "b"))
    assert path.read_bytes() == before
    assert journal.append(entry(Kind.ACCEPTED, "c"))[0].sequence == 2


def test_two_readers_of_one_journal_agree(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    one, other = Journal(path), Journal(path)
    one.append(entry(Kind.ACCEPTED, "a"))
    assert other.append(entry(Kind.ACCEPTED, "b"))[0].sequence == 2
    assert one.append(entry(Kind.ACCEPTED, "c"))[0].sequence == 3
    assert [e.sha256 for e in one.entries()] == ["a", "b", "c"]


def test_new_bytes_supersede_and_older_bytes_come_back() -> None:
    a, b = entry(Kind.ACCEPTED, "a"), entry(Kind.ACCEPTED, "b")
    assert in_force(a, b) == {"eu": "b"}
    assert in_force(a, b, a) == {"eu": "a"}


def test_what_is_refused_leaves_the_last_good_version() -> None:
    state = State([entry(Kind.ACCEPTED, "a"), entry(Kind.REJECTED, "b")])
    slot = Slot("usage", DAY, "eu")
    assert state.in_force[slot].sha256 == "a"
    assert [one.sha256 for one in state.refused[slot].values()] == ["b"]
    state.note(entry(Kind.ACCEPTED, "c"))
    assert slot not in state.refused


def test_a_retraction_withdraws_only_the_bytes_it_names() -> None:
    a, b = entry(Kind.ACCEPTED, "a"), entry(Kind.ACCEPTED, "b")
    assert in_force(a, entry(Kind.RETRACTED, "a")) == {}
    assert in_force(a, b, entry(Kind.RETRACTED, "a")) == {"eu": "b"}
    assert in_force(a, entry(Kind.RETRACTED, "a"), a) == {"eu": "a"}


def test_holders_follow_what_is_in_force() -> None:
    state = State([entry(Kind.ACCEPTED, "a", "eu"), entry(Kind.ACCEPTED, "a", "us")])
    assert {slot.source for slot in state.holders("a")} == {"eu", "us"}
    state.note(entry(Kind.ACCEPTED, "b", "eu"))
    state.note(entry(Kind.RETRACTED, "a", "us"))
    assert state.holders("a") == set()


ENTRIES = st.lists(
    st.builds(entry, st.sampled_from(list(Kind)[:5]), st.sampled_from("abc"), st.just("eu")),
    max_size=6,
)


@given(eu=ENTRIES, us=ENTRIES, picks=st.lists(st.booleans(), max_size=12))
def test_the_order_across_slots_does_not_matter(
    eu: list[Entry], us: list[Entry], picks: list[bool]
) -> None:
    other = [entry(one.kind, one.sha256, "us") for one in us]
    left, right, mixed = list(eu), list(other), []
    for pick in picks:
        queue = left if pick else right
        if queue:
            mixed.append(queue.pop(0))
    mixed += left + right
    assert State(mixed).version_set() == State([*eu, *other]).version_set()
    assert State(mixed).refused == State([*other, *eu]).refused


def test_the_version_set_names_bytes_skew_and_what_was_refused() -> None:
    reference = Entry(kind=Kind.REFERENCE, file_name="products.csv", sha256="p")
    state = State([entry(Kind.ACCEPTED, "b", "us"), entry(Kind.ACCEPTED, "a", "eu"), reference])
    assert state.version_set() == (
        b'{"files":[["usage","2026-01-15","eu","a",10],["usage","2026-01-15","us","b",10]],'
        b'"reference":[["products.csv","p"]],"refused":[]}'
    )
    # A refused file is in no table, yet a missing-file discrepancy tells of it.
    state.note(entry(Kind.REJECTED, "c", "ap"))
    assert state.version_set().endswith(
        b'"refused":[["usage","2026-01-15","ap","usage/2026-01-15/ap.csv","c","wrong_header"]]}'
    )


HISTORY = st.lists(
    st.builds(
        entry,
        st.sampled_from(list(Kind)[:5]),
        st.sampled_from("abc"),
        st.sampled_from(["eu", "us"]),
    ),
    max_size=12,
)


@given(entries=HISTORY, length=st.integers(0, 12))
def test_any_version_set_a_journal_was_at_can_be_made_from_its_entries(
    entries: list[Entry], length: int
) -> None:
    then = State(entries[:length]).version_set()
    assert State(entries_of(then, entries)).version_set() == then


def test_the_latest_entry_of_a_version_is_taken_and_a_missing_one_named() -> None:
    first, again = entry(Kind.ACCEPTED, "a"), entry(Kind.ACCEPTED, "a")
    other = entry(Kind.ACCEPTED, "b")
    then = State([first]).version_set()
    assert entries_of(then, [first, other, again])[0] is again
    with pytest.raises(JournalError, match="no entry for usage 2026-01-15 eu a 10"):
        entries_of(then, [other])
