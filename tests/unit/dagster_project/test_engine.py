"""What Spark reads, what is said without Spark, and that the SQL stays what both engines know.

Both engines' results: tests/integration/test_spark.py.
"""

import re
from pathlib import Path

import duckdb
import pytest

from dagster_project.lib import spark
from dagster_project.lib.settings import REPOSITORY, Settings, SettingsError

RAW = """
    create schema raw; create schema reference; create schema ledger;
    create table raw.files (
        feed varchar, snapshot_date date, source varchar, load_id bigint, sha256 varchar
    );
    create table raw.usage (snapshot_date date, device_id varchar, load_id bigint);
    create table reference.currencies (currency varchar);
    create table ledger.documents (
        distributor_id varchar, sequence bigint, content_sha256 varchar
    );
    create table ledger.document_rosters (distributor_id varchar, sequence bigint, unit_id varchar);
    insert into raw.files values
        ('usage', '2026-01-01', 'a', 1, 'x'), ('usage', '2026-01-02', 'a', 2, 'y');
    insert into raw.usage values
        ('2026-01-01', 'd1', 1), ('2026-01-02', 'd1', 2), ('2026-01-02', 'd2', 2);
"""


@pytest.fixture
def conn() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute(RAW)
    return made


def test_a_feed_is_a_file_a_day_written_again_only_when_its_files_changed(
    conn: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    spark.export_sources(conn, tmp_path)
    first = _files(tmp_path / "raw" / "usage")
    assert [name[:10] for name in first] == ["2026-01-01", "2026-01-02", "none.parqu"]
    assert (
        _rows(tmp_path / "raw" / "usage") == conn.execute("from raw.usage order by all").fetchall()
    )
    # A file of the second day is replaced by one with another row.
    conn.execute("delete from raw.usage where load_id = 2")
    conn.execute("update raw.files set load_id = 3, sha256 = 'z' where load_id = 2")
    conn.execute("insert into raw.usage values ('2026-01-02', 'd3', 3)")
    written = spark.export_sources(conn, tmp_path)
    assert [path.name[:10] for path in written if path.parent.name == "usage"] == ["2026-01-02"]
    assert _files(tmp_path / "raw" / "usage")[0] == first[0]
    assert (
        _rows(tmp_path / "raw" / "usage") == conn.execute("from raw.usage order by all").fetchall()
    )


def test_a_day_that_was_taken_back_is_gone_and_its_columns_stay(
    conn: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    spark.export_sources(conn, tmp_path)
    conn.execute("delete from raw.usage")
    conn.execute("delete from raw.files")
    spark.export_sources(conn, tmp_path)
    assert _files(tmp_path / "raw" / "usage") == ["none.parquet"]
    assert _rows(tmp_path / "raw" / "usage") == []


def test_without_a_cluster_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark")
    # Nobody listens on port 1.
    monkeypatch.setenv("MUSTER_SPARK_MASTER", "spark://127.0.0.1:1")
    monkeypatch.setenv("JAVA_HOME", "/somewhere")
    with pytest.raises(spark.SparkError, match=r"No Spark master .*:1: .*make spark-up"):
        spark.check_ready()


def test_without_the_extra_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(spark.SparkError, match="make spark-install"):
        spark.check_ready()


def test_an_engine_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="MUSTER_ENGINE is 'sparks'"):
        Settings.from_environment({"MUSTER_ENGINE": "sparks"})


# What DuckDB alone understands, or understands otherwise, and what to write instead.
DUCKDB_ONLY = {
    r"\bvarchar\b": "string",
    r"\bexclude \(": "except (",
    r"\* replace \(": "except (…) and the column beside it",
    r"union all by name": "union all, with the columns in the same order",
    r"(?<![\w.])concat\(": "concat_ws('', …): Spark's concat of a null is null",
    r"::": "cast",
    r"(?<!\w)list\(": "array_agg",
    r"\blist_(?!of|type)\w+\(": "a macro of macros/lists.sql",
    r"\bunnest\(": "exploded",
    r"\bstring_agg\(": "joined_texts or distinct_texts",
    r"\bhugeint\b": "wide_integer",
    r"\barg_(max|min)\(": "last_known",
    r"->>": "json_field",
    r"\bto_json\(": "json_object or json_list",
    r"\{'": "record",
    r"\blambda\b": "a macro of macros/lists.sql",
}


# Macros for one engine, comments, and what is text.
_LEFT_OUT = (
    r"\{% (macro|materialization) (duckdb|spark)__.*?endmacro",
    r"\{% materialization .*?endmaterialization",
    r"\{#.*?#\}",
    r"'[^'\n]*[ ,.:][^'\n]*'",
)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "dbt").rglob("*.sql")), ids=lambda p: p.stem)
def test_models_and_tests_say_what_both_engines_understand(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if "table_function" in text or 'enabled=target.type == "duckdb"' in text:
        return  # DuckDB's alone
    for pattern in _LEFT_OUT:
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    found = {word: instead for word, instead in DUCKDB_ONLY.items() if re.search(word, text)}
    assert found == {}


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _rows(folder: Path) -> list[tuple[object, ...]]:
    return duckdb.sql(f"from '{folder}/*.parquet' order by all").fetchall()
