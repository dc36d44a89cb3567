"""The archive keeps bytes under their hash, whatever happens to the file they came from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ingest.archive import Archive, ArchiveError


def test_bytes_are_kept_under_their_hash(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    source = tmp_path / "file"
    source.write_bytes(b"one")
    sha256 = archive.add(source)
    assert sha256 == hashlib.sha256(b"one").hexdigest() == archive.add_bytes(b"one")
    assert archive.verified(sha256).read_bytes() == b"one"
    assert [path.name for path in archive.root.iterdir()] == [sha256]


def test_an_edit_in_place_does_not_reach_the_archive(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    source = tmp_path / "file"
    source.write_bytes(b"one")
    sha256 = archive.add(source)
    with source.open("r+b") as file:
        file.write(b"two")
    assert archive.path(sha256).read_bytes() == b"one"


def test_damage_and_loss_are_named(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    sha256 = archive.add_bytes(b"one")
    archive.path(sha256).chmod(0o644)
    archive.path(sha256).write_bytes(b"onf")
    with pytest.raises(ArchiveError, match=r"is damaged .* copy it back from objects/ of a backup"):
        archive.verified(sha256)
    archive.path(sha256).unlink()
    with pytest.raises(ArchiveError, match="is missing from the archive"):
        archive.verified(sha256)


def test_a_failed_copy_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(tmp_path / "archive")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    source = tmp_path / "file"
    source.write_bytes(b"one")
    with pytest.raises(OSError, match="No space left"):
        archive.add(source)
    with pytest.raises(OSError, match="No space left"):
        archive.add_bytes(b"two")
    assert list(archive.root.iterdir()) == []


def test_damaged_bytes_that_are_delivered_again_are_mended(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    source = tmp_path / "file"
    source.write_bytes(b"one")
    sha256 = archive.add(source)
    for add in (lambda: archive.add(source), lambda: archive.add_bytes(b"one")):
        archive.path(sha256).chmod(0o644)
        archive.path(sha256).write_bytes(b"onf")
        assert add() == sha256
        assert archive.verified(sha256).read_bytes() == b"one"


def test_what_is_missing_is_named_without_reading(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    assert archive.missing(["b", "a"]) == ["a", "b"]
    sha256 = archive.add_bytes(b"one")
    assert archive.missing(["b", sha256]) == ["b"]
