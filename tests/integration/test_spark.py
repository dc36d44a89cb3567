"""Both engines give the same marts and the same documents, on a real cluster of a master and two
workers. Skipped where the extra `spark` or Java is missing, unless told that both are there.
A build on Spark takes minutes whatever its size: those that need several are for `make test-long`.

How Spark is chosen and what is said without it: tests/unit/dagster_project/test_engine.py.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from house import REPOSITORY, House
from spark_marts import differences

PERIOD = "2026-01"
_HAVE = bool(importlib.util.find_spec("pyspark") and shutil.which("java"))

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        not _HAVE and "MUSTER_TESTS_HAVE_SPARK" not in os.environ,
        reason="needs the extra `spark` (make spark-install) and Java 17",
    ),
]


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of its own ports, ended with the tests."""
    port, ui_port = _free(1), _free(3)
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "SPARK_CLUSTER_DIR": str(tmp_path_factory.mktemp("cluster")),
        "SPARK_PORT": str(port),
        "SPARK_UI_PORT": str(ui_port),
    }
    cluster = REPOSITORY / "spark" / "cluster"
    subprocess.run([cluster, "up"], env=environment, check=True)
    yield f"spark://127.0.0.1:{port}"
    subprocess.run([cluster, "down"], env=environment, check=True)


def test_every_mart_of_both_engines_is_the_same(master: str, tmp_path: Path) -> None:
    duckdb, spark = _houses(tmp_path, master)
    duckdb.muster("load")
    spark = replace(spark, environment={**spark.environment, "MUSTER_ENGINE": "spark"})
    spark.muster("load")
    rows, found = differences(duckdb.home / "warehouse.duckdb", spark.home / "spark")
    assert found == []
    # The words for discrepancies alone are some sixty rows; the calendar of two weeks, 31 dates.
    assert rows > 100
    assert duckdb.marts() == spark.marts()


@pytest.mark.long
def test_both_engines_close_a_month_to_the_same_bytes(master: str, tmp_path: Path) -> None:
    duckdb, spark = _houses(tmp_path, master)
    duckdb.muster("close", PERIOD)
    spark.muster("close", PERIOD, "--engine", "spark")
    rows, found = differences(duckdb.home / "warehouse.duckdb", spark.home / "spark")
    assert found == []
    assert rows > 100
    assert duckdb.ledger() == spark.ledger()
    assert duckdb.exports() == spark.exports()
    assert duckdb.marts() == spark.marts()


@pytest.mark.long
def test_a_file_replaced_and_one_more_day_are_folded_in_by_both(
    master: str, tmp_path: Path
) -> None:
    duckdb, spark = _houses(tmp_path, master)
    spark = replace(spark, environment={**spark.environment, "MUSTER_ENGINE": "spark"})
    for house in (duckdb, spark):
        house.muster("load")
    # Ben, of whom only the replaced file told, is gone; Eve is new, and so is February.
    usage = tiny.usage("C1", ["ann", "eve"], "2026-01-14")
    tiny.write(duckdb.landing, "usage", "2026-01-15", tiny.REGION, usage)
    tiny.month_end(duckdb.landing, "2026-02-28", tiny.usage("C1", ["ann"], "2026-02-27"))
    for house in (duckdb, spark):
        house.muster("load")
    rows, found = differences(duckdb.home / "warehouse.duckdb", spark.home / "spark")
    assert found == []
    assert rows > 100
    assert duckdb.marts() == spark.marts()


def _houses(folder: Path, master: str) -> tuple[House, House]:
    """Two homes on the same files: Ben is idle at the end, Cleo new."""
    landing, seeds = folder / "landing", tiny.seeds(folder / "seeds")
    early = tiny.usage("C1", ["ann", "ben"], "2026-01-14")
    tiny.write(landing, "usage", "2026-01-15", tiny.REGION, early)
    late = [
        *tiny.usage("C1", ["ann", "cleo"], "2026-01-30"),
        *tiny.usage("C2", ["dan"], "2026-01-31"),
    ]
    tiny.month_end(landing, "2026-01-31", late)
    return (
        House(folder / "duckdb", landing, seeds),
        House(folder / "spark", landing, seeds, environment=_environment(folder, master)),
    )


def _environment(folder: Path, master: str) -> dict[str, str]:
    """For rows so few, compiling takes longer than running: Spark interprets."""
    settings = folder / "spark-settings"
    settings.mkdir()
    (settings / "spark-defaults.conf").write_text(
        "spark.sql.codegen.wholeStage false\nspark.sql.codegen.factoryMode NO_CODEGEN\n"
    )
    return {
        "SPARK_CONF_DIR": str(settings),
        "MUSTER_SPARK_MASTER": master,
        "MUSTER_SPARK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }


def _free(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        try:
            for number in range(port + 1, port + count):
                with socket.socket() as other:
                    other.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
