"""The ledger's heads: an append-only line for every document and dispute note, chained to the last.

It witnesses what was committed, in which order. Whether the files agree is `ledger`'s to say.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from invoicing import durable
from invoicing.canonical import canonical_json, sha256

# Lies among the distributors' folders, so no distributor may have this id.
FILE = "heads.jsonl"


class HeadsError(RuntimeError):
    """The file of heads is not what was written."""


@dataclass(frozen=True)
class Committed:
    """A file of the ledger as it was committed; `file` is its path inside the ledger.

    For a document: its sequence, its number and the SHA-256 of its bytes. For disputes.jsonl: the
    sequence and document number of its newest note, and the SHA-256 of the file up to that note.
    """

    file: str
    sequence: int
    number: str | None
    file_sha256: str


@dataclass(frozen=True)
class Anchor:
    """One line of the file. `sha256` is over everything else in the line, so also over all before.

    Whoever has noted it down can show later that nothing up to this line was rewritten.
    """

    line: int
    previous_sha256: str | None
    committed: Committed

    @property
    def sha256(self) -> str:
        return sha256(canonical_json(self._value()))

    def to_line(self) -> bytes:
        """The line in the file, with its line break."""
        return canonical_json({**self._value(), "sha256": self.sha256})

    @classmethod
    def from_line(cls, line: bytes) -> Anchor:
        """Raises ValueError, KeyError or TypeError when the line is not one that was written."""
        value = json.loads(line.decode())
        own = value.pop("sha256")
        anchor = cls(value.pop("line"), value.pop("previous_sha256"), Committed(**value))
        if anchor.to_line() != line + b"\n":
            raise ValueError(f"its sha256 is {own}, of what it says {anchor.sha256}")
        return anchor

    def _value(self) -> dict[str, object]:
        return {
            "line": self.line,
            "previous_sha256": self.previous_sha256,
            **dataclasses.asdict(self.committed),
        }


@dataclass(frozen=True)
class Heads:
    """The file as read. `torn` is what a crash left behind its last whole line."""

    anchors: tuple[Anchor, ...] = ()
    intact: int = 0
    torn: bytes = b""

    @property
    def sha256(self) -> str | None:
        """What an outsider notes down: it stands for all that was ever committed."""
        return self.anchors[-1].sha256 if self.anchors else None

    def of(self, file: str) -> list[Anchor]:
        return [one for one in self.anchors if one.committed.file == file]

    def document_sha256(self, dispute_file: str) -> str | None:
        """The hash of the document that was committed last, whoever's it is."""
        for anchor in reversed(self.anchors):
            if anchor.committed.file != dispute_file:
                return anchor.committed.file_sha256
        return None


def read(root: Path) -> Heads:
    """The heads of the ledger at `root`, none when there is no file.

    Raises HeadsError naming the line that is not as it was written or does not follow the last.
    """
    try:
        content = (root / FILE).read_bytes()
    except FileNotFoundError:
        return Heads()
    *lines, torn = content.split(b"\n")
    anchors: list[Anchor] = []
    for position, line in enumerate(lines, start=1):
        previous = anchors[-1].sha256 if anchors else None
        try:
            anchor = Anchor.from_line(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise HeadsError(f"{FILE}: line {position} is damaged ({why})") from error
        if (anchor.line, anchor.previous_sha256) != (position, previous):
            raise HeadsError(
                f"{FILE}: line {position} is line {anchor.line} after {anchor.previous_sha256}, "
                f"should be after {previous}: lines are missing, moved or added"
            )
        anchors.append(anchor)
    return Heads(tuple(anchors), len(content) - len(torn), torn)


def append(root: Path, heads: Heads, committed: Iterable[Committed]) -> Heads:
    """Write a line for each behind what `heads` read; durable on return. Returns what there is now.

    Nothing is written when there is nothing to add and nothing torn to cut away.
    """
    anchors, added = list(heads.anchors), b""
    for one in committed:
        previous = anchors[-1].sha256 if anchors else None
        anchors.append(Anchor(len(anchors) + 1, previous, one))
        added += anchors[-1].to_line()
    if added or heads.torn:
        durable.append_file(root / FILE, heads.intact, added)
    return Heads(tuple(anchors), heads.intact + len(added))
