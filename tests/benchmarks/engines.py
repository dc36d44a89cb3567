"""What a build costs on DuckDB and on Spark, in one run: processor seconds and bytes, by size.

    python tests/benchmarks/engines.py --devices 50000 200000 --days 10

Everything is simulated, loaded once, then built by both engines from the beginning, with tests.
Processor time, of all processes, is less of a lottery than wall time. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from ingest.simulate import simulate

REPOSITORY = Path(__file__).parents[2]
FIRST = date(2026, 1, 1)

# Run in a process of its own, so that its processor time is the build's.
_BUILD = """
import json, os, resource, sys, time
from pathlib import Path
from dagster_project.lib import dbt, spark
from dagster_project.lib.settings import Settings

def cpu(pid, waited_for=False):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = sum(int(one) for one in fields[11:15 if waited_for else 13])
    return ticks / os.sysconf("SC_CLK_TCK")

settings = Settings(home=Path(sys.argv[1]), landing=Path("/nowhere"), seeds=Path("/nowhere"))
began = time.perf_counter()
told = {}
if sys.argv[2] == "duckdb":
    results = dbt.build(settings, full_refresh=True)
else:
    results = spark.build(settings, complete=True)
    from pyspark import SparkContext
    told["driver"] = cpu(SparkContext._gateway.proc.pid)
    SparkContext._active_spark_context.stop()
    time.sleep(5)  # until the workers have seen their executors end
    told["executors"] = sum(cpu(pid, waited_for=True) for pid in sys.argv[3:])
used = resource.getrusage(resource.RUSAGE_SELF)
told["process"] = used.ru_utime + used.ru_stime
told["wall"] = time.perf_counter() - began
told["failed"] = [one.unique_id for one in results if one.outcome == "failed"]
told["nodes"] = len(results)
print(json.dumps(told))
"""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--devices", type=int, nargs="+", default=[50_000, 200_000])
    asked.add_argument("--days", type=int, default=10)
    asked.add_argument("--folder", type=Path, help="where to work [a temporary one]")
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="engines-", dir=wanted.folder) as root:
        for devices in wanted.devices:
            _measure(Path(root) / str(devices), devices, wanted.days)


def _measure(folder: Path, devices: int, days: int) -> None:
    home, landing = folder / "home", folder / "landing"
    simulate(
        landing,
        FIRST,
        FIRST + timedelta(days=days - 1),
        partners=max(12, devices // 2000),
        customers=max(150, devices // 40),
        devices=devices,
        seed=1,
        format="parquet",
        seeds=REPOSITORY / "seeds",
    )
    muster = ["--home", home, "--landing", landing, "load"]
    subprocess.run([Path(sys.executable).parent / "muster", *muster], check=True)
    duckdb = _build(home, "duckdb", [])
    cluster = {
        **os.environ,
        "PYTHON": sys.executable,
        "SPARK_CLUSTER_DIR": str(folder / "cluster"),
        "SPARK_PORT": "7577",
        "SPARK_UI_PORT": "8580",
    }
    script = REPOSITORY / "spark" / "cluster"
    subprocess.run([script, "up"], env=cluster, check=True)
    try:
        pids = [(folder / f"cluster/worker{one}.pid").read_text().strip() for one in (1, 2)]
        os.environ["MUSTER_SPARK_MASTER"] = "spark://127.0.0.1:7577"
        spark = _build(home, "spark", pids)
    finally:
        subprocess.run([script, "down"], env=cluster, check=True)
    print(
        json.dumps(
            {
                "devices": devices,
                "days": days,
                "device_days": devices * days,
                "duckdb": duckdb,
                "spark": spark,
                "bytes": {
                    "warehouse.duckdb": (home / "warehouse.duckdb").stat().st_size,
                    "exported usage": _size(home / "spark/sources/raw/usage"),
                    "exported in all": _size(home / "spark/sources"),
                    "activity on Spark": _size(
                        home / "spark/warehouse/intermediate.db/int_usage_activity"
                    ),
                    "tables on Spark": _size(home / "spark/warehouse"),
                },
            }
        ),
        flush=True,
    )


def _build(home: Path, engine: str, pids: list[str]) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, home, engine, *pids],
        check=True,
        capture_output=True,
        text=True,
    )
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _size(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())


if __name__ == "__main__":
    main()
