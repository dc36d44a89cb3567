"""`muster sql`: a query sees what is published, and nothing else of the machine or the network."""

from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from dagster_project import cli

# Each worked, or tried to, while only the kind of the statement was looked at.
READS = [
    "from '{folder}/secret.csv'",
    "from read_csv('{folder}/secret.csv')",
    "from read_text('{folder}/secret.csv')",
    "from read_blob('{folder}/*')",
    "from glob('{folder}/*')",
    "from sniff_csv('{folder}/secret.csv')",
    "from read_duckdb('{folder}/other.duckdb')",
    "from '{folder}/other.duckdb'",
    "from duckdb_secrets()",
    "from duckdb_extensions()",
    # A variable of the program that asks.
    "from settings",
    "from statements",
]
WRITES = [
    "from enable_logging('QueryLog', storage := 'file', storage_path := '{folder}/written')",
    "from enable_logging(storage = 'file', storage_config = {{'path': '{folder}/written'}})",
    "from enable_profiling(save_location = '{folder}/written')",
    "copy (select 1) to '{folder}/written'",
    "export database '{folder}/written'",
    "attach '{folder}/written'",
    "explain analyze select 1",
    "create table t as select 1",
    "call enable_logging()",
    "pragma enable_profiling",
    "install httpfs",
    "load httpfs",
    "set log_query_path = '{folder}/written'",
    "set lock_configuration = false",
    "select 1; copy (select 1) to '{folder}/written'",
]
NETWORK = [
    "from 'https://127.0.0.1:9/x.csv'",
    "from read_parquet('s3://bucket/x.parquet')",
    "from sqlite_scan('{folder}/secret.csv', 't')",
    "select st_point(1, 2)",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A publication of one table, and a user whose home folder is empty."""
    (tmp_path / "home/published").mkdir(parents=True)
    with duckdb.connect(tmp_path / "home/published/current.duckdb") as conn:
        conn.execute("create table numbers as select range as n from range(3000)")
    (tmp_path / "user").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret.csv").write_text("a\nhidden\n")
    with duckdb.connect(folder / "other.duckdb") as conn:
        conn.execute("create table hidden as select 'hidden' as a")
    return folder


@pytest.mark.parametrize("query", [*READS, *WRITES, *NETWORK])
def test_a_query_reaches_nothing_but_the_publication(
    home: Path, folder: Path, tmp_path: Path, query: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = CliRunner().invoke(cli.main, ["--home", str(home), "sql", query.format(folder=folder)])
    assert result.exit_code == 1, result.output
    assert "The query cannot be run" in result.output or "Only one SELECT" in result.output
    assert "hidden\n" not in result.output
    assert "tomatically install" not in result.output
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_query_that_does_not_fit_in_memory_is_answered(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It spills to a folder of its own, which is gone afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "user"))
    monkeypatch.setenv("MUSTER_MEMORY_LIMIT", "100MiB")
    query = """
        select count(*) as rows from (
            select a.n as a, b.n as b, row_number() over (order by b.n, a.n) as r
            from numbers as a, numbers as b
        ) where r % 3000 = 0
    """
    result = CliRunner().invoke(cli.main, ["--home", str(home), "sql", query])
    assert result.output.split() == ["rows", "3000"]
    assert list((tmp_path / "user").iterdir()) == []
    assert [path.name for path in (home / "published").iterdir()] == ["current.duckdb"]
