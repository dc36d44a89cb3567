"""Two months of a small vendor at random, every command killed at least once and then run again.

A second house gets the same files and only the commands that decide something, unkilled; a third is
rebuilt from what a backup holds. All three must be the same to the byte.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import tiny
from house import House
from killing import Ended, Warm
from scenarios import FEBRUARY, JANUARY, Count, torn

from invoicing import durable

_KINDS = ("deliver again", "copy", "replace", "retract", "truncate", "flip")
# How often a command is run by the console script, which starts an interpreter for it.
_SCRIPT_IN = 5


def play(warm: Warm, folder: Path, randomness: random.Random, tell: Callable[[str], None]) -> Count:
    """One season; how often it was killed, and whether anything was lost, doubled or different."""
    season = _Season(warm, folder, randomness, tell)
    season.deliver(JANUARY, ["a", "b", "c"])
    season.disturb(JANUARY)
    season.killed("load")
    season.disturb(JANUARY)
    season.killed(randomness.choice(["load", "draft"]), "2026-01")
    season.deliver(JANUARY, ["a", "b", "c"])
    season.decided("close", "2026-01")
    if randomness.randrange(2):
        said = ("--reason", "wrong", "--by", "A. Clerk", "--on", "2026-02-05")
        season.decided("cancel", "ALPENLAND-000001", *said)
        season.decided("close", "2026-01")
    season.deliver(JANUARY, ["a", "b", "c", "late"])
    season.deliver(FEBRUARY, ["a", "b"])
    season.disturb(FEBRUARY)
    season.killed("load")
    season.deliver(FEBRUARY, ["a", "b"])
    if randomness.randrange(2):
        season.retract("heartbeat", FEBRUARY)
        season.decided("close", "2026-02", code=3)
        season.waive("2026-02")
    season.decided("close", "2026-02")
    if randomness.randrange(2):
        season.killed("rebuild")
    season.compare()
    return season.count


class _Season:
    def __init__(
        self, warm: Warm, folder: Path, randomness: random.Random, tell: Callable[[str], None]
    ) -> None:
        self.warm, self.folder, self.randomness, self.tell = warm, folder, randomness, tell
        self.count = Count(0, 0)
        self.houses = tuple(
            House(folder / name / "home", folder / name / "landing", folder / name / "seeds")
            for name in ("killed", "clean")
        )
        for house in self.houses:
            tiny.seeds(house.seeds)
        # What the last run of a command to its end was like, to aim the next kill at it.
        self._last: dict[str, Ended] = {}

    def deliver(self, day: str, names: list[str]) -> None:
        for house in self.houses:
            for retraction in house.landing.glob(f"*/{day}/*.retracted.json"):
                retraction.unlink()
            tiny.month_end(house.landing, day, tiny.usage("C1", names, f"{day[:8]}20"))

    def disturb(self, day: str) -> None:
        """Some files of a day delivered again, copied, replaced, taken back or spoilt."""
        files = sorted(self.houses[0].landing.glob(f"*/{day}/*.csv"))
        for one in self.randomness.sample(files, 3):
            kind = self.randomness.choice(_KINDS)
            name = one.relative_to(self.houses[0].landing)
            cut = self.randomness.randrange(1, one.stat().st_size)
            for house in self.houses:
                _disturb(house.landing / name, kind, cut)
            self.tell(f"  {kind} {name}")

    def retract(self, feed: str, day: str) -> None:
        for house in self.houses:
            (path,) = (house.landing / feed / day).glob("*.csv")
            _disturb(path, "retract", 0)

    def waive(self, period: str) -> None:
        """Decide to bill whatever is held, by the ids the killed house shows."""
        path = self.houses[0].home / "published/current.duckdb"
        with duckdb.connect(path, read_only=True) as conn:
            ids = conn.execute(
                "select discrepancy_id from billing.draft_discrepancies "
                "where period = ? and severity = 'blocking' and state = 'open' order by all",
                [period],
            ).fetchall()
        assert ids
        for house in self.houses:
            with (house.seeds / "waivers.csv").open("a") as waivers:
                for (one,) in ids:
                    waivers.write(f"{one},bill,no firewall is sold here,A. Clerk,2026-03-01\n")

    def killed(self, command: str, *arguments: str, code: int = 0) -> None:
        """Kill the command once or twice, then run it to its end."""
        killed = self.houses[0]
        if command == "load":
            arguments = ()
        for _ in range(self.randomness.choice([1, 1, 2])):
            self._kill(killed, command, arguments)
            fault = torn(killed)
            if fault:
                self.count.torn += 1
                self.tell(f"  TORN {command}: {fault}")
        ended = self.warm.does(killed, "muster", command, *arguments)
        assert ended.code == code, (command, arguments, ended.code, ended.log)
        self._last[command] = ended
        self.tell(f"  {command} {' '.join(arguments[:1])}")

    def decided(self, command: str, *arguments: str, code: int = 0) -> None:
        """The same, and the command without a kill in the clean house."""
        self.killed(command, *arguments, code=code)
        ended = self.warm.does(self.houses[1], "muster", command, *arguments)
        # A person may find the period cancelled: that is what the first run said too.
        assert ended.code == code, (command, arguments, ended.log)

    def compare(self) -> None:
        killed, clean = self.houses
        self.warm.does(clean, "muster", "load")
        rebuilt = House(self.folder / "rebuilt" / "home", self.folder / "no", self.folder / "none")
        rebuilt.home.mkdir(parents=True)
        for name in ("archive", "ledger"):
            shutil.copytree(killed.home / name, rebuilt.home / name)
        shutil.copyfile(killed.home / "journal", rebuilt.home / "journal")
        ended = self.warm.does(rebuilt, "muster", "rebuild")
        assert ended.code == 0, ended.log
        for other, name in ((clean, "clean"), (rebuilt, "rebuilt")):
            for what in (House.ledger, House.exports, House.marts):
                if what(killed) != what(other):
                    self.count.different += 1
                    pairs = what(killed).items() ^ what(other).items()
                    self.tell(f"  DIFFERENT from {name}: {sorted({key for key, _ in pairs})}")
        shutil.rmtree(self.folder)

    def _kill(self, house: House, command: str, arguments: tuple[str, ...]) -> None:
        last = self._last.get(command)
        if self.randomness.randrange(_SCRIPT_IN) == 0:
            seconds = self.randomness.uniform(1, 2 * last.seconds if last else 15)
            self.count.kills_of_scripts += _script_killed(house, command, arguments, seconds)
            return
        if self.randomness.randrange(2):
            point = self.randomness.randint(1, len(last.changes) if last else 60)
            ended = self.warm.does(house, "muster", command, *arguments, point=point)
            self.count.kills_at_a_change += ended.was_killed
        else:
            seconds = self.randomness.uniform(0.5, last.seconds if last else 10)
            ended = self.warm.does(house, "muster", command, *arguments, seconds=seconds)
            self.count.kills_after_a_time += ended.was_killed
        self.count.ended_before_the_kill += not ended.was_killed


def _disturb(path: Path, kind: str, cut: int) -> None:
    content = path.read_bytes()
    match kind:
        case "deliver again":
            path.unlink()
            path.write_bytes(content)
        case "copy":
            path.with_name(f"{path.stem}-copied.csv").write_bytes(content)
        case "replace":
            rows = content.splitlines(keepends=True)
            path.write_bytes(b"".join(rows[:-1] if len(rows) > 1 else rows))
        case "retract":
            retraction = {"sha256": durable.file_sha256(path), "who": "A. Clerk", "why": "a test"}
            path.with_name(f"{path.name}.retracted.json").write_text(json.dumps(retraction))
        case "truncate":
            path.write_bytes(content[:cut])
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
