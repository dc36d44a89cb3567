"""Publishing: readers see the old or the new marts, whole, and a failure changes nothing."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from dagster_project.lib import publish, verify, warehouse
from dagster_project.lib.publish import PublishError
from dagster_project.lib.settings import Settings
from ingest.journal import Entry, Journal, Kind
from invoicing import durable
from invoicing.verify import BrokenError, run

# A reader in a process of its own: DuckDB shares a file that one process opens twice.
_READ = """
import json, sys, duckdb
conn = duckdb.connect(sys.argv[1], read_only=True)
print(json.dumps(conn.execute(sys.argv[2]).fetchall(), default=int), flush=True)
sys.stdin.readline()
print(json.dumps(conn.execute(sys.argv[2]).fetchall(), default=int), flush=True)
"""
_TOTAL = "select sum(units) from activity.usage_by_customer"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return _settings(tmp_path, "home")


def _settings(folder: Path, home: str) -> Settings:
    """With a dbt project of its own, empty: the marts here are made by hand."""
    return Settings(
        home=folder / home,
        landing=folder / "landing",
        seeds=folder / "seeds",
        project=folder / "dbt",
    )


def _build(settings: Settings, units: int, *, rows: int = 3, backwards: bool = False) -> None:
    """A warehouse whose marts are built: `rows` customers with `units` each."""
    version = Entry(kind=Kind.REFERENCE, file_name="units.csv", sha256=str(units))
    Journal(settings.journal).append(version)
    in_force = hashlib.sha256(Journal(settings.journal).state().version_set()).hexdigest()
    with warehouse.connect(settings) as conn:
        for schema in (*publish.SCHEMAS, "ledger", "intermediate"):
            conn.execute(f"create schema if not exists {schema}")
        conn.execute("create or replace table raw.version_set as select ? as sha256", [in_force])
        conn.execute(
            "create or replace table ledger.documents "
            "(distributor_id varchar, sequence bigint, content_sha256 varchar)"
        )
        conn.execute("create or replace table ledger.disputes (note_number bigint, note varchar)")
        conn.execute("create or replace table intermediate.not_for_readers as select 1 as x")
        conn.execute(
            "create or replace table activity.usage_by_customer as "
            "select 'C' || i as customer_id, ?::bigint as units, [i, i + 1] as days "
            f"from range(?) as t(i) order by i {'desc' if backwards else ''}",
            [units, rows],
        )
        conn.execute("create or replace view quality.all_good as select true as is_good")
        conn.execute(
            "create or replace macro activity.more_than(least) as table "
            "select * from activity.usage_by_customer where units > least"
        )
        warehouse.stamp(conn, warehouse.inputs(conn, settings))


def _ask(settings: Settings, query: str) -> list[tuple[object, ...]]:
    path = settings.published / publish.CURRENT
    reader = subprocess.run(
        [sys.executable, "-c", _READ, str(path), query],
        input="\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(row) for row in json.loads(reader.stdout.splitlines()[0])]


def _everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_readers_get_marts_with_comments_and_functions(settings: Settings) -> None:
    _build(settings, 7)
    told = {
        "activity.usage_by_customer": "Units; it's a count.",
        "activity.usage_by_customer.units": "How many.",
        "activity.more_than": "more_than(least): who has more.",
        "intermediate.not_for_readers": "Not published.",
    }
    done = publish.publish(settings, "run1", told)
    assert done.is_new
    assert [(mart.schema, mart.table, mart.rows) for mart in done.marts] == [
        ("activity", "usage_by_customer", 3),
        ("quality", "all_good", 1),
    ]
    assert _ask(settings, "select count(*) from activity.more_than(6)") == [(3,)]
    assert _ask(settings, "select comment from duckdb_tables() where comment is not null") == [
        ("Units; it's a count.",)
    ]
    assert _ask(settings, "select comment from duckdb_columns() where comment is not null") == [
        ("How many.",)
    ]
    assert _ask(settings, "select comment from duckdb_functions() where comment is not null") == [
        ("more_than(least): who has more.",)
    ]
    assert _ask(settings, "select distinct schema_name from duckdb_tables() order by 1") == [
        ("activity",),
        ("quality",),
    ]
    assert (settings.published / publish.CURRENT).stat().st_mode & 0o222 == 0


def test_an_old_reader_keeps_working_and_a_new_one_sees_the_new(settings: Settings) -> None:
    _build(settings, 1)
    publish.publish(settings, "run1", {})
    path = str(settings.published / publish.CURRENT)
    with subprocess.Popen(
        [sys.executable, "-c", _READ, path, _TOTAL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "[[3]]\n"
        _build(settings, 10)
        publish.publish(settings, "run2", {})
        answer, _ = reader.communicate("\n")
        assert answer == "[[3]]\n"
    assert _ask(settings, _TOTAL) == [(30,)]
    mart = settings.published / "marts" / "activity.usage_by_customer.parquet"
    assert duckdb.execute(f"select sum(units) from '{mart}'").fetchall() == [(30,)]


def test_a_failed_publication_leaves_the_last(settings: Settings) -> None:
    _build(settings, 1)
    publish.publish(settings, "run1", {})
    before = _everything(settings.published)

    # Built from other files than are in force now.
    with warehouse.connect(settings) as conn:
        conn.execute("update raw.version_set set sha256 = 'newer'")
    with pytest.raises(PublishError, match="the last publication stays"):
        publish.publish(settings, "run2", {})
    assert _everything(settings.published) == before

    # Broken halfway: a view over a table that went.
    _build(settings, 2)
    with warehouse.connect(settings) as conn:
        conn.execute("create table quality.gone as select 1 as x")
        conn.execute("create view quality.broken as select x from quality.gone")
        conn.execute("drop table quality.gone")
    with pytest.raises(duckdb.Error):
        publish.publish(settings, "run3", {})
    assert _ask(settings, _TOTAL) == [(3,)]
    after = _everything(settings.published)
    assert {name: after[name] for name in before} == before

    # And what that left behind does not stand in the way.
    with warehouse.connect(settings) as conn:
        conn.execute("drop view quality.broken")
    publish.publish(settings, "run3", {})
    assert _ask(settings, _TOTAL) == [(6,)]


def test_the_same_is_not_published_twice(settings: Settings) -> None:
    _build(settings, 1)
    publish.publish(settings, "run1", {})
    before = _everything(settings.published)
    assert not publish.publish(settings, "run2", {}).is_new
    assert _everything(settings.published) == before
    assert publish.publish(settings, "run3", {}, again=True).is_new
    assert _everything(settings.published).keys() != before.keys()


def test_a_new_note_of_a_dispute_is_not_what_was_published(settings: Settings) -> None:
    """So that the next load builds and publishes again, and a load after that does not."""
    _build(settings, 1)
    publish.publish(settings, "run1", {})
    with warehouse.connect(settings) as conn:
        conn.execute("insert into ledger.disputes values (1, 'two devices are gone')")
    with pytest.raises(PublishError, match="muster load"):
        publish.publish(settings, "run2", {})
    with warehouse.connect(settings) as conn:
        warehouse.stamp(conn, warehouse.inputs(conn, settings))
    assert publish.publish(settings, "run3", {}).is_new
    assert not publish.publish(settings, "run4", {}).is_new


def test_models_that_are_built_are_not_yet_published(settings: Settings) -> None:
    """A run can end in between; the next load asks this before it says that nothing is new."""
    assert not publish.is_current(settings)
    _build(settings, 1)
    assert not publish.is_current(settings)
    publish.publish(settings, "run1", {})
    assert publish.is_current(settings)
    _build(settings, 2)
    assert warehouse.is_current(settings)
    assert not publish.is_current(settings)
    publish.publish(settings, "run2", {})
    (settings.published / publish.CURRENT).unlink()
    assert not publish.is_current(settings)


def test_what_a_killed_run_left_is_removed_by_the_next(settings: Settings) -> None:
    """Names of that run, which no other would overwrite."""
    _build(settings, 1)
    publish.publish(settings, "run1", {})
    published = settings.published
    for name in (".warehouse-gone.duckdb.tmp", ".warehouse-gone.duckdb.tmp.wal"):
        (published / name).write_bytes(b"half of one")
    (published / "marts-gone").mkdir()
    (published / "marts-gone/activity.usage_by_customer.parquet").write_bytes(b"half of one")
    _build(settings, 2)
    publish.publish(settings, "run2", {})
    assert [path.name for path in published.iterdir() if "gone" in path.name] == []
    assert _ask(settings, _TOTAL) == [(6,)]


def test_the_last_versions_are_kept(settings: Settings) -> None:
    for number in range(1, 6):
        _build(settings, number)
        publish.publish(settings, f"run{number}", {})
    kept = ["run3", "run4", "run5"]
    published = settings.published
    assert sorted(p.name for p in published.glob("warehouse-*")) == [
        f"warehouse-{run}.duckdb" for run in kept
    ]
    assert sorted(p.name for p in published.glob("marts-*")) == [f"marts-{run}" for run in kept]
    assert (published / "marts").resolve().name == "marts-run5"


def test_equal_marts_have_equal_bytes(settings: Settings, tmp_path: Path) -> None:
    """Whatever order the rows were built in; enough rows for several row groups and threads."""
    other = _settings(tmp_path, "other")
    _build(settings, 1, rows=300_000)
    _build(other, 1, rows=300_000, backwards=True)
    first, second = publish.publish(settings, "run1", {}), publish.publish(other, "run2", {})
    assert first.marts == second.marts
    assert (settings.published / "marts" / publish.MANIFEST).read_bytes() == (
        other.published / "marts" / publish.MANIFEST
    ).read_bytes()


def _broken(settings: Settings) -> BrokenError | None:
    (check,) = run(verify.of_publication(settings))
    return check.broken


def test_any_change_of_what_is_published_is_named(settings: Settings) -> None:
    assert _broken(settings) is None
    for number in (1, 2):
        _build(settings, number)
        publish.publish(settings, f"run{number}", {})
    published = settings.published
    (check,) = run(verify.of_publication(settings))
    # Two marts, activity.usage_by_customer and quality.all_good, of each of two runs.
    assert check.looked_at == "4 Parquet files and 2 databases of as many versions"
    paths = [path for path in sorted(published.rglob("*")) if path.is_file()]
    paths = [path for path in paths if path.parent.name != publish.MARTS]  # the link to run2's
    assert len(paths) == 2 * (2 + 2) + 2 + 1
    for path in paths:
        good, name = path.read_bytes(), f"published/{path.relative_to(published).as_posix()}"
        path.unlink()  # the database has two names, and is read-only
        assert (found := _broken(settings))
        assert found.file == name
        step = max(1, len(good) // 12)
        changes = [good + b" ", good[:-1], b""]
        for position in range(0, len(good), step):
            flipped = bytearray(good)
            flipped[position] ^= 1 << (position % 8)
            changes.append(bytes(flipped))
        for changed in changes:
            path.write_bytes(changed)
            assert (found := _broken(settings)), (name, changed)
            assert found.file == name
        path.write_bytes(good)
    assert _broken(settings) is None
    for name in ("alien.parquet", "marts-run2/activity.alien.parquet", "marts-run9/x.parquet"):
        path = published / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"PAR1")
        assert (found := _broken(settings))
        assert found.file.startswith(f"published/{name.split('/')[0]}")
        path.unlink()
        if "run9" in name:
            path.parent.rmdir()
    link = published / publish.MARTS
    link.unlink()
    assert (found := _broken(settings))
    assert found.file == "published/marts"


def test_a_forged_publication_is_named(settings: Settings) -> None:
    """Every hash in `published` fits, and the pages have none there."""
    _build(settings, 1)

    def pages() -> None:
        for name in ("index.html", "docs.html"):
            (settings.published / name).write_text("as made")

    publish.publish(settings, "run1", {}, pages=pages)
    assert _broken(settings) is None
    for name in ("index.html", "docs.html"):
        for content in ("as forged", None):
            page = settings.published / name
            page.unlink()
            if content:
                page.write_text(content)
            assert (found := _broken(settings))
            assert found.file == f"published/{name}"
        pages()
    folder, database = (
        settings.published / "marts-run1",
        settings.published / "warehouse-run1.duckdb",
    )
    with duckdb.connect(str(settings.home / "forged.duckdb")) as conn:
        conn.execute("create table forged as select 1 as units")
    for path in (database, settings.published / publish.CURRENT):
        path.unlink()
        shutil.copyfile(settings.home / "forged.duckdb", path)
    forged = {"file": database.name, "database_sha256": durable.file_sha256(database)}
    (folder / publish.DATABASE).write_bytes(publish.to_json(publish.signed(forged)))
    assert (found := _broken(settings))
    assert found.file == "published/warehouse-run1.duckdb"
    # The next publication is good again.
    publish.publish(settings, "run2", {}, again=True, pages=pages)
    shutil.rmtree(folder)
    database.unlink()
    assert _broken(settings) is None
    # Marts with a manifest that fits are another version than the one that was published.
    mart = settings.published / "marts-run2/quality.all_good.parquet"
    mart.write_bytes(b"PAR1")
    manifest = json.loads((mart.parent / publish.MANIFEST).read_bytes())
    del manifest["sha256"]
    (of_mart,) = [one for one in manifest["marts"] if one["file"] == mart.name]
    of_mart["sha256"] = durable.file_sha256(mart)
    (mart.parent / publish.MANIFEST).write_bytes(publish.to_json(publish.signed(manifest)))
    assert (found := _broken(settings))
    assert found.file == "published/marts-run2/manifest.json"


def test_what_is_published_as_issued_is_what_the_ledger_has(settings: Settings) -> None:
    """Forged together with the record, it still has to be in the ledger."""
    _build(settings, 1)
    with warehouse.connect(settings) as conn:
        conn.execute(
            "create table billing.issued_invoices as select 'alpenland' as distributor_id, "
            "1::bigint as sequence, 'x' as content_sha256, 1.00::decimal(18, 3) as total_amount"
        )
    publish.publish(settings, "run1", {})
    assert (found := _broken(settings))
    assert "shows document 1 of alpenland with 1.000" in found.what


def test_an_older_publication_is_verified_as_far_as_it_can_be(settings: Settings) -> None:
    """It recorded no hash of its database, and its manifest none of itself."""
    _build(settings, 1)
    publish.publish(settings, "run1", {})
    folder = settings.published / "marts-run1"
    (folder / publish.DATABASE).unlink()
    (settings.home / publish.RECORD).unlink()
    manifest = json.loads((folder / publish.MANIFEST).read_bytes())
    del manifest["sha256"]
    (folder / publish.MANIFEST).write_bytes(publish.to_json(manifest))
    (check,) = run(verify.of_publication(settings))
    assert check.broken is None
    assert (check.looked_at or "").endswith("; 1 databases from before their hash was kept")
    (folder / "quality.all_good.parquet").write_bytes(b"PAR1")
    assert (found := _broken(settings))
    assert found.file == "published/marts-run1/quality.all_good.parquet"
