"""Pieces of the product that are killed and run again, each on a small home made for it.

What a scenario starts from, does and compares; how often and where it is killed is for `soak`.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import tiny
from house import House, tree
from killing import Warm

from ingest.journal import Journal
from invoicing import durable
from invoicing.ledger import Ledger

JANUARY, FEBRUARY = "2026-01-31", "2026-02-28"
# Everything in the raw schema that follows from the versions in force, and from nothing else.
_RAW = "select table_name from duckdb_tables() where schema_name = 'raw' order by all"
# These follow from when files were seen and in which order rows were drawn.
_NOT_COMPARED = ("landing_seen", "withdrawn_activity")

State = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A piece of `work` that starts from the home and landing folder below `start`."""

    name: str
    start: Path
    work: tuple[str, ...]

    def house(self, folder: Path) -> House:
        """A fresh copy of the start. The landing folder is only read, so it is shared."""
        home = folder / "home"
        if home.exists():
            shutil.rmtree(home)
        shutil.copytree(
            self.start / "home",
            home,
            symlinks=True,
            ignore=shutil.ignore_patterns("dbt", "history"),
        )
        return House(home, self.start / "landing", self.start / "seeds")


def deliver_january(landing: Path) -> None:
    tiny.month_end(landing, JANUARY, tiny.usage("C1", ["a", "b", "c"], "2026-01-20"))


def deliver_february(landing: Path) -> None:
    """Files new, late, replaced, taken back, refused and under a wrong name: every decision."""
    usage = tiny.usage("C1", ["a", "b"], "2026-02-20") + tiny.usage("C2", ["d"], "2026-02-21")
    tiny.month_end(landing, FEBRUARY, usage)
    # One user of January turns up late: a note goes out with February.
    late = tiny.usage("C1", ["a", "b", "c", "late"], "2026-01-20")
    tiny.write(landing, "usage", JANUARY, tiny.REGION, late)
    heartbeat = tiny.write(landing, "heartbeat", "2026-02-10", tiny.REGION, [])
    retraction = {"sha256": durable.file_sha256(heartbeat), "who": "A. Clerk", "why": "test data"}
    heartbeat.with_name(f"{heartbeat.name}.retracted.json").write_text(json.dumps(retraction))
    whole = tiny.write(landing, "usage", "2026-02-11", tiny.REGION, usage)
    whole.write_bytes(whole.read_bytes()[:-40])
    whole.with_name(f"{whole.name}.manifest.json").write_text(json.dumps({"rows": len(usage)}))
    copied = landing / "usage" / FEBRUARY / f"{tiny.REGION}-copied.csv"
    shutil.copyfile(landing / "usage" / FEBRUARY / f"{tiny.REGION}.csv", copied)


def short_scenarios(warm: Warm, folder: Path) -> list[Scenario]:
    """January only, from homes that one whole run makes: what decides whether a change may land."""
    start = _starter(warm, folder)
    empty = start("empty", None)
    with_seeds = start("with-seeds", "empty", ("reference",))
    loaded = start("january", "empty", ("muster", "load"))
    closed = start("closed", "january", ("month_end", "2026-01"))
    return [
        Scenario("seeds received", empty, ("reference",)),
        Scenario("files received", with_seeds, ("receive",)),
        Scenario("gate, ledger and exports", loaded, ("month_end", "2026-01")),
        Scenario("invoice taken back", closed, ("cancel", "ALPENLAND-000001", "2026-01")),
        Scenario("publication", loaded, ("publish", "run99999")),
    ]


def _starter(warm: Warm, folder: Path) -> Callable[..., Path]:
    """Makes `folder`/name: a home with landing folder and seeds, after another one and commands."""

    def start(name: str, after: str | None, *commands: tuple[str, ...]) -> Path:
        house = House(folder / name / "home", folder / name / "landing", folder / name / "seeds")
        if after is None:
            tiny.seeds(house.seeds)
            deliver_january(house.landing)
        else:
            shutil.copytree(folder / after, folder / name, symlinks=True)
        if name.startswith("february"):
            deliver_february(house.landing)
        house.home.mkdir(exist_ok=True)
        for command in commands:
            ended = warm.does(house, *command)
            assert ended.code == 0, ended.log
        return folder / name

    return start


def scenarios(warm: Warm, folder: Path) -> list[Scenario]:
    """Make the homes they start from, by whole runs. Takes a few minutes on a busy machine."""
    start = _starter(warm, folder)
    empty = start("empty", None)
    with_seeds = start("with-seeds", "empty", ("reference",))
    start("january", "empty", ("muster", "load"), ("muster", "close", "2026-01"))
    landed = start("february-landed", "january")
    loaded = start("february-loaded", "january", ("muster", "load"))
    closed = start("closed", "february-loaded", ("month_end", "2026-02"))
    lost = start("lost-warehouse", "february-loaded")
    (lost / "home/warehouse.duckdb").unlink()
    without_exports = start("without-exports", "closed")
    shutil.rmtree(without_exports / "home/exports/2026-02")
    for name in ("invoice.csv", "manifest.json"):
        (without_exports / "home/exports/2026-01/alpenland" / name).unlink()
    return [
        Scenario("seeds received", empty, ("reference",)),
        Scenario("first files received", with_seeds, ("receive",)),
        Scenario("files replaced, taken back, refused", landed, ("receive",)),
        Scenario("a lost warehouse filled", lost, ("synchronise",)),
        Scenario("gate, ledger and exports", loaded, ("month_end", "2026-02")),
        Scenario("an invoice taken back", closed, ("cancel", "ALPENLAND-000003", "2026-02")),
        Scenario("exports made again", without_exports, ("export", "2026-01", "2026-02")),
        Scenario("publication", loaded, ("publish", "run99999")),
    ]


