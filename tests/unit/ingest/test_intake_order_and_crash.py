"""The same files end in the same tables: in any order, repeated, and killed anywhere between."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landing_site import Site, clean_room, usage

# Two versions for each of three slots; what is delivered last is the second.
VERSIONS = {
    f"usage/2026-01-15/{source}.csv": (
        usage(f"{source}1 P d1 u1 08:00:00", f"{source}2 P d2  08:00:00"),
        usage(f"{source}1 P d1 u1 09:00:00", f"{source}1 P d1 u1 09:00:00") + b"short,row\n",
    )
    for source in ("eu", "us", "ap")
}
# For each slot: which version arrives, in order; every history ends with the second.
HISTORIES = st.tuples(
    *(st.lists(st.sampled_from([0, 1]), max_size=3).map(lambda some: [*some, 1]) for _ in VERSIONS)
)


def deliver_last_versions(site: Site) -> None:
    for name, versions in VERSIONS.items():
        site.deliver(name, versions[-1])
    site.receive()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    return clean_room(tmp_path_factory.mktemp("clean") / "site", deliver_last_versions)


@settings(max_examples=12)
@given(histories=HISTORIES, data=st.data())
def test_any_order_with_duplicates_gives_the_same_tables(
    tmp_path_factory: pytest.TempPathFactory,
    expected: dict[str, list[tuple[Any, ...]]],
    histories: tuple[list[int], ...],
    data: st.DataObject,
) -> None:
    root = tmp_path_factory.mktemp("order")
    waiting = {name: list(numbers) for name, numbers in zip(VERSIONS, histories, strict=True)}
    site = Site(root / "mixed")
    try:
        while waiting:
            name = data.draw(st.sampled_from(sorted(waiting)))
            site.deliver(name, VERSIONS[name][waiting[name].pop(0)])
            if not waiting[name]:
                del waiting[name]
            match data.draw(st.sampled_from(["receive", "receive", "wait", "lose the warehouse"])):
                case "receive":
                    site.receive()
                case "lose the warehouse":
                    site.reopen(lose_warehouse=True)
                case _:
                    pass
        site.receive()
        assert site.tables() == expected
        site.reopen(lose_warehouse=True)
        site.synchronise()
        assert site.tables() == expected
    finally:
        site.conn.close()


# Each line makes one step of the intake die where it is most awkward.
KILLS = {
    "before anything is archived": "Archive.add = die",
    "while a file is archived": "Archive._publish = die",
    "before the journal is written": "Journal.append = die",
    "in the middle of a journal line": (
        "def torn(self, *entries):\n"
        "    whole(self, entries[0])\n"
        "    with self.path.open('ab') as file:\n"
        "        file.write(entries[1].to_line()[:40].encode())\n"
        "    die()\n"
        "whole, Journal.append = Journal.append, torn"
    ),
    "after the journal, before the tables": "load.apply = die",
    "in the middle of the transaction": "load._insert_loads = die",
    "before the commit": "load._rejected_files = die",
    "after the commit": "intake.load.remember_landing = die",
}
PROGRAM = """
import os, signal, sys
from pathlib import Path
from ingest import intake, load
from ingest.archive import Archive
from ingest.journal import Journal
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
home, landing, kill = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
conn = load.open_warehouse(home / "warehouse.duckdb")
intake.synchronise(conn, home)
intake.SETTLED_NS = 0
exec(kill)
intake.receive(conn, home, landing)
"""


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS.keys())
def test_a_killed_intake_is_made_good_by_the_next(tmp_path: Path, kill: str) -> None:
    def first_versions(site: Site) -> None:
        for name, versions in VERSIONS.items():
            site.deliver(name, versions[0])
        site.receive()
        # One slot is replaced, one retracted, one new: every kind of change is under way.
        eu, us, _ = VERSIONS
        site.deliver(eu, VERSIONS[eu][1])
        (entry,) = (one for one in site.journal() if one.source == "us")
        why = {"sha256": entry.sha256, "who": "Ann", "why": "test data"}
        site.deliver(us + ".retracted.json", why)
        site.deliver("usage/2026-01-15/sa.csv", usage("sa1 P d1 u1 08:00:00"))

    def everything(site: Site) -> None:
        first_versions(site)
        site.receive()

    expected = clean_room(tmp_path / "clean", everything)
    site = Site(tmp_path / "killed")
    first_versions(site)
    site.conn.close()
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(site.home), str(site.landing), kill], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    site.reopen()
    # The tables never hold what the journal does not vouch for.
    journalled = {(entry.sha256,) for entry in site.journal()}
    assert set(site.query("SELECT sha256 FROM raw.files")) <= journalled
    site.receive()
    assert site.tables() == expected
    assert sorted(site.kinds()) == ["accepted"] * 5 + ["retracted"]
    months = site.query("SELECT DISTINCT feed, activity_month FROM raw.withdrawn_activity")
    assert [feed for feed, _ in months] == ["usage"]
    # Half a copy does not stay behind, and every version that was accepted is kept.
    names = {path.name for path in (site.home / "archive").iterdir()}
    assert not any(name.startswith(".") for name in names)
    assert names >= {entry.sha256 for entry in site.journal() if entry.kind == "accepted"}
    site.conn.close()
