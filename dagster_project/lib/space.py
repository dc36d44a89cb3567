"""How much room a home takes, and how long what is free lasts at that rate.

Measuring only; what a person is told of it is `lib/status`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Space:
    """Bytes. `a_day` is what one loaded day took on average, everything made of it included.

    A home grows by its archive every day, and by what is computed from it about as much; so the
    average is what the next days will take, unless the vendor grows. None before the first day.
    """

    home: int
    free: int
    days: int

    @property
    def a_day(self) -> int | None:
        return self.home // self.days if self.days else None

    @property
    def days_left(self) -> int | None:
        return self.free // self.a_day if self.a_day else None


def space(home: Path, days: int) -> Space:
    """`days` is how many snapshot dates are loaded. A home that is not there takes no room."""
    there = home
    while not there.exists():
        there = there.parent
    return Space(home=_size(home), free=shutil.disk_usage(there).free, days=days)


def _size(folder: Path) -> int:
    """What the files of a folder take on disk; files that go away meanwhile are not counted."""
    try:
        with os.scandir(folder) as entries:
            return sum(
                _size(Path(entry.path))
                if entry.is_dir(follow_symlinks=False)
                else entry.stat(follow_symlinks=False).st_blocks * 512
                for entry in entries
            )
    except FileNotFoundError:
        return 0
