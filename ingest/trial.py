"""A Parquet file that nothing vouches for is read by a child process first.

One flipped bit can make the reader ask for more memory than there is, which ends the process and
could not be caught in ours. Only whether a file can be read belongs here, not what is in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl

_child: subprocess.Popen[str] | None = None
_one_at_a_time = threading.Lock()


def ends_the_reader(path: Path, most_cells: int | None) -> str | None:
    """How reading this file ended the child, None when it did not; what it raised is no matter.

    A file that promises more cells than `most_cells` is not read. The child is started once and
    used again until it ends; it ends with this process.
    """
    global _child
    with _one_at_a_time:
        if _child is None or _child.poll() is not None:
            _child = subprocess.Popen(
                # Isolated: it needs Polars and nothing of ours.
                [sys.executable, "-I", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="ascii",
            )
        child = _child
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps([str(path), most_cells]) + "\n")
            child.stdin.flush()
            if child.stdout.readline():
                return None
        except BrokenPipeError:
            pass
        code = child.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _read(path: str, most_cells: int | None) -> None:
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    rows = scan.select(pl.len()).collect().item()
    if most_cells is None or rows * len(scan.collect_schema()) <= most_cells:
        pl.read_parquet(path, glob=False, hive_partitioning=False)


def _serve() -> None:
    for line in sys.stdin:
        try:
            _read(*json.loads(line))
        except (Exception, pl.exceptions.PanicException):
            # The parent meets the same error, and tells it.
            print("refused", flush=True)
        else:
            print("read", flush=True)


if __name__ == "__main__":
    _serve()
