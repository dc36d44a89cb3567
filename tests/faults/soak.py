"""`make soak`: hundreds of kills at random, each followed by the same work run to its end.

What is killed is in `scenarios` (pieces) and `season` (whole commands); here is how often.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

# What the integration tests share: a small vendor, and `muster` on a home.
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

import killing
import scenarios
import season


def main() -> int:
    """Exit code 0 when nothing was lost, doubled, torn or different."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--pieces", type=int, default=500, help="kills of pieces [500]")
    asked.add_argument("--seasons", type=int, default=5, help="seasons of whole commands [5]")
    asked.add_argument("--seed", type=int, default=1, help="same seed, same kills [1]")
    asked.add_argument("--folder", type=Path, help="work here [a temporary folder]")
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-", dir=wanted.folder) as folder:
        rows: list[tuple[str, ...]] = []
        faults = 0
        with killing.warm(Path(folder)) as warm:
            if wanted.pieces:
                faults += _pieces(warm, Path(folder), wanted.pieces, wanted.seed, rows)
            if wanted.seasons:
                faults += _seasons(warm, Path(folder), wanted.seasons, wanted.seed, rows)
    for row in (_HEADERS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, _WIDTHS, strict=True)))
    print(f"{faults} faults." if faults else "Nothing was lost, doubled, torn or different.")
    return 1 if faults else 0


_HEADERS = (
    "what was killed",
    "at a change",
    "after a time",
    "a script",
    "not reached",
    "torn",
    "different",
)
_WIDTHS = (50, 11, 12, 8, 11, 5, 9)


def _pieces(
    warm: killing.Warm, folder: Path, kills: int, seed: int, rows: list[tuple[str, ...]]
) -> int:
    _tell("making the homes that the pieces start from")
    every = scenarios.scenarios(warm, folder / "start")
    faults = 0
    for number, scenario in enumerate(every):
        began = time.monotonic()
        share = kills * (number + 1) // len(every) - kills * number // len(every)
        count = scenarios.kill_again_and_again(
            warm, scenario, folder / "killed", share, random.Random(f"{seed} {number}"), _tell
        )
        rows.append(_row(f"{scenario.name} ({count.changes} changes)", count))
        faults += count.torn + count.different
        _tell(f"{scenario.name}: {count.kills} kills in {time.monotonic() - began:.0f} s")
    return faults


def _seasons(
    warm: killing.Warm, folder: Path, seasons: int, seed: int, rows: list[tuple[str, ...]]
) -> int:
    played, count = season.play(warm, folder, seasons, seed, _tell)
    rows.append(_row(f"whole commands ({played} seasons)", count))
    return count.torn + count.different


def _row(name: str, count: scenarios.Count) -> tuple[str, ...]:
    figures = (
        count.kills_at_a_change,
        count.kills_after_a_time,
        count.kills_of_scripts,
        count.ended_before_the_kill,
        count.torn,
        count.different,
    )
    return (name, *map(str, figures))


def _tell(text: str) -> None:
    print(f"{time.strftime('%X')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
