"""One parse of the dbt project for all homes, and never one of another project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dagster_project.lib import dbt, parsed
from dagster_project.lib.settings import Settings

PROJECT = """
name: tiny
version: "0.1.0"
profile: tiny
flags: {send_anonymous_usage_stats: false}
"""
PROFILE = """
tiny:
  target: duckdb
  outputs:
    duckdb: {type: duckdb, path: "{{ env_var('MUSTER_WAREHOUSE') }}", schema: main}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILE)
    (folder / "models" / "one.sql").write_text("select 1 as n")
    return folder


def _settings(tmp_path: Path, home: str, project: Path) -> Settings:
    folders = (tmp_path / home, tmp_path / "landing", tmp_path / "seeds")
    return Settings(*folders, project=project, cache=tmp_path / "cache")


def _rows(settings: Settings) -> list[tuple[int]]:
    import duckdb

    with duckdb.connect(str(settings.warehouse), read_only=True) as conn:
        return conn.execute("select n from main.one").fetchall()


def test_another_home_takes_the_parse_and_builds_its_own_warehouse(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _settings(tmp_path, "first", project)
    written = dbt.manifest(first).read_bytes()
    assert [one.outcome for one in dbt.build(first)] == ["built"]

    def parse(settings: Settings, key: str, *flags: str) -> object:
        raise AssertionError("parsed again")

    with monkeypatch.context() as patched:
        patched.setattr(dbt, "_parse", parse)
        second = _settings(tmp_path, "second", project)
        assert dbt.manifest(second).read_bytes() == written
        assert [one.outcome for one in dbt.build(second)] == ["built"]
    assert _rows(first) == _rows(second) == [(1,)]

    # A process that did not parse reads what was kept, and dbt finds nothing to parse in it.
    dbt._in_memory.clear()
    third = _settings(tmp_path, "third", project)
    assert [one.outcome for one in dbt.build(third)] == ["built"]
    assert _rows(third) == [(1,)]
    said = (third.dbt_logs / "dbt.log").read_text(encoding="utf-8")
    assert "Registered adapter" in said
    assert "Unable to do partial parsing" not in said


def test_a_changed_model_is_parsed_again(tmp_path: Path, project: Path) -> None:
    settings = _settings(tmp_path, "first", project)
    dbt.build(settings)
    # As long as before, and a moment later: neither size nor time tells.
    (project / "models" / "one.sql").write_text("select 2 as n")
    assert [one.outcome for one in dbt.build(settings)] == ["built"]
    assert _rows(settings) == [(2,)]
    other = _settings(tmp_path, "second", project)
    nodes = json.loads(dbt.manifest(other).read_bytes())["nodes"]
    assert [node["raw_code"] for node in nodes.values()] == ["select 2 as n"]
    # Back to what it was: what was kept of that serves again.
    (project / "models" / "one.sql").write_text("select 1 as n")
    dbt.build(other)
    assert _rows(other) == [(1,)]


def _target(folder: Path, text: str = "parsed") -> Path:
    folder.mkdir(parents=True)
    for name in parsed.FILES:
        (folder / name).write_text(f"{text} {name}")
    return folder


def test_what_was_damaged_is_not_taken(tmp_path: Path) -> None:
    cache, other = tmp_path / "cache", tmp_path / "other"
    other.mkdir()
    for number in range(len(parsed.FILES)):
        parsed.keep(cache, "key", _target(tmp_path / f"target{number}"))
        file = sorted((cache / "key").iterdir())[number]
        file.write_bytes(file.read_bytes().replace(b"p", b"q"))
        assert not parsed.fetch(cache, "key", other)
        assert list(other.iterdir()) == []
        assert not (cache / "key").exists()
    assert not parsed.fetch(cache, "nobody's", other)


def test_a_cache_that_cannot_be_written_holds_nobody_up(tmp_path: Path) -> None:
    target = _target(tmp_path / "target")
    (tmp_path / "file").write_text("no folder")
    for cache in (None, tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        parsed.keep(cache, "key", target)
        assert not parsed.fetch(cache, "key", target)


def test_only_the_last_versions_are_kept_and_the_first_of_two_stays(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for number in range(6):
        parsed.keep(cache, f"key{number}", _target(tmp_path / str(number)))
    assert sorted(one.name for one in cache.iterdir()) == ["key2", "key3", "key4", "key5"]
    parsed.keep(cache, "key5", _target(tmp_path / "late", "another"))
    assert parsed.fetch(cache, "key5", tmp_path / "0")
    assert (tmp_path / "0" / "manifest.json").read_text() == "parsed manifest.json"
    assert len(list(cache.iterdir())) == 4  # and nothing half-written


def test_where_it_is_kept(tmp_path: Path) -> None:
    def cache(**environment: str) -> Path | None:
        return Settings.from_environment(environment).cache

    assert cache(MUSTER_CACHE=str(tmp_path)) == tmp_path
    assert cache(MUSTER_CACHE="", XDG_CACHE_HOME="/x") is None
    assert cache(XDG_CACHE_HOME="/x") == Path("/x/musterhouse")
    assert cache() == Path("~/.cache/musterhouse").expanduser()
