"""Has work done by children of one warm process, and kills them at a point or after a time.

Running and killing only; what must be true afterwards stands in the tests and in `soak`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from house import House

# Longer than any command here takes, on a busy machine too.
_AT_MOST_SECONDS = 300.0


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, negative for a signal; what it was about to change."""

    code: int
    seconds: float
    log: str
    changes: tuple[str, ...]

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL


@dataclass(frozen=True)
class Warm:
    """The warm process and where its children write what they say."""

    process: subprocess.Popen[str]
    log: Path

    def does(
        self,
        house: House,
        work: str,
        *arguments: str,
        point: int = 0,
        at: str = "",
        seconds: float = 0,
    ) -> Ended:
        """Have a piece of work of `warm` done; killed before change number `point` (from 1) to the
        home, before the first to a path with `at` in it, or after so many seconds, when given."""
        asked = {
            "work": work,
            "arguments": arguments,
            "home": str(house.home),
            "landing": str(house.landing),
            "seeds": str(house.seeds),
            "log": str(self.log),
            "point": point or None,
            "at": at or None,
            "seconds": seconds or _AT_MOST_SECONDS,
        }
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        ended = Ended(
            code=answer["code"],
            seconds=answer["seconds"],
            log=self.log.read_text(encoding="utf-8", errors="replace"),
            changes=tuple(Path(f"{self.log}.changes").read_text(encoding="utf-8").splitlines()),
        )
        assert ended.code in (0, 1, 3, -signal.SIGKILL), ended
        assert not ended.was_killed or point or at or seconds, f"it hung\n{ended.log}"
        return ended


@contextmanager
def warm(folder: Path) -> Iterator[Warm]:
    """A warm process; what its children say is written into `folder`."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("warm.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline()) == "ready"
        try:
            yield Warm(process, folder / "said")
        finally:
            assert process.stdin
            process.stdin.close()
