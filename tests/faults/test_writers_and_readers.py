"""Two who write at once, and analysts who read while somebody publishes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from house import House
from killing import Warm
from scenarios import JANUARY, Scenario, torn

from dagster_project.lib import lock, publish, warehouse
from dagster_project.lib.settings import Settings

_HOLD = """
import sys
from pathlib import Path
from dagster_project.lib import lock
with lock.writer(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.readline()
"""

# An analyst: reads again and again through new connections, and at the end through those that were
# opened first and held. Every table of one connection must be of one version.
_ANALYST = """
import json, sys
from pathlib import Path
import duckdb
current, marts, stop = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
query = (
    "select min(version), max(version) from "
    "(from activity.first union all from billing.second union all from quality.third)"
)
seen = []
def read(conn):
    low, high = conn.execute(query).fetchall()[0]
    assert low == high, f"torn: {low} and {high} in one connection"
    return low
# Held under its own name, as within one process DuckDB shares what is open by its name.
own = sorted(current.parent.glob("warehouse-*.duckdb"))[0]
held = duckdb.connect(str(own), read_only=True)
before = read(held)
while not stop.exists():
    with duckdb.connect(str(current), read_only=True) as conn:
        seen.append(read(conn))
    folder = marts.resolve()  # the link may turn while we read; the folder stays
    found = {
        duckdb.execute(f"select max(version) from '{folder}/{name}.parquet'").fetchall()[0][0]
        for name in ("activity.first", "billing.second", "quality.third")
    }
    assert len(found) == 1, f"torn: {found} in one folder"
    print(seen[-1], flush=True)
assert read(held) == before, "a held connection changed"
print(json.dumps(seen))
"""


def test_the_second_of_two_month_ends_names_the_first(
    warm: Warm, scenarios: dict[str, Scenario], tmp_path: Path
) -> None:
    house = scenarios["publication"].house(tmp_path)
    before = (house.ledger(), house.exports(), house.marts())
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(house.home / "lock"), "muster close 2026-01"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout
        assert first.stdout.readline() == "held\n"
        for command in (("close", "2026-01"), ("load",), ("rebuild",)):
            second = warm.does(house, "muster", *command)
            assert second.code == 1
            assert f"Process {first.pid} (muster close 2026-01) is writing to" in second.log
        assert f"Process {first.pid} (muster close 2026-01) is writing." in (
            warm.does(house, "muster", "status").log
        )
        # A lock ends with its process, however that ends, and what it wrote stands in nobody's way.
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert "muster close 2026-01" in (house.home / "lock").read_text()
    assert (house.ledger(), house.exports(), house.marts()) == before
    assert lock.holder(house.home / "lock") is None
    assert "is writing" not in warm.does(house, "muster", "status").log


def test_whoever_may_only_read_is_told_the_status_and_refused_the_rest(
    scenarios: dict[str, Scenario], tmp_path: Path
) -> None:
    house = scenarios["invoice taken back"].house(tmp_path)
    before = (house.ledger(), house.exports(), house.marts())
    told = _on_a_read_only_home(house, "status")
    assert (told.returncode, told.stderr) == (0, "")
    assert "ALPENLAND-000001" in told.stdout
    assert "rebuild" not in told.stdout
    refused = _on_a_read_only_home(house, "close", "2026-01")
    assert refused.returncode == 1
    assert f"Read-only file system: {house.home}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (house.ledger(), house.exports(), house.marts()) == before


def _on_a_read_only_home(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Mounted read-only where only this command sees it."""
    namespace = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; shift; exec "$@"'
    done = subprocess.run(
        [*namespace, mount, "sh", str(house.home), *house.command(*arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount in a namespace of its own")
    return done


def test_analysts_read_one_version_whole_while_others_are_published(tmp_path: Path) -> None:
    """Marts made by hand, all of version n, published twenty times under three analysts."""
    settings = Settings(
        home=tmp_path / "home",
        landing=tmp_path / "landing",
        seeds=tmp_path / "seeds",
        project=tmp_path / "dbt",
    )
    _publish_version(settings, 0)
    stop = tmp_path / "stop"
    arguments = [settings.published / "current.duckdb", settings.published / "marts", stop]
    analysts = [
        subprocess.Popen(
            [sys.executable, "-c", _ANALYST, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for one in analysts:
        assert one.stdout
        assert one.stdout.readline() == "0\n"
    for version in range(1, 21):
        _publish_version(settings, version)
        time.sleep(0.05)
    time.sleep(0.5)
    stop.touch()
    for one in analysts:
        said, complaint = one.communicate(timeout=60)
        assert one.returncode == 0, complaint
        seen = json.loads(said.splitlines()[-1])
        assert seen == sorted(seen), "an analyst went back in time"
        assert (seen[0], seen[-1]) == (0, 20)
        assert len(set(seen)) > 3, "too slow to have read while others published"


def _publish_version(settings: Settings, version: int) -> None:
    with warehouse.connect(settings) as conn:
        for schema in (*publish.SCHEMAS, "ledger"):
            conn.execute(f"create schema if not exists {schema}")
        conn.execute(
            "create or replace table raw.version_set as select ? as sha256", [str(version)]
        )
        for table in (
            "documents (distributor_id varchar, sequence bigint, content_sha256 varchar)",
            "disputes (note_number bigint)",
        ):
            conn.execute(f"create table if not exists ledger.{table}")
        for mart in ("activity.first", "billing.second", "quality.third"):
            conn.execute(
                f"create or replace table {mart} as select ?::int as version from range(50000)",
                [version],
            )
        warehouse.stamp(conn, warehouse.inputs(conn, settings))
    assert publish.publish(settings, f"run{version:05d}", {}).is_new


@pytest.mark.long
def test_analysts_read_on_while_loads_and_closes_run(
    warm: Warm, scenarios: dict[str, Scenario], tmp_path: Path
) -> None:
    house = scenarios["publication"].house(tmp_path)
    house = replace(house, landing=tmp_path / "landing")
    tiny.month_end(house.landing, JANUARY, tiny.usage("C1", ["a", "b", "d"], "2026-01-21"))
    stop = tmp_path / "stop"
    with _reading(house, stop) as analyst:
        for command in (("load",), ("close", "2026-01"), ("rebuild",)):
            ended = warm.does(house, "muster", *command)
            assert ended.code == 0, ended.log
        stop.touch()
        said, complaint = analyst.communicate(timeout=60)
    assert analyst.returncode == 0, complaint
    first, last, reads = json.loads(said.splitlines()[-1])
    assert (first, last) == (None, "ALPENLAND-000001")
    assert reads > 20
    assert torn(house) is None


_READER = """
import json, sys
from pathlib import Path
import duckdb
current, stop, seen = sys.argv[1], Path(sys.argv[2]), []
while not stop.exists():
    with duckdb.connect(current, read_only=True) as conn:
        # An issued document and the draft it came from are of one version or of none.
        (number,) = conn.execute("select max(number) from billing.issued_invoices").fetchall()[0]
        conn.execute("select count(*) from billing.draft_invoice_lines").fetchall()
        seen.append(number)
with duckdb.connect(current, read_only=True) as conn:
    seen.append(conn.execute("select max(number) from billing.issued_invoices").fetchall()[0][0])
print(json.dumps([seen[0], seen[-1], len(seen)]))
"""


def _reading(house: House, stop: Path) -> subprocess.Popen[str]:
    current = house.home / "published/current.duckdb"
    return subprocess.Popen(
        [sys.executable, "-c", _READER, str(current), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
