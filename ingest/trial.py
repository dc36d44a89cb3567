"""A Parquet file that may end the process that reads it is read by a child process first.

One flipped bit, or a few bytes that unpack to more than there is, make the reader ask for more
memory than there is, which ends the process and could not be caught in ours. Only whether a file
can be read belongs here, not what is in it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import polars as pl

# What a read takes of the address space beside its result: threads, buffers, what was freed and is
# kept. A read of a good file took a quarter of it.
_BESIDE = 2 << 30
# Values as they are in the file, unpacked and in columns, at the same time.
_TIMES = 4


@dataclass(frozen=True)
class Tried:
    """How reading a file ended the child, and what it raised; None for what it did not."""

    ended: str | None = None
    raised: str | None = None


_child: subprocess.Popen[str] | None = None
_one_at_a_time = threading.Lock()


def try_to_read(path: Path, most: int | None) -> Tried:
    """Read a file in the child, which may take a few times `most` bytes for it.

    A file whose number of rows alone promises more is not read. The child is started once and used
    again until it ends; it ends with this process.
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
            child.stdin.write(json.dumps([str(path), most]) + "\n")
            child.stdin.flush()
            if answer := child.stdout.readline():
                return Tried(raised=json.loads(answer))
        except BrokenPipeError:
            pass
        code = child.wait()
        return Tried(ended=f"signal {-code}" if code < 0 else f"exit code {code}")


def smallest_size(rows: int, schema: pl.Schema) -> int:
    """What so many rows take in memory at least, however well they are packed: a text takes 16
    bytes and its own length."""
    texts = sum(isinstance(one, pl.String | pl.Categorical | pl.Enum) for one in schema.dtypes())
    return rows * (8 * len(schema) + 8 * texts)


def _read(path: str, most: int | None) -> None:
    if most is not None:
        _allow(_BESIDE + _TIMES * most)
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    rows = scan.select(pl.len()).collect().item()
    if most is None or smallest_size(rows, scan.collect_schema()) <= most:
        pl.read_parquet(path, glob=False, hive_partitioning=False)


def _allow(more: int) -> None:
    """Let this process grow by so much, where the system can say how large it is."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (soft if hard < 0 else min(soft, hard), hard))


def _serve() -> None:
    # The end of this process is an answer; nobody wants its memory on a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        raised = None
        try:
            _read(*json.loads(line))
        except (Exception, pl.exceptions.PanicException) as error:
            raised = (str(error).strip().splitlines() or [type(error).__name__])[0]
        print(json.dumps(raised), flush=True)


if __name__ == "__main__":
    _serve()
