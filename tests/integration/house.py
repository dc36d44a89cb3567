"""A home with its landing folder, and a way to run `muster` on it as a person would.

What the tests compare is read here; what they promise stands in them.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ingest.simulate import plant_references

REPOSITORY = Path(__file__).parents[2]
SEEDS = REPOSITORY / "seeds"
PERIODS = ("2026-01", "2026-02")
FIRST_DAY, LAST_DAY = date(2026, 1, 1), date(2026, 2, 28)
PLANTED = "cascadia"
CLEAN = ("alpenland", "sakura")
# An alert command: it appends the event it is given to the file it is called with.
PAGER = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
# Enough for every role and plant of the simulator to be there.
SIZE = {"partners": 12, "customers": 150, "devices": 1500, "seed": 3}


@dataclass(frozen=True)
class House:
    """A home, its landing folder, and `muster` on both."""

    home: Path
    landing: Path
    seeds: Path = field(default_factory=lambda: planted_seeds())
    environment: dict[str, str] = field(default_factory=dict)

    def muster(self, *arguments: str, expect: int = 0) -> str:
        """Run the command line in a process of its own; all it says."""
        result = self._run(*arguments, expect=expect)
        return result.stdout + result.stderr

    def command(self, *arguments: str) -> list[str]:
        """The command line of the console script, for whoever starts it otherwise."""
        command = [str(Path(sys.executable).parent / "muster")]
        command += ["--home", str(self.home), "--landing", str(self.landing)]
        return [*command, "--seeds", str(self.seeds), *arguments]

    def _run(self, *arguments: str, expect: int) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **self.environment},
        )
        assert result.returncode == expect, (arguments, result.stdout, result.stderr)
        return result

    def ask(self, *arguments: str, expect: int = 0) -> Any:
        return json.loads(self._run(*arguments, "--json", expect=expect).stdout)

    def exports(self) -> dict[str, str]:
        return tree(self.home / "exports")

    def ledger(self) -> dict[str, str]:
        return tree(self.home / "ledger")

    def marts(self) -> dict[str, str]:
        manifest = json.loads((self.home / "published/marts/manifest.json").read_text())
        return {mart["file"]: mart["sha256"] for mart in manifest["marts"]}


@functools.cache
def planted_seeds() -> Path:
    """The reference data of the planted vendor, made once; a test that changes them copies them."""
    folder = tempfile.TemporaryDirectory(prefix="planted-")
    atexit.register(folder.cleanup)
    plant_references(SEEDS, Path(folder.name) / "seeds", FIRST_DAY, PLANTED)
    return Path(folder.name) / "seeds"


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder, by name and SHA-256."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
