"""Every model builds on an empty warehouse, every dbt unit test passes, everything is described.

What the numbers must be stands in the unit tests beside the models.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from house import REPOSITORY, SEEDS

from ingest.load import open_warehouse
from ingest.reference import load_reference, receive_reference
from invoicing.ledger import Ledger


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's target folder after a build, unit tests included, of a warehouse without a file."""
    home = tmp_path_factory.mktemp("empty") / "home"
    home.mkdir()
    receive_reference(home, SEEDS)
    conn = open_warehouse(home / "warehouse.duckdb")
    load_reference(conn, home)
    Ledger(home / "ledger").load_into(conn)
    conn.close()
    target = home / "dbt"
    project = str(REPOSITORY / "dbt")
    command = [str(Path(sys.executable).parent / "dbt"), "--warn-error", "build"]
    command += ["--project-dir", project, "--profiles-dir", project]
    command += ["--target-path", str(target), "--log-path", str(target)]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "DO_NOT_TRACK": "1",
            "MUSTER_WAREHOUSE": str(home / "warehouse.duckdb"),
        },
    )
    assert result.returncode == 0, result.stdout[-5000:]
    return target


def _nodes(target: Path, kind: str) -> Iterator[dict[str, Any]]:
    manifest = json.loads((target / "manifest.json").read_text())
    yield from (node for node in manifest["nodes"].values() if node["resource_type"] == kind)


def test_every_unit_test_ran_and_passed(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    results = json.loads((built / "run_results.json").read_text())["results"]
    ran = {one["unique_id"] for one in results if one["unique_id"].startswith("unit_test.")}
    assert ran == set(manifest["unit_tests"])
    assert len(ran) > 100
    assert {one["status"] for one in results if one["unique_id"] in ran} == {"pass"}


def test_every_model_and_column_is_described(built: Path) -> None:
    missing = [
        f"{model['name']}.{column}"
        for model in _nodes(built, "model")
        for column, described in {"": model, **model["columns"]}.items()
        if not described["description"].strip()
    ]
    assert missing == []
    # A column that no YAML mentions would escape the check above.
    with duckdb.connect(built.parent / "warehouse.duckdb", read_only=True) as conn:
        built_columns = conn.execute(
            "select table_name, column_name from information_schema.columns where table_schema in "
            "('staging', 'intermediate', 'activity', 'billing', 'quality')"
        ).fetchall()
    declared = {
        (model["name"], column) for model in _nodes(built, "model") for column in model["columns"]
    }
    assert sorted(set(built_columns) - declared) == []


def test_marts_are_public_contracted_and_grouped(built: Path) -> None:
    marts = [model for model in _nodes(built, "model") if "marts" in model["fqn"]]
    assert len(marts) > 15
    for model in marts:
        assert model["access"] == "public", model["name"]
        assert model["config"]["group"] in ("activity", "billing", "quality"), model["name"]
        is_function = model["config"]["materialized"] == "table_function"
        assert model["contract"]["enforced"] or is_function, model["name"]


def test_only_staging_reads_sources(built: Path) -> None:
    for model in _nodes(built, "model"):
        if "staging" not in model["fqn"]:
            assert model["sources"] == [], model["name"]


def test_invoicing_reads_what_its_exposure_declares(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    exposure = manifest["exposures"]["exposure.musterhouse.distributor_invoices"]
    declared = {name.split(".")[-1] for name in exposure["depends_on"]["nodes"]}
    code = "\n".join(path.read_text() for path in (REPOSITORY / "invoicing").rglob("*.py"))
    billing = {model["name"] for model in _nodes(built, "model") if model["schema"] == "billing"}
    assert {name for name in billing if f"billing.{name}" in code} == declared
