"""Which paths of a landing folder are deliveries."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from ingest.journal import Slot
from ingest.landing import Format, find


def touch(landing: Path, *names: str) -> None:
    for name in names:
        path = landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_names_tell_slot_and_format(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "usage/2026-01-16/eu-central.csv.gz",
        "usage/2026-01-15/eu.west.1.csv",
        "usage/2026-01-15/eu.west.1.csv.manifest.json",
        "customers/2026-01-15/crm.parquet",
        "customers/2026-01-15/crm.parquet.retracted.json",
        "customers/2026-01-14/crm.csv.retracted.json",
        "usage/2026-01-15/.eu.csv.part",
    )
    found = find(tmp_path)
    day = date(2026, 1, 15)
    assert [(one.slot, one.format, one.is_retraction) for one in found.deliveries] == [
        (Slot("customers", date(2026, 1, 14), "crm"), Format.CSV, True),
        (Slot("customers", day, "crm"), Format.PARQUET, False),
        (Slot("usage", day, "eu.west.1"), Format.CSV, False),
        (Slot("usage", date(2026, 1, 16), "eu-central"), Format.CSV_GZ, False),
    ]
    assert found.unrecognised == ()
    _, customers, usage, _ = found.deliveries
    assert customers.retraction is not None
    assert customers.manifest is None
    assert usage.manifest is not None
    assert usage.file_name == "usage/2026-01-15/eu.west.1.csv"


def test_a_selection_leaves_the_rest_out(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{f}/2026-01-1{d}/s.csv" for f in ("usage", "heartbeat") for d in (4, 5)))
    some = find(tmp_path, feeds=["usage"], dates=[date(2026, 1, 15)])
    assert [one.file_name for one in some.deliveries] == ["usage/2026-01-15/s.csv"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("readme.txt", "not a feed's folder"),
        ("usages/2026-01-15/s.csv", "no such feed"),
        ("usage/s.csv", "not a date's folder"),
        ("usage/2026-02-30/s.csv", "not a date YYYY-MM-DD"),
        ("usage/20260115/s.csv", "not a date YYYY-MM-DD"),
        ("usage/2026-01-15/s.CSV", "does not end in .csv"),
        ("usage/2026-01-15/s.xlsx", "does not end in .csv"),
        ("usage/2026-01-15/con.csv", "not a source's name"),
        ("usage/2026-01-15/a b.csv", "not a source's name"),
        ("usage/2026-01-15/s.csv.manifest.json", "a manifest without its file s.csv"),
        ("usage/2026-01-15/deep/s.csv", "not a regular file"),
    ],
)
def test_every_other_path_is_reported(tmp_path: Path, name: str, why: str) -> None:
    touch(tmp_path, name)
    found = find(tmp_path)
    assert found.deliveries == ()
    (one,) = found.unrecognised
    assert why in one.why
    assert name.startswith(one.file_name)


def test_links_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "usage/2026-01-15/s.csv")
    (tmp_path / "usage/2026-01-15/t.csv").symlink_to(tmp_path / "usage/2026-01-15/s.csv")
    found = find(tmp_path)
    assert [one.file_name for one in found.deliveries] == ["usage/2026-01-15/s.csv"]
    assert [one.file_name for one in found.unrecognised] == ["usage/2026-01-15/t.csv"]


def test_a_folder_that_cannot_be_opened_is_named_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(
        tmp_path, "usage/2026-01-15/s.csv", "usage/2026-01-16/s.csv", "heartbeat/2026-01-15/s.csv"
    )
    scandir = os.scandir

    def deny(folder: Path) -> object:
        if str(folder).endswith(("usage/2026-01-15", "heartbeat")):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", deny)
    found = find(tmp_path)
    assert [one.file_name for one in found.deliveries] == ["usage/2026-01-16/s.csv"]
    assert [(one.file_name, one.why) for one in found.unrecognised] == [
        ("heartbeat", "the folder cannot be opened: Permission denied"),
        ("usage/2026-01-15", "the folder cannot be opened: Permission denied"),
    ]
