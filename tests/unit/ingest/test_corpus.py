"""Every bad or odd file of the corpus, by itself and all of them together beside good ones."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from corpus import CASES, Accepted, Case, Refused, who
from landing_site import DAY, Site, usage

from ingest import intake
from ingest.contracts import FEEDS
from ingest.landing import Format
from ingest.parse import Parsed, parse
from ingest.reasons import Reason, Rejected, told


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.conn.close()


def test_the_corpus_covers_every_feed_format_and_reason() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.feed for case in CASES} == set(FEEDS)
    assert {case.format for case in CASES} == set(Format)
    found = {case.verdict.reason for case in CASES if isinstance(case.verdict, Refused)}
    for case in CASES:
        if isinstance(case.verdict, Accepted):
            found |= {reason for _, _, reason in case.verdict.quarantined}
    # What depends on other files is in the table of this module.
    assert found | {one.reason for one in PLACES if one.reason} == set(Reason)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict_on_a_file(case: Case, tmp_path: Path) -> None:
    content = case.make(who(case))
    path = tmp_path / "file"
    path.write_bytes(content)
    manifest = case.manifest and case.manifest(content)
    how = (path, case.format, FEEDS[case.feed], DAY, 10, manifest)
    if isinstance(case.verdict, Refused):
        with pytest.raises(Rejected) as caught:
            parse(*how)
        assert caught.value.reason is case.verdict.reason, caught.value.detail
        assert case.verdict.place in caught.value.detail
    else:
        assert_accepted(parse(*how), case.verdict, who(case))


def assert_accepted(parsed: Parsed, verdict: Accepted, who: str) -> None:
    found = parsed.quarantined.select("line_number", "column_name", "reason").rows()
    assert found == list(verdict.quarantined)
    assert (parsed.accepted.height, parsed.duplicates) == (verdict.rows, verdict.duplicates)
    assert tuple(one.split(":")[0] for one in parsed.warnings) == verdict.warnings
    assert parsed.verified is verdict.is_verified
    if verdict.kept is not None:
        column, value = verdict.kept
        kept = parsed.accepted.sort("row_number").item(0, column)
        assert kept == (value.replace("WHO00", who) if isinstance(value, str) else value)


# ── Paths, and what depends on other files ────────────────────────────────────────────────────


@dataclass(frozen=True)
class Place:
    """`put` makes something in the landing folder; `name` is the file name that is told."""

    name: str
    put: Callable[[Site], object]
    outcome: str
    words: str
    reason: Reason | None = None


def _deliver(name: str, content: bytes) -> Callable[[Site], object]:
    return lambda site: site.deliver(name, content)


def _file(n: int) -> bytes:
    return usage(f"place{n} EPADV d u 08:00:00")


def _copied(site: Site) -> None:
    for name in ("a", "b"):
        site.deliver(f"usage/2026-01-15/copy-{name}.csv", _file(1))


def _two_files(site: Site) -> None:
    site.deliver("usage/2026-01-15/twice.csv", _file(2))
    site.deliver("usage/2026-01-15/twice.csv.gz", gzip.compress(_file(3), mtime=0))


def _note(name: str, note: bytes, n: int) -> Callable[[Site], object]:
    def put(site: Site) -> None:
        site.deliver(f"usage/2026-01-15/{name}.csv", _file(n))
        site.deliver(f"usage/2026-01-15/{name}.csv.retracted.json", note)

    return put


def _linked(site: Site) -> None:
    target = site.landing.parent / "elsewhere.csv"
    target.write_bytes(_file(4))
    site.deliver("usage/2026-01-15/.keep", b"").with_name("link.csv").symlink_to(target)


def _folder(site: Site) -> None:
    (site.landing / "usage/2026-01-15/folder.csv").mkdir(parents=True)


def _pipe(site: Site) -> None:
    site.deliver("usage/2026-01-15/.keep", b"")
    os.mkfifo(site.landing / "usage/2026-01-15/pipe.csv")


def _feed_link(site: Site) -> None:
    (site.landing / "usage-link").symlink_to(site.landing / "usage")


def _not_utf8(site: Site) -> None:
    path = os.fsencode(site.landing) + b"/usage/2026-01-15/eu-\xff.csv"
    site.deliver("usage/2026-01-15/.keep", b"")
    Path(os.fsdecode(path)).write_bytes(_file(5))


_D = "usage/2026-01-15"
PLACES = (
    Place(
        f"{_D}/copy-b.csv",
        _copied,
        "misplaced",
        f"in force for {_D}/copy-a",
        Reason.IN_FORCE_ELSEWHERE,
    ),
    Place(
        f"{_D}/twice.csv.gz", _two_files, "rejected", "twice.csv speaks", Reason.TWO_FILES_FOR_SLOT
    ),
    Place(
        f"{_D}/n1.csv.retracted.json",
        _note("n1", b"{", 11),
        "rejected",
        "JSON",
        Reason.RETRACTION_INVALID,
    ),
    Place(
        f"{_D}/n2.csv.retracted.json",
        _note("n2", b"[]", 12),
        "rejected",
        "JSON object",
        Reason.RETRACTION_INVALID,
    ),
    Place(
        f"{_D}/n3.csv.retracted.json",
        _note("n3", b"[" * 100_000, 13),
        "rejected",
        "JSON",
        Reason.RETRACTION_INVALID,
    ),
    Place(
        f"{_D}/n4.csv.retracted.json",
        _note("n4", b" " * 2_000_000, 14),
        "rejected",
        "longer than 1,048,576",
        Reason.RETRACTION_INVALID,
    ),
    Place(
        f"{_D}/n5.csv.retracted.json",
        _note("n5", b'{"sha256": "\\ud800\\u001b", "who": "A", "why": "b"}', 15),
        "rejected",
        "is no SHA-256",
        Reason.RETRACTION_INVALID,
    ),
    Place(
        f"{_D}/n6.csv.retracted.json",
        _note("n6", b'{"sha256": "' + b"0" * 64 + b'", "who": "A", "why": "b"}', 16),
        "rejected",
        "it names 0000",
        Reason.RETRACTION_MISMATCH,
    ),
    Place(
        f"{_D}/n7.csv.retracted.json",
        # Nothing is in force for it, and nothing lies beside it.
        _deliver(
            f"{_D}/n7.csv.retracted.json",
            b'{"sha256": "' + b"1" * 64 + b'", "who": "A", "why": "b"}',
        ),
        "rejected",
        "in force is nothing",
        Reason.RETRACTION_MISMATCH,
    ),
    Place(f"{_D}/link.csv", _linked, "unrecognised", "not a regular file"),
    Place(f"{_D}/folder.csv", _folder, "unrecognised", "not a regular file"),
    Place(f"{_D}/pipe.csv", _pipe, "unrecognised", "not a regular file"),
    Place("usage-link", _feed_link, "unrecognised", "not a feed's folder"),
    Place(f"{_D}/eu-\\udcff.csv", _not_utf8, "unrecognised", "not a source's name"),
    Place(
        f"{_D}/eu\\u001b[31m.csv",
        _deliver(f"{_D}/eu\x1b[31m.csv", _file(6)),
        "unrecognised",
        "not a source's name",
    ),
    Place(
        f"{_D}/con.csv", _deliver(f"{_D}/con.csv", _file(7)), "unrecognised", "not a source's name"
    ),
    Place(
        f"{_D}/eu central.csv",
        _deliver(f"{_D}/eu central.csv", _file(8)),
        "unrecognised",
        "not a source's name",
    ),
    Place(
        f"{_D}/eu.xlsx",
        _deliver(f"{_D}/eu.xlsx", b"PK"),
        "unrecognised",
        ".csv, .csv.gz or .parquet",
    ),
    Place(
        f"{_D}/eu.CSV",
        _deliver(f"{_D}/eu.CSV", _file(9)),
        "unrecognised",
        ".csv, .csv.gz or .parquet",
    ),
    Place(
        f"{_D}/gone.csv.manifest.json",
        _deliver(f"{_D}/gone.csv.manifest.json", b"{}"),
        "unrecognised",
        "a manifest without its file",
    ),
    Place(
        "usages", _deliver("usages/2026-01-15/eu.csv", _file(10)), "unrecognised", "no such feed"
    ),
    Place("stray.csv", _deliver("stray.csv", _file(10)), "unrecognised", "<feed>/<YYYY-MM-DD>/"),
    Place(
        "usage/stray.csv",
        _deliver("usage/stray.csv", _file(10)),
        "unrecognised",
        "<feed>/<YYYY-MM-DD>/",
    ),
    Place(
        "usage/2026-02-30",
        _deliver("usage/2026-02-30/eu.csv", _file(10)),
        "unrecognised",
        "not a date",
    ),
    Place(
        "usage/2026-W03-4",
        _deliver("usage/2026-W03-4/eu.csv", _file(10)),
        "unrecognised",
        "not a date",
    ),
    Place(
        "usage/20260115", _deliver("usage/20260115/eu.csv", _file(10)), "unrecognised", "not a date"
    ),
    Place(
        "usage/2026-01-15 ",
        _deliver("usage/2026-01-15 /eu.csv", _file(10)),
        "unrecognised",
        "not a date",
    ),
    Place(
        "usage/\uff12026-01-15",
        _deliver("usage/\uff12026-01-15/eu.csv", _file(10)),
        "unrecognised",
        "not a date",
    ),
)


def test_the_whole_corpus_beside_good_files(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One folder, one load: every good file is in, every bad one has its own message."""
    good = {f"{feed}/2026-01-15/good.csv": feed for feed in FEEDS}
    for n, (name, feed) in enumerate(good.items()):
        site.deliver(name, _good(feed, f"good{n}"))
    # Durability is for others to test; three hundred flushes to disk take a minute.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    names = {}
    for case in CASES:
        name = f"{case.feed}/2026-01-15/{case.name}.{case.format}"
        content = case.make(who(case))
        site.deliver(name, content)
        if case.manifest:
            site.deliver(f"{name}.manifest.json", case.manifest(content))
        names[name] = case
    for place in PLACES:
        place.put(site)
    locked = site.deliver(f"{_D}/locked.csv", _file(20))
    opened: Any = Path.open

    def deny(path: Path, *how: Any, **more: Any) -> Any:
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *how, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", deny)
        receipts = site.receive()

    for name, feed in good.items():
        assert (receipts[name].outcome, receipts[name].rows_accepted) == ("accepted", 1)
        assert site.query(f"SELECT count(*) FROM raw.{feed} WHERE source = 'good'") == [(1,)]
    assert receipts[f"{_D}/locked.csv"].outcome == "unreadable"
    assert "make it readable" in (receipts[f"{_D}/locked.csv"].detail or "")

    quarantined: dict[tuple[str, str], list[Any]] = {}
    for feed, source, *row in site.query(
        "SELECT feed, source, line_number, column_name, reason FROM raw.quarantined_rows "
        "ORDER BY feed, source, line_number"
    ):
        quarantined.setdefault((feed, source), []).append(tuple(row))
    rows = {
        (feed, source): count
        for one in FEEDS
        for feed, source, count in site.query(
            f"SELECT '{one}', source, count(*) FROM raw.{one} GROUP BY source"
        )
    }
    for name, case in names.items():
        receipt, slot = receipts[name], (case.feed, case.name)
        if isinstance(case.verdict, Accepted):
            assert receipt.outcome == "accepted", (name, receipt)
            assert rows.get(slot, 0) == case.verdict.rows, name
            assert quarantined.get(slot, []) == list(case.verdict.quarantined), name
        else:
            assert_refused(name, receipt, case.verdict.reason, case.verdict.place)
            assert slot not in rows
    for place in PLACES:
        receipt = receipts[place.name]
        assert receipt.outcome == place.outcome, (place.name, receipt)
        if place.reason:
            assert_refused(place.name, receipt, place.reason, place.words)
        assert place.words in (receipt.detail or "")
    # And again, as on every later day: nothing more happens, but for the file that can be read now.
    before = site.tables()
    again = site.receive()
    assert [one.file_name for one in again.values() if one.is_new] == [f"{_D}/locked.csv"]
    assert {
        t: r for t, r in site.tables().items() if t not in ("usage", "files", "version_set")
    } == {t: r for t, r in before.items() if t not in ("usage", "files", "version_set")}
    # What the home keeps is enough to make the same again.
    tables = site.tables()
    site.reopen(lose_warehouse=True)
    site.synchronise()
    assert site.tables() == tables


