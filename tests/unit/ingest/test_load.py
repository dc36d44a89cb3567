"""Opening and creating the warehouse file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ingest.load import WarehouseError, open_warehouse


def test_a_new_warehouse_has_the_schema_and_speaks_utc(tmp_path: Path) -> None:
    path = tmp_path / "home" / "warehouse.duckdb"
    with open_warehouse(path) as conn:
        assert conn.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]
        assert conn.execute("SELECT count(*) FROM raw.usage").fetchall() == [(0,)]
    assert [path.name for path in path.parent.iterdir()] == ["warehouse.duckdb"]
    with open_warehouse(path) as conn:
        assert conn.execute("SELECT count(*) FROM raw.files").fetchall() == [(0,)]


def test_what_a_killed_creation_left_behind_is_swept_away(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    (tmp_path / "warehouse.duckdb.creating").write_bytes(b"half a database")
    # The log of a database that was deleted must not be replayed into the new one.
    (tmp_path / "warehouse.duckdb.wal").write_bytes(b"another database's log")
    with open_warehouse(path) as conn:
        assert conn.execute("SELECT count(*) FROM raw.files").fetchall() == [(0,)]
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.duckdb"]


def test_what_a_killed_run_had_spilled_is_swept_away(tmp_path: Path) -> None:
    """It bears that run's names, so no other would use or remove it, and may be what fills a disk.
    What this connection spills then is its own: two million rows do not fit into 20 MB."""
    path = tmp_path / "warehouse.duckdb"
    open_warehouse(path).close()
    spilled = tmp_path / "warehouse.duckdb.tmp" / "duckdb_temp_storage-0.tmp"
    spilled.parent.mkdir()
    spilled.write_bytes(b"spilled")
    with open_warehouse(path) as conn:
        assert not spilled.exists()
        conn.execute("SET memory_limit = '20MB'; SET threads = 1")
        conn.execute("CREATE TABLE many AS SELECT hash(range) AS id FROM range(2_000_000)")
        found = conn.execute("SELECT count(*) FROM (SELECT DISTINCT id FROM many)").fetchall()
        assert found == [(2_000_000,)]


def test_a_damaged_warehouse_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"\0" * 20_000)
    with pytest.raises(WarehouseError, match=r"cannot be opened.*muster rebuild"):
        open_warehouse(path)


@pytest.mark.parametrize(
    "as_it_was",
    [
        "DROP TABLE raw.made_by",  # made before the warehouse knew its version
        "UPDATE raw.made_by SET sha256 = 'another'",
        "DELETE FROM raw.made_by",
    ],
)
def test_a_warehouse_of_another_version_is_made_anew(
    tmp_path: Path, as_it_was: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "warehouse.duckdb"
    with open_warehouse(path) as conn:
        conn.execute("ALTER TABLE raw.usage DROP COLUMN user_id")
        conn.execute("CREATE SCHEMA billing; CREATE TABLE billing.old AS SELECT 1 AS a")
        conn.execute(as_it_was)
    with open_warehouse(path) as conn:
        conn.execute("SELECT user_id FROM raw.usage")
        assert conn.execute("FROM duckdb_tables() WHERE schema_name = 'billing'").fetchall() == []
    assert "made by another version" in caplog.text
    caplog.clear()
    with open_warehouse(path) as conn:
        conn.execute("CREATE TABLE raw.kept AS SELECT 1 AS a")
    with open_warehouse(path) as conn:
        assert conn.execute("FROM raw.kept").fetchall() == [(1,)]
    assert caplog.text == ""


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(path) as conn:
        conn.execute("CREATE TABLE payroll AS SELECT 1 AS a")
    with pytest.raises(WarehouseError, match="no warehouse of Musterhouse"):
        open_warehouse(path)
    with duckdb.connect(path) as conn:
        assert conn.execute("FROM payroll").fetchall() == [(1,)]


def test_a_second_process_is_told_who_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    code = "import sys; from pathlib import Path; from ingest.load import open_warehouse\n"
    code += "open_warehouse(Path(sys.argv[1]))"
    with open_warehouse(path):
        second = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )
    assert second.returncode != 0
    assert "is in use by another process" in second.stderr