def state(house: House) -> State:
    """All that must not depend on a kill: truth, raw tables, exports and publication."""
    journal = Journal(house.home / "journal")
    found: State = {
        "version set": journal.state().version_set(),
        "journal": [(entry.kind, entry.file_name, entry.sha256) for entry in journal.entries()],
        "archive": tree(house.home / "archive"),
        "ledger": house.ledger(),
        "exports": house.exports(),
        "marts": house.marts() if (house.home / "published/marts").exists() else None,
    }
    warehouse = house.home / "warehouse.duckdb"
    if warehouse.exists():
        with duckdb.connect(warehouse) as conn:
            for (table,) in conn.execute(_RAW).fetchall():
                if table not in _NOT_COMPARED:
                    drawn = conn.execute(f"from raw.{table} limit 0").description
                    assert drawn
                    drops = "load_id" in {column[0] for column in drawn}
                    columns = "* exclude (load_id)" if drops else "*"
                    found[f"raw.{table}"] = conn.execute(
                        f"select {columns} from raw.{table} order by all"
                    ).fetchall()
    return found


def torn(house: House) -> str | None:
    """What a person or an analyst could see right after a kill that is not whole, or None."""
    fault = Ledger(house.home / "ledger").verify()
    if fault:
        return f"ledger: {fault}"
    for folder, manifest in _folders(house.home / "exports"):
        for file in manifest["files"]:
            path = folder / file["file"]
            if not path.is_file() or durable.file_sha256(path) != file["sha256"]:
                return f"{path} is not what its manifest says"
    marts = house.home / "published/marts"
    if marts.exists():
        manifest = json.loads((marts / "manifest.json").read_text())
        for mart in manifest["marts"]:
            if durable.file_sha256(marts / mart["file"]) != mart["sha256"]:
                return f"{mart['file']} is not what the manifest says"
        with duckdb.connect(house.home / "published/current.duckdb", read_only=True) as conn:
            for mart in manifest["marts"]:
                conn.execute(f'select count(*) from "{mart["schema"]}"."{mart["table"]}"')
    return None


def _folders(exports: Path) -> Iterator[tuple[Path, Any]]:
    for path in exports.glob("*/[!.]*/manifest.json"):
        yield path.parent, json.loads(path.read_text())


@dataclass
class Count:
    """What was done to a scenario, and how often its result was another one."""

    changes: int
    seconds: float
    kills_at_a_change: int = 0
    kills_after_a_time: int = 0
    kills_of_scripts: int = 0
    ended_before_the_kill: int = 0
    torn: int = 0
    different: int = 0

    @property
    def kills(self) -> int:
        return self.kills_at_a_change + self.kills_after_a_time + self.kills_of_scripts


def kill_again_and_again(
    warm: Warm,
    scenario: Scenario,
    folder: Path,
    kills: int,
    randomness: random.Random,
    tell: Callable[[str], None],
) -> Count:
    """Kill the work `kills` times, run it to its end after one or several, and compare.

    Every change is killed at once before any is killed twice; every third kill comes after a random
    time instead, which is how the inside of DuckDB is reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    house = scenario.house(folder)
    whole = warm.does(house, *scenario.work)
    assert whole.code == 0, whole.log
    expected = state(house)
    count = Count(len(whole.changes), whole.seconds)
    points = _shuffled(len(whole.changes), randomness)
    is_fresh = False
    while count.kills < kills:
        if not is_fresh:
            house = scenario.house(folder)
            is_fresh = True
        if randomness.randrange(3):
            where: dict[str, Any] = {"point": next(points)}
        else:
            where = {"seconds": randomness.uniform(0.01, whole.seconds)}
        ended = warm.does(house, *scenario.work, **where)
        if ended.was_killed:
            count.kills_at_a_change += "point" in where
            count.kills_after_a_time += "seconds" in where
        else:
            assert ended.code == 0 or _STALE in ended.log, ended.log
            count.ended_before_the_kill += 1
        fault = torn(house)
        if fault:
            count.torn += 1
            tell(f"TORN {scenario.name} {where}: {fault}")
        if randomness.randrange(3) == 0:  # killed again before it could run to its end
            continue
        names = finish(warm, house, scenario, expected)
        if names:
            count.different += 1
            tell(f"DIFFERENT {scenario.name} {where}: {names}")
        is_fresh = False
    if is_fresh:
        count.different += bool(finish(warm, house, scenario, expected))
    return count


def finish(warm: Warm, house: House, scenario: Scenario, expected: State) -> list[str]:
    """Run the work to its end; what is then not as expected."""
    ended = warm.does(house, *scenario.work)
    compared = set(expected)
    if ended.code and _STALE in ended.log:
        # A note is there and its invoice is not. The piece refuses to go on with a draft that does
        # not know of the note; the whole command, which drafts anew, does what is left.
        ended = warm.does(house, "muster", "close", *scenario.work[1:])
        compared -= {"marts"}
    if ended.code:
        return [ended.log]
    found = state(house)
    return sorted(name for name in compared if found.get(name) != expected[name])


_STALE = "were written since its corrections were drafted"


def _shuffled(number: int, randomness: random.Random) -> Iterator[int]:
    while True:
        yield from randomness.sample(range(1, number + 1), number)