def assert_refused(name: str, receipt: Any, reason: Reason, place: str) -> None:
    """The message names the file, the place and what to do, and can be printed."""
    assert receipt.file_name == name
    assert receipt.reason == reason, (name, receipt)
    message = told(receipt.reason, receipt.detail)
    assert place in message
    assert message.endswith(reason.remedy)
    assert len(reason.remedy) > 20
    assert all(character.isprintable() for character in message), ascii(message)
    assert len(message) < 3_000


def _good(feed: str, who: str) -> bytes:
    from corpus import GOOD, HEADER

    return f"{HEADER[feed]}\n{GOOD[feed].replace('WHO00', who)}\n".encode()


# ── A bound on what a file unpacks to ─────────────────────────────────────────────────────────


def test_the_size_is_bounded_by_a_setting_and_what_was_accepted_stays_readable(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"c{n} EPADV d u 08:00:00" for n in range(1000)]
    for name, format in (("plain", "csv"), ("packed", "csv.gz")):
        content = usage(*(row.replace("c", name[0], 1) for row in rows))
        site.deliver(
            f"{_D}/{name}.{format}", gzip.compress(content) if format == "csv.gz" else content
        )
    size = len(content)

    def receive(largest: int) -> dict[str, Any]:
        found = intake.receive(site.conn, site.home, site.landing, largest_file_bytes=largest)
        return {one.slot.source: one for one in found if one.slot}

    small = receive(size - 1)
    assert {one.reason for one in small.values()} == {"file_too_large"}
    assert f"the file has {size:,} bytes; {size - 1:,} are allowed" in small["plain"].detail
    assert "gzip: the text has more than" in small["packed"].detail
    # A larger bound lets the same bytes in, a smaller one does not take them out again.
    assert {one.outcome for one in receive(size).values()} == {"accepted"}
    tables = site.tables()
    assert {one.outcome for one in receive(1).values()} == {"unchanged"}
    site.reopen(lose_warehouse=True)
    # Not even when nothing at all would be let in any more.
    monkeypatch.setattr(intake, "parse", partial(parse, largest_file_bytes=1))
    assert {one.outcome for one in site.synchronise()} == {"restored"}
    assert site.tables() == tables


def test_every_reason_is_in_the_book() -> None:
    book = (Path(__file__).parents[3] / "docs/intake.md").read_text(encoding="utf-8")
    assert [reason for reason in Reason if f"| `{reason}` |" not in book] == []
    assert f"{len(CASES)} files" in book
    assert f"{len(PLACES)} paths" in book
