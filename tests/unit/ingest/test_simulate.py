"""The made-up landing files: exact to the contract, repeatable, the same in every format."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from simulated import SEEDS, SOURCES, TYPES

from ingest.contracts import FEEDS
from ingest.landing import Format as LandingFormat
from ingest.parse import parse
from ingest.simulate import FORMATS, Format, simulate

FIRST = date(2026, 1, 2)


def small(
    out: Path,
    file_format: Format,
    last: date = date(2026, 1, 4),
    *,
    seed: int = 3,
    plant: str | None = None,
) -> Path:
    simulate(
        out,
        FIRST,
        last,
        partners=6,
        customers=40,
        devices=400,
        seed=seed,
        format=file_format,
        seeds=SEEDS,
        plant=plant,
    )
    return out


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_file_is_exactly_its_contract(tmp_path: Path, file_format: Format) -> None:
    root = small(tmp_path, file_format)
    files = [path for path in root.rglob(f"*.{file_format}") if path.is_file()]
    # 3 days of (3 usage + 3 heartbeat + 4 registry + portal + psa): 3 times 12
    assert len(files) == 36
    for path in files:
        contract = FEEDS[path.relative_to(root).parts[0]]
        expected = {column.name: TYPES[column.type] for column in contract.columns}
        if file_format == "parquet":
            assert list(pl.read_parquet_schema(path).items()) == list(expected.items())
            continue
        content = path.read_bytes()
        text = (gzip.decompress(content) if file_format == "csv.gz" else content).decode()
        assert text.split("\n", 1)[0] == ",".join(contract.column_names)


@pytest.mark.parametrize("file_format", FORMATS)
def test_manifests_agree_with_their_files(tmp_path: Path, file_format: Format) -> None:
    root = small(tmp_path, file_format)
    with_manifest = 0
    for feed, sources in SOURCES.items():
        for source in sources:
            path = root / feed / "2026-01-03" / f"{source}.{file_format}"
            beside = path.with_name(f"{path.name}.manifest.json")
            if feed == "psa_additions":
                assert not beside.exists()
                continue
            manifest = json.loads(beside.read_bytes())
            assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
            frame = (
                pl.read_parquet(path)
                if file_format == "parquet"
                else pl.read_csv(path, infer_schema_length=None)
            )
            assert manifest["rows"] == frame.height
            numeric = {"licences": ["quantity"], "portal_usage": ["quantity"]}.get(feed, [])
            assert {k: Decimal(v) for k, v in manifest["totals"].items()} == {
                name: Decimal(frame[name].cast(pl.Int64).sum()) for name in numeric
            }
            with_manifest += 1
    assert with_manifest == 11


@pytest.mark.parametrize("file_format", FORMATS)
def test_same_arguments_give_the_same_bytes(tmp_path: Path, file_format: Format) -> None:
    first, second = small(tmp_path / "a", file_format), small(tmp_path / "b", file_format)
    assert tree(first) == tree(second)
    assert len(tree(first)) == 36 + 33  # files, and manifests of all but the PSA's
    assert not [name for name in tree(first) if "part" in name.rsplit("/", 1)[1].split(".")]


def test_a_longer_range_only_adds_days(tmp_path: Path) -> None:
    short = tree(small(tmp_path / "a", "csv", date(2026, 1, 3)))
    long = tree(small(tmp_path / "b", "csv", date(2026, 1, 5)))
    assert {name: sha for name, sha in long.items() if name in short} == short
    assert len(long) == len(short) * 2


def test_another_seed_gives_other_files(tmp_path: Path) -> None:
    first = small(tmp_path / "a", "csv")
    small(tmp_path / "b", "csv", FIRST, seed=4)
    name = "usage/2026-01-02/us-west.csv"
    assert (first / name).read_bytes() != (tmp_path / "b" / name).read_bytes()


def test_every_format_holds_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    roots = {file_format: small(tmp_path / file_format, file_format) for file_format in FORMATS}
    day = date(2026, 1, 4)
    for feed, sources in SOURCES.items():
        for source in sources:
            frames = [
                parse(
                    roots[file_format] / feed / day.isoformat() / f"{source}.{file_format}",
                    LandingFormat(file_format),
                    FEEDS[feed],
                    day,
                    10,
                ).accepted
                for file_format in FORMATS
            ]
            # row_number is the place in the file, so equality is equality of order too.
            assert frames[0].equals(frames[1])
            assert frames[0].equals(frames[2])
            assert frames[0].height > 0 or feed == "transfers"


def test_chunks_do_not_change_what_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small(tmp_path / "a", "csv")
    monkeypatch.setattr("ingest.simulate.devices.CHUNK", 7)
    monkeypatch.setattr("ingest.simulate.devices.KEPT", 0)
    pieces = small(tmp_path / "b", "csv")
    portal = "portal_usage/2026-01-04/portal.csv"
    assert (whole / portal).read_bytes() == (pieces / portal).read_bytes()
    usage = "usage/2026-01-04/eu-central.csv"
    lines = [sorted((root / usage).read_bytes().splitlines()) for root in (whole, pieces)]
    assert lines[0] == lines[1]


def test_arguments_that_cannot_be_met_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before the first day"):
        small(tmp_path, "csv", FIRST - timedelta(days=1))
    with pytest.raises(ValueError, match="No distributor 'nobody'"):
        small(tmp_path, "csv", plant="nobody")
    with pytest.raises(ValueError, match="needs a bigger world"):
        small(tmp_path, "csv", plant="cascadia")
    assert list(tmp_path.iterdir()) == []
