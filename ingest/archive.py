"""The archive of accepted bytes, one file per content, named by its SHA-256.

Only keeping and finding bytes belongs here; what they mean is for the journal and the parser.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

# Linux ioctl FICLONE: the new file shares the old one's blocks until one of them is written to.
_FICLONE = 0x40049409
_CHUNK = 1 << 20


class ArchiveError(Exception):
    """An archived file is missing or damaged."""


class UnreadError(Exception):
    """A file is gone, or could not be read to its end; the archive is as it was."""


@contextmanager
def needing(path: Path, size: int) -> Iterator[None]:
    """An OSError of the body names `path` and the bytes needed; a full disk's own names neither."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({size} bytes needed)", str(path)) from error


class Archive:
    """`root/<sha256>`: written once, never changed.

    Files are cloned where the file system can (btrfs, XFS), copied elsewhere, never hard-linked:
    a landing file edited in place would change the archive through a hard link.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Where these bytes are, or would be."""
        return self.root / sha256

    def add(self, path: Path) -> str:
        """Keep a copy of the file and return the SHA-256 of what was kept.

        Durable on return. The hash is taken of the copy, so a file that is being written to
        meanwhile cannot end up under a name that is not its content's. Raises UnreadError when it
        is gone or cannot be read, OSError when the archive does not take it.
        """
        with _opened(path) as source:
            with _reading(path):
                known = hashlib.file_digest(source, "sha256").hexdigest()
                source.seek(0)
            if self._holds(known):
                return known
            temporary = self._temporary(known)
            with needing(self.path(known), os.fstat(source.fileno()).st_size):
                self.root.mkdir(parents=True, exist_ok=True)
                try:
                    with temporary.open("w+b") as target:
                        try:
                            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
                        except OSError:
                            _copy(source, target, path)
                        target.flush()
                        target.seek(0)
                        sha256 = hashlib.file_digest(target, "sha256").hexdigest()
                        os.fsync(target.fileno())
                    self._publish(temporary, sha256)
                finally:
                    temporary.unlink(missing_ok=True)
        return sha256

    def add_bytes(self, content: bytes) -> str:
        """Keep these bytes and return their SHA-256; durable on return. Raises OSError."""
        sha256 = hashlib.sha256(content).hexdigest()
        if self._holds(sha256):
            return sha256
        temporary = self._temporary(sha256)
        with needing(self.path(sha256), len(content)):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as target:
                    target.write(content)
                    target.flush()
                    os.fsync(target.fileno())
                self._publish(temporary, sha256)
            finally:
                temporary.unlink(missing_ok=True)
        return sha256

    def verified(self, sha256: str) -> Path:
        """The path of these bytes after rereading them all.

        Raises ArchiveError when they are missing or are no longer what their name says.
        """
        path = self.path(sha256)
        try:
            with path.open("rb") as source:
                found = hashlib.file_digest(source, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise ArchiveError(
                f"{path} is missing from the archive: copy it back from objects/ of a backup, "
                "where it has the same name"
            ) from error
        if found != sha256:
            raise ArchiveError(
                f"{path} is damaged (its SHA-256 is now {found}): copy it back from objects/ of a "
                "backup, where it has the same name"
            )
        return path

    def missing(self, wanted: Iterable[str]) -> list[str]:
        """Those of these hashes that no file is named by, sorted; no byte of the others is read."""
        try:
            with os.scandir(self.root) as entries:
                there = {entry.name for entry in entries}
        except FileNotFoundError:
            there = set()
        return sorted(set(wanted) - there)

    def sweep(self) -> None:
        """Remove half-written copies that a killed process left behind."""
        for leftover in self.root.glob(".*"):
            if leftover.suffix != f".{os.getpid()}":
                leftover.unlink(missing_ok=True)

    def _holds(self, sha256: str) -> bool:
        """Whether these bytes are there, read again; damaged ones are written over."""
        try:
            self.verified(sha256)
        except ArchiveError:
            return False
        return True

    def _temporary(self, sha256: str) -> Path:
        return self.root / f".{sha256}.{os.getpid()}"

    def _publish(self, temporary: Path, sha256: str) -> None:
        temporary.chmod(0o440)
        temporary.rename(self.path(sha256))
        directory = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    with _reading(path):
        source = path.open("rb")
    with source:
        yield source


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What goes wrong in the body is the file's that is read, not the archive's."""
    try:
        yield
    except OSError as error:
        raise UnreadError(f"{error.strerror or error}: {path}") from error


def _copy(source: BinaryIO, target: BinaryIO, path: Path) -> None:
    while True:
        with _reading(path):
            chunk = source.read(_CHUNK)
        if not chunk:
            return
        target.write(chunk)
