"""Run inside a mount namespace of its own: each piece on a small disk that is full, then not.

Prints one JSON object a try. Which answers are right stands in `test_full_disk`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

import killing
from scenarios import Scenario, finish, state, torn

# What is left of the disk, in bytes: nothing, less than a document, less than a folder, less than
# a database. A piece that ends well with one of them is not tried with more.
_LEFT = (0, 12_000, 60_000, 400_000, 2_000_000, 8_000_000, 30_000_000)


def main(disk: Path, asked: str) -> None:
    # What the pieces say is written beside the disk: it must not be lost when that is full.
    with killing.warm(disk.parent) as warm:
        for scenario in (Scenario(n, Path(s), tuple(w)) for n, s, w in json.loads(asked)):
            house = scenario.house(disk / "whole")
            whole = warm.does(house, *scenario.work)
            assert whole.code == 0, whole.log
            expected = state(house)
            for left in _LEFT:
                house = scenario.house(disk / "full")
                published = house.home / "published/marts"
                before = house.marts() if published.exists() else None
                _fill(disk / "ballast", left)
                ended = warm.does(house, *scenario.work)
                after = house.marts() if published.exists() else None
                told = {
                    "name": scenario.name,
                    "left": left,
                    "code": ended.code,
                    "said": ended.log,
                    "torn": torn(house),
                    "publication stays": before == after,
                }
                (disk / "ballast").unlink()
                told["different afterwards"] = finish(warm, house, scenario, expected)
                print(json.dumps(told), flush=True)
                if ended.code == 0:
                    break


def _fill(ballast: Path, left: int) -> None:
    disk = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - left)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
