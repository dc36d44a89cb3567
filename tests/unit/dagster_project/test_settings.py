"""Settings: where things are, whatever the working directory and the environment."""

import os
from datetime import date
from pathlib import Path

import duckdb
import pytest

from dagster_project.lib import dbt, warehouse
from dagster_project.lib.settings import (
    REPOSITORY,
    Settings,
    SettingsError,
    environment_of,
)


@pytest.mark.parametrize("text", ["8GiB", "512MB", "1.5 GB", "50%"])
def test_a_memory_limit_is_what_duckdb_takes(text: str) -> None:
    settings = Settings.from_environment({"MUSTER_MEMORY_LIMIT": text})
    assert settings.environment()["MUSTER_MEMORY_LIMIT"] == text
    duckdb.connect().execute("set memory_limit = $1", [settings.memory_limit])


@pytest.mark.parametrize("text", ["8", "-1GB", "0GB", "100%", "eight", "8GiB; drop", "\u0668GiB"])
def test_a_memory_limit_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="MUSTER_MEMORY_LIMIT is"):
        Settings.from_environment({"MUSTER_MEMORY_LIMIT": text})


def test_every_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({})
    assert settings.home == tmp_path / "home"
    assert settings.landing == tmp_path / "landing"
    assert settings.seeds == REPOSITORY / "seeds"
    assert settings.project == REPOSITORY / "dbt"
    assert settings.first_day == date(2026, 1, 1)


def test_an_argument_wins_over_the_environment(tmp_path: Path) -> None:
    environment = {"MUSTER_HOME": "/elsewhere/home", "MUSTER_LANDING": "/elsewhere/landing"}
    settings = Settings.from_environment(environment, home=tmp_path)
    assert settings.home == tmp_path
    assert settings.landing == Path("/elsewhere/landing")


def test_what_cannot_be_used_is_named() -> None:
    for text in ("0", "-1", "²"):
        with pytest.raises(SettingsError, match="MUSTER_LARGEST_FILE_BYTES"):
            Settings.from_environment({"MUSTER_LARGEST_FILE_BYTES": text})
    with pytest.raises(SettingsError, match=r"home is .* which is not UTF-8. .* MUSTER_HOME"):
        Settings.from_environment({"MUSTER_HOME": "/tmp/\udcff"})
    with pytest.raises(SettingsError, match=r"seeds is .* which is a file. .* MUSTER_SEEDS"):
        Settings.from_environment({"MUSTER_SEEDS": __file__})
    with pytest.raises(SettingsError, match="MUSTER_FIRST_DAY is 'soon'"):
        Settings.from_environment({"MUSTER_FIRST_DAY": "soon"})
    with pytest.raises(SettingsError, match="lies inside home"):
        Settings.from_environment({"MUSTER_HOME": "/h", "MUSTER_LANDING": "/h/landing"})


def test_the_environment_of_a_home_is_complete_and_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_WAREHOUSE", "/before")
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    settings = Settings(home=tmp_path, landing=tmp_path, seeds=tmp_path)
    with environment_of(settings):
        assert os.environ["MUSTER_WAREHOUSE"] == str(tmp_path / "warehouse.duckdb")
        assert os.environ["DO_NOT_TRACK"] == "1"
        # A process that starts from it finds the same home.
        assert Settings.from_environment({**os.environ, "MUSTER_LANDING": "/landing"}).home == (
            tmp_path
        )
    assert os.environ["MUSTER_WAREHOUSE"] == "/before"
    assert "DO_NOT_TRACK" not in os.environ


def test_a_new_home_has_telemetry_and_pop_ups_off(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", landing=tmp_path, seeds=tmp_path)
    settings.create_home()
    instance = (settings.dagster_home / "dagster.yaml").read_text()
    assert "telemetry:\n  enabled: false" in instance
    assert "nux:\n  enabled: false" in instance


def test_the_largest_file_is_a_number_of_bytes(tmp_path: Path) -> None:
    given = {"MUSTER_HOME": str(tmp_path), "MUSTER_LANDING": "/landing"}
    settings = Settings.from_environment({**given, "MUSTER_LARGEST_FILE_BYTES": "1000000"})
    assert settings.largest_file_bytes == 1_000_000
    assert settings.environment()["MUSTER_LARGEST_FILE_BYTES"] == "1000000"
    with pytest.raises(SettingsError, match="it must be a number of bytes"):
        Settings.from_environment({**given, "MUSTER_LARGEST_FILE_BYTES": "4 GB"})


def test_the_memory_limit_holds_for_ingest_and_for_dbt(tmp_path: Path) -> None:
    """Both ask for 100 MB, which DuckDB tells as 95.3 MiB: 100,000,000 / 1,048,576."""
    settings = Settings.from_environment({"MUSTER_MEMORY_LIMIT": "100MB"}, home=tmp_path / "home")
    with warehouse.connect(settings) as conn:
        assert conn.execute("select current_setting('memory_limit')").fetchall() == [("95.3 MiB",)]
    model = "select current_setting('memory_limit') as memory_limit"
    with environment_of(settings):
        dbt.invoke(settings, ["show", "--inline", model])
    assert "95.3 MiB" in (settings.dbt_logs / "dbt.log").read_text()
