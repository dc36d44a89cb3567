"""A small vendor's season as Hypothesis draws it: each command is killed, then run again.

A second house gets the same files and commands, unkilled; a third is rebuilt from what a backup
holds. All three must be the same to the byte.
"""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

import duckdb
import tiny
from house import House
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from killing import Ended, Warm
from scenarios import FEBRUARY, JANUARY, Count, torn

from invoicing import durable
from invoicing.ledger import Ledger

COMMANDS_A_SEASON = 10


@dataclass(frozen=True)
class Kill:
    """Where a command is killed, as a share of what its last run to the end changed or took."""

    how: str
    share: float


_KILLS = st.lists(
    # An interpreter of its own for the script takes long to start, so it is the rarest.
    st.builds(
        Kill, st.sampled_from(["change", "change", "time", "time", "script"]), st.floats(0, 1)
    ),
    min_size=1,
    max_size=2,
)
_KINDS = ("deliver again", "copy", "rename", "replace", "retract", "truncate", "flip")
_DAYS = st.sampled_from([JANUARY, FEBRUARY])
_PERIODS = st.sampled_from(["2026-01", "2026-02"])
_NAMES = st.lists(st.sampled_from("abcd"), min_size=1, unique=True).map(sorted)


def play(
    warm: Warm, folder: Path, seasons: int, number: int, tell: Callable[[str], None]
) -> tuple[int, Count]:
    """So many seasons, the same for the same `number` but for where a time falls.

    How many were played and how often commands were killed. A season that differs from its clean
    house ends them all, with its steps printed.
    """
    total, numbers = Count(0, 0), itertools.count()

    class Season(_Season):
        def __init__(self) -> None:
            self.begin(warm, folder / f"season-{next(numbers)}", tell)
            super().__init__()

        def teardown(self) -> None:
            nonlocal total
            try:
                self.compare()
            finally:
                total = Count(*map(sum, zip(astuple(total), astuple(self.count), strict=True)))

    run_state_machine_as_test(
        seed(number)(Season),
        settings=settings(
            # The first season that Hypothesis draws is always the shortest there is.
            max_examples=seasons + 1,
            stateful_step_count=COMMANDS_A_SEASON,
            # A season takes minutes, so none is played again to find a shorter one.
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return next(numbers), total


class _Season(RuleBasedStateMachine):
    """Two houses with one landing content each; what is asked of both is asked of the first
    with SIGKILL in between."""

    def begin(self, warm: Warm, folder: Path, tell: Callable[[str], None]) -> None:
        self.warm, self.folder, self.tell = warm, folder, tell
        self.count = Count(0, 0)
        self.houses = tuple(
            House(folder / name / "home", folder / name / "landing", folder / name / "seeds")
            for name in ("killed", "clean")
        )
        for house in self.houses:
            tiny.seeds(house.seeds)
        # What the last run of a command to its end was like, to aim the next kill at it.
        self._last: dict[str, Ended] = {}

    @initialize(kills=_KILLS)
    def first_day(self, kills: list[Kill]) -> None:
        self.deliver(JANUARY, ["a", "b", "c"])
        self.load(kills)

    @rule(day=_DAYS, names=_NAMES)
    def deliver(self, day: str, names: list[str]) -> None:
        """Every feed's files of a day, whole; what was said of earlier ones is withdrawn."""
        self.tell(f"  deliver {day} {''.join(names)}")
        for house in self.houses:
            for retraction in house.landing.glob(f"*/{day}/*.retracted.json"):
                retraction.unlink()
            tiny.month_end(house.landing, day, tiny.usage("C1", names, f"{day[:8]}20"))
            tiny.write(house.landing, "portal_usage", day, "portal", [("C1", "EPADV", len(names))])
            addition = ("connectwise", "CW1", "A1", "1", "CWP-102", len(names), "2.10")
            tiny.write(house.landing, "psa_additions", day, "psa", [addition])

    @rule(kind=st.sampled_from(_KINDS), which=st.integers(0, 99), at=st.floats(0, 1))
    def disturb(self, kind: str, which: int, at: float) -> None:
        """One file of any feed delivered again, copied, renamed, replaced, taken back or spoilt."""
        files = sorted(self.houses[0].landing.glob("*/*/*.csv"))
        name = files[which % len(files)].relative_to(self.houses[0].landing)
        self.tell(f"  {kind} {name}")
        for house in self.houses:
            _disturb(house.landing / name, kind, at)

    @rule(kills=_KILLS)
    def load(self, kills: list[Kill]) -> None:
        self.ask(kills, "load")

    @rule(kills=_KILLS, period=_PERIODS)
    def draft(self, kills: list[Kill], period: str) -> None:
        self.ask(kills, "draft", period)

    @rule(kills=_KILLS, period=_PERIODS)
    def close(self, kills: list[Kill], period: str) -> None:
        self.ask(kills, "close", period)

    @rule(kills=_KILLS)
    def rebuild(self, kills: list[Kill]) -> None:
        self.ask(kills, "rebuild")

    @precondition(lambda self: self.in_force())
    @rule(kills=_KILLS)
    def cancel(self, kills: list[Kill]) -> None:
        said = ("--reason", "wrong", "--by", "A. Clerk", "--on", "2026-03-05")
        self.ask(kills, "cancel", self.in_force()[-1], *said)

    @precondition(lambda self: self.open_holds())
    @rule()
    def waive(self) -> None:
        """Decide to bill whatever is held, by the ids that the killed house shows."""
        held = self.open_holds()
        self.tell(f"  waive {len(held)}")
        for house in self.houses:
            with (house.seeds / "waivers.csv").open("a") as waivers:
                for one in held:
                    waivers.write(f"{one},bill,it is right,A. Clerk,2026-03-01\n")

    def in_force(self) -> list[str]:
        """Numbers of the invoices that nobody took back."""
        documents = list(Ledger(self.houses[0].home / "ledger").documents())
        cancelled = {one.cancels for one in documents}
        return [
            str(one.number)
            for one in documents
            if one.kind == "invoice" and one.number not in cancelled
        ]

    def open_holds(self) -> list[str]:
        path = self.houses[0].home / "published/current.duckdb"
        if not path.exists():
            return []
        with duckdb.connect(path, read_only=True) as conn:
            found = conn.execute(
                "select discrepancy_id from billing.draft_discrepancies "
                "where severity = 'blocking' and state = 'open' order by all"
            ).fetchall()
        waived = (self.houses[0].seeds / "waivers.csv").read_text()
        return [one for (one,) in found if one not in waived]

    def ask(self, kills: list[Kill], command: str, *arguments: str) -> None:
        """Kill the command, run it to its end, and have it run in the clean house."""
        killed, clean = self.houses
        for kill in kills:
            self._kill(kill, killed, command, arguments)
            fault = torn(killed)
            if fault:
                self.count.torn += 1
            assert fault is None, (command, fault)
        ended = self.warm.does(killed, "muster", command, *arguments)
        self._last[command] = ended
        self.tell(f"  {command} {' '.join(arguments[:1])}: {ended.code}")
        alone = self.warm.does(clean, "muster", command, *arguments)
        # A cancellation that was killed after its note finds the invoice taken back: 0 as well.
        assert ended.code == alone.code, (command, arguments, ended.log, alone.log)

    def compare(self) -> None:
        killed, clean = self.houses
        rebuilt = House(self.folder / "rebuilt" / "home", self.folder / "no", self.folder / "none")
        rebuilt.home.mkdir(parents=True)
        # A close that was refused took in nothing to rebuild from: both houses load once more.
        for house in (killed, clean):
            assert self.warm.does(house, "muster", "load").code == 0
        for name in ("archive", "ledger"):
            if (killed.home / name).exists():
                shutil.copytree(killed.home / name, rebuilt.home / name)
        shutil.copyfile(killed.home / "journal", rebuilt.home / "journal")
        ended = self.warm.does(rebuilt, "muster", "rebuild")
        assert ended.code == 0, ended.log
        for other, name in ((clean, "clean"), (rebuilt, "rebuilt")):
            for what in (House.ledger, House.exports, House.marts):
                pairs = what(killed).items() ^ what(other).items()
                self.count.different += bool(pairs)
                assert not pairs, f"different from {name}: {sorted({key for key, _ in pairs})}"
        shutil.rmtree(self.folder)

    def _kill(self, kill: Kill, house: House, command: str, arguments: tuple[str, ...]) -> None:
        last = self._last.get(command)
        if kill.how == "script":
            seconds = 1 + kill.share * (2 * last.seconds if last else 15)
            was_killed = _script_killed(house, command, arguments, seconds)
            self.count.kills_of_scripts += was_killed
        elif kill.how == "change":
            point = 1 + round(kill.share * (len(last.changes) - 1 if last else 60))
            was_killed = self.warm.does(
                house, "muster", command, *arguments, point=point
            ).was_killed
            self.count.kills_at_a_change += was_killed
        else:
            seconds = 0.5 + kill.share * (last.seconds if last else 10)
            was_killed = self.warm.does(
                house, "muster", command, *arguments, seconds=seconds
            ).was_killed
            self.count.kills_after_a_time += was_killed
        self.count.ended_before_the_kill += not was_killed


def _disturb(path: Path, kind: str, at: float) -> None:
    content = path.read_bytes()
    cut = min(int(len(content) * at), len(content) - 1)
    match kind:
        case "deliver again":
            path.unlink()
            path.write_bytes(content)
        case "copy":
            path.with_name(f"{path.stem}-copied.csv").write_bytes(content)
        case "rename":
            path.rename(path.with_name(f"{path.stem}-renamed.csv"))
        case "replace":
            rows = content.splitlines(keepends=True)
            path.write_bytes(b"".join(rows[:-1] if len(rows) > 1 else rows))
        case "retract":
            retraction = {"sha256": durable.file_sha256(path), "who": "A. Clerk", "why": "a test"}
            path.with_name(f"{path.name}.retracted.json").write_text(json.dumps(retraction))
        case "truncate":
            path.write_bytes(content[: max(cut, 1)])
        case "flip":
            path.write_bytes(content[:cut] + bytes([content[cut] ^ 1]) + content[cut + 1 :])


def _script_killed(house: House, command: str, arguments: tuple[str, ...], seconds: float) -> bool:
    """Whether the console script, in a process group of its own, was ended by SIGKILL."""
    with subprocess.Popen(
        house.command(command, *arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.wait() == -signal.SIGKILL
