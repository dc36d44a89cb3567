"""One writer per home: a lock that ends with its process and names its holder.

The lock is the operating system's (flock), so a killed run leaves none behind; the text in the
file only tells a person who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from invoicing import durable

# Short, and at least one retry: `holder` takes the lock for an instant to see whether it is free.
_POLL_SECONDS = 0.1

# Locks this process holds, with how often it took them: a command holds the lock over several
# runs, and each of those runs takes it again.
_held: dict[Path, tuple[IO[str], int]] = {}
_guard = threading.RLock()


class LockedError(RuntimeError):
    """Another process is writing to this home; the message names it."""


@contextmanager
def writer(path: Path, what: str, *, wait_seconds: float = 0.5) -> Iterator[None]:
    """Hold the lock at `path` while the body runs; `what` says what is running.

    Taking it again in the same process is allowed. Raises LockedError when another process still
    holds it after `wait_seconds`.
    """
    _take(path, what, wait_seconds)
    try:
        yield
    finally:
        _leave(path)


def holder(path: Path) -> str | None:
    """Who holds the lock, in words, or None when nobody does."""
    if not path.exists():
        return None
    with _guard:
        if path in _held:
            return _holder_in_words(path)
    # For reading: whoever asks need not be allowed to write to this home.
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return _holder_in_words(path)
    return None


def _take(path: Path, what: str, wait_seconds: float) -> None:
    with _guard:
        if path in _held:
            file, count = _held[path]
            _held[path] = (file, count + 1)
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    # "a+" creates the file and does not empty it: the holder's text must survive a refused try.
    file = path.open("a+", encoding="utf-8")
    give_up_at = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if time.monotonic() >= give_up_at:
                file.close()
                raise LockedError(
                    f"{_holder_in_words(path)} is writing to {path.parent}. "
                    f"Wait until it is done and run this again."
                ) from error
            time.sleep(_POLL_SECONDS)
    text = json.dumps({"pid": os.getpid(), "what": what}) + "\n"
    with durable.needing(path, len(text)):
        try:
            file.truncate(0)
            file.write(text)
            file.flush()
        except OSError:
            with suppress(OSError):  # what could not be written is tried once more
                file.close()
            raise
    with _guard:
        _held[path] = (file, 1)


def _leave(path: Path) -> None:
    with _guard:
        file, count = _held[path]
        if count > 1:
            _held[path] = (file, count - 1)
            return
        del _held[path]
    file.truncate(0)
    file.close()


def _holder_in_words(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"Process {holder['pid']} ({holder['what']})"
    except (ValueError, KeyError, TypeError):
        # Read between another process's taking the lock and its writing its name.
        return "Another process"
