"""Opening and creating the warehouse file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def test_a_damaged_warehouse_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"\0" * 20_000)
    with pytest.raises(WarehouseError, match=r"cannot be opened.*muster rebuild"):
        open_warehouse(path)


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
