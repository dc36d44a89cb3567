"""The order of system calls: bytes are on the disk before a name leads to them, and the name is on
the disk before anything rests on it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scenarios import Scenario

_CALLS = "openat,write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2"
# 123 rename("/a", "/b") = 0        123 fsync(7</a>) = 0
_CALL = re.compile(r"^\d+ +(?P<call>\w+)\((?P<rest>.*)\) += (?P<result>-?\d+)")
_OPEN_FILE = re.compile(r"^\d+<(?P<path>/[^>]*)>")
_NAMES = re.compile(r'"(?P<path>[^"]*)"')

# What makes a piece of work count, in a path below the home.
COMMITS = {
    "seeds received": r"archive/[0-9a-f]{64}$|warehouse\.duckdb$",
    "files received": r"archive/[0-9a-f]{64}$",
    "gate, ledger and exports": r"ledger/.*\.(json|parquet)$|exports/2026-01/alpenland$",
    "invoice taken back": r"ledger/alpenland/000002\..*$|exports/2026-01/alpenland$",
    "publication": r"published/(warehouse-.*|current\.duckdb|marts|.*manifest\.json)$",
}


@pytest.mark.parametrize("name", COMMITS)
def test_bytes_before_names_and_names_before_what_rests_on_them(
    scenarios: dict[str, Scenario], tmp_path: Path, name: str
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    house = scenarios[name].house(tmp_path)
    if name == "seeds received":
        (house.home / "warehouse.duckdb").unlink(missing_ok=True)
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={_CALLS}", "-o", str(trace)]
    command += [sys.executable, str(Path(__file__).with_name("warm.py"))]
    command += [str(house.home), str(house.landing), str(house.seeds), *scenarios[name].work]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    faults, commits = _faults(trace.read_text(errors="replace"), house.home, COMMITS[name])
    assert faults == []
    assert len(commits) >= 2, "nothing was traced"


def test_the_trace_is_read_right() -> None:
    """Renamed without an fsync, renamed after one and another write, never made durable."""
    text = "\n".join(
        [
            "1 write(3</h/a.tmp>, ...) = 5",
            '1 rename("/h/a.tmp", "/h/a") = 0',
            "1 fsync(4</h>) = 0",
            "1 write(3</h/b.tmp>, ...) = 5",
            "1 fsync(3</h/b.tmp>) = 0",
            "1 write(3</h/b.tmp>, ...) = 5",
            '1 rename("/h/b.tmp", "/h/b") = 0',
            "1 write(3</h/c.tmp>, ...) = 5",
            "1 fsync(3</h/c.tmp>) = 0",
            '1 rename("/h/c.tmp", "/h/c") = 0',
        ]
    )
    faults, commits = _faults(text, Path("/h"), "^[abc]$")
    assert commits == ["a", "b", "c"]
    assert faults == [
        "a: renamed before its bytes were on the disk (/h/a.tmp)",
        "b: renamed before its bytes were on the disk (/h/b.tmp)",
        "c: renamed while the name of b was not on the disk",
        "c: its name was never made durable",
    ]
    text = "\n".join(
        [
            '1 rename("/h/a.tmp", "/h/a") = 0',
            "1 write(3</h/journal>, ...) = 5",
            "1 fsync(4</h>) = 0",
            "1 pwrite64(5</h/warehouse.duckdb.wal>, ..., 5, 0) = 5",
        ]
    )
    assert _faults(text, Path("/h"), "^a$")[0] == [
        "journal: written while ['a'] was not on the disk",
        "warehouse: written while the journal was not on the disk",
        "journal: its last line was never made durable",
    ]


def _faults(text: str, home: Path, commits: str) -> tuple[list[str], list[str]]:
    """What is wrong with the order of the calls, and the names that were committed in it."""
    dirty: set[str] = set()  # written to since their last fsync
    unsynced: dict[str, str] = {}  # folder → the name committed in it since its last fsync
    faults: list[str] = []
    committed: list[str] = []
    for line in text.splitlines():
        found = _CALL.match(line)
        if not found or found["result"] == "-1":
            continue
        call, rest = found["call"], found["rest"]
        if call.startswith("rename"):
            old, new = [one["path"] for one in _NAMES.finditer(rest)]
            old, new = os.path.normpath(old), os.path.normpath(new)
            name = new.removeprefix(f"{home}/")
            if re.search(commits, name) and new.startswith(f"{home}/"):
                faults += [
                    f"{name}: renamed before its bytes were on the disk ({path})"
                    for path in sorted(dirty)
                    if path == old or path.startswith(f"{old}/")
                ]
                faults += [
                    f"{name}: renamed while the name of {other} was not on the disk"
                    for other in unsynced.values()
                ]
                committed.append(name)
                unsynced[str(Path(new).parent)] = name
            dirty = {path for path in dirty if path != old and not path.startswith(f"{old}/")}
            continue
        opened = _OPEN_FILE.match(rest)
        if not opened:
            continue
        path = opened["path"]
        if call in ("fsync", "fdatasync"):
            dirty.discard(path)
            unsynced.pop(path, None)
        elif call != "openat":
            dirty.add(path)
            # A line of the journal rests on the archive's names, the raw tables on the journal.
            if path == f"{home}/journal" and unsynced:
                faults.append(f"journal: written while {[*unsynced.values()]} was not on the disk")
            if path.startswith(f"{home}/warehouse.duckdb") and f"{home}/journal" in dirty:
                faults.append("warehouse: written while the journal was not on the disk")
    if f"{home}/journal" in dirty:
        faults.append("journal: its last line was never made durable")
    faults += [f"{name}: its name was never made durable" for name in unsynced.values()]
    return faults, committed
