"""Writing files that survive a crash: renamed when complete, or appended to and fsynced.

Only bytes and names belong here. What a file means is decided by its caller.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def temporary_path(path: Path) -> Path:
    """The hidden name beside `path` that a write uses until it is complete.

    It depends on nothing but `path`, so whatever a crash leaves behind is overwritten by the
    next attempt. The leading dot keeps it apart from ids, which begin with a letter or digit.
    """
    return path.with_name(f".{path.name}.tmp")


def write_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader sees the whole file or none of it.

    Raises OSError naming the path and the bytes needed, for instance when the disk is full.
    """
    temporary = temporary_path(path)
    with needing(path, len(data)):
        make_directory(path.parent)
        temporary.write_bytes(data)
        publish_file(temporary, path)


@contextmanager
def needing(path: Path, size: int) -> Iterator[None]:
    """An OSError of the body names `path` and the bytes needed; a full disk's own names neither."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({size} bytes needed)", str(path)) from error


def append_file(path: Path, intact: int, data: bytes) -> None:
    """Put `data` behind the first `intact` bytes of `path`; what follows them, torn off by a crash,
    is cut away first.

    Durable on return. Raises OSError naming the path and the bytes needed.
    """
    is_new = not path.exists()
    make_directory(path.parent)
    try:
        with path.open("ab", buffering=0) as target:
            target.truncate(intact)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[target.write(rest) :]
                os.fsync(target.fileno())
            except OSError:
                # A full disk may have taken half a line: leave none of it behind.
                target.truncate(intact)
                raise
    except OSError as error:
        raise OSError(
            error.errno, f"{error.strerror} ({len(data)} bytes needed)", str(path)
        ) from error
    if is_new:
        sync(path.parent)


def publish_file(temporary: Path, path: Path) -> None:
    """Make a completely written temporary file durable and give it its final name."""
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


def make_directory(path: Path) -> None:
    """Create `path` and its parents; each new name is durable before anything is put inside."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def replace_directory(new: Path, path: Path, aside: Path) -> None:
    """Swap the directory `path` for `new`; the old one waits under `aside` until that is done.

    A directory cannot be renamed over another one. A crash between the two renames leaves
    `path` missing for the moment, never mixed; the next call puts it right.
    """
    for directory, _, names in os.walk(new):
        for name in names:
            sync(Path(directory) / name)
        sync(Path(directory))
    if path.exists():
        path.replace(aside)
    new.replace(path)
    sync(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """fsync a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
