"""Standard output and error that no name or id can steer: control characters are shown, not obeyed.

Only what passes between a command and the terminal belongs here; how results look is `telling`.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ingest.reasons import printable

if TYPE_CHECKING:
    from rich.console import Console


class Printable:
    """A stream that writes `\\u001b` instead of an escape character, and so on.

    Line breaks and tabs are ours and pass; so does everything that a person can read. The form is
    the one of JSON, so that what is printed as JSON says the same.
    """

    def __init__(self, stream: TextIO) -> None:
        # Under this name Rich finds the stream to write its own escape sequences to; the cells and
        # words it is given are made printable by themselves.
        self.rich_proxied_file = stream
        self.send: Callable[[str], object] = stream.write

    def write(self, text: str) -> int:
        self.send("\n".join(_line(part) for part in text.split("\n")))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def _line(text: str) -> str:
    return "\t".join(printable(part, longest=None) for part in text.split("\t"))


def _as_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


@contextmanager
def printable_output() -> Iterator[None]:
    """Both streams, while a command runs."""
    before = sys.stdout, sys.stderr
    # A stream that the caller closed is None.
    streams = [one or Path(os.devnull).open("w", encoding="utf-8") for one in before]  # noqa: SIM115
    codecs.register_error("as_json", _as_json)
    for one in streams:
        if isinstance(one, io.TextIOWrapper) and codecs.lookup(one.encoding).name == "ascii":
            # click takes ASCII for a mistake and would write UTF-8 past what is done here.
            one.reconfigure(encoding="utf-8")
        # A terminal that is not UTF-8 gets `\\u0142` for what it cannot show, not an error.
        if isinstance(one, io.TextIOWrapper) and one.errors == "strict":
            one.reconfigure(errors="as_json")
    sys.stdout, sys.stderr = Printable(streams[0]), Printable(streams[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def exact(stream: TextIO) -> TextIO:
    """The stream for a machine's exact values; a terminal gets printable ones all the same."""
    return stream if stream.isatty() else unguarded(stream)


def unguarded(stream: TextIO) -> TextIO:
    """What is behind a printable stream, for what may steer the terminal."""
    return getattr(stream, "rich_proxied_file", stream)


@contextmanager
def printed_above(console: Console) -> Iterator[None]:
    """While a line of `console` changes at the bottom of the terminal, other text goes above it.

    Rich would do so by proxies around our streams, which then show its escape sequences instead of
    sending them, and would send to the terminal what was to go into a file.
    """
    from rich.file_proxy import FileProxy

    guards = [one for one in (sys.stdout, sys.stderr) if isinstance(one, Printable)]
    above = {one: FileProxy(console, one.rich_proxied_file) for one in guards if one.isatty()}
    for guard, proxy in above.items():
        guard.send = proxy.write
    try:
        yield
    finally:
        for guard, proxy in above.items():
            proxy.flush()
            guard.send = guard.rich_proxied_file.write
