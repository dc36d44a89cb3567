"""What analysts are promised, on the demo anyone can make: everything is described, lines are
explained in SQL, and every question of docs/sql-cookbook.md has the answer that stands there.

After a change that is meant, write the answers again from a demo's publication and read the diff:
``python tests/integration/test_analysts.py demo/home/published/current.duckdb``
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import yaml
from browser import browser, requests, wait
from house import REPOSITORY, SEEDS, House

from dagster_project.lib import documentation
from dagster_project.lib.publish import SCHEMAS
from dagster_project.lib.settings import Settings
from invoicing.explain import Unit, explain
from invoicing.ledger import Ledger

COOKBOOK = REPOSITORY / "docs" / "sql-cookbook.md"
_SHOWN = 4
_MORE = "…"
_RECIPE = re.compile(r"^## (\d+)\. (.+?)\n(.+?)```sql\n(.+?)```\n(.*?)(?=^## |\Z)", re.M | re.S)


@dataclass(frozen=True)
class Recipe:
    number: int
    question: str
    sql: str
    table: str


def recipes(text: str) -> list[Recipe]:
    return [
        Recipe(int(number), question, sql, table.strip())
        for number, question, _, sql, table in _RECIPE.findall(text)
    ]


def answer(conn: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The first rows as a Markdown table; a last row of dots says that there are more."""
    cursor = conn.execute(sql)
    header = [column[0] for column in cursor.description or []]
    rows = cursor.fetchall()
    shown = [[_cell(value) for value in row] for row in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        shown.append([_MORE] * len(header))
    lines = [header, ["---"] * len(header), *shown]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return " ".join(text.replace("|", "\\|").split())


def rewrite(conn: duckdb.DuckDBPyConnection) -> None:
    text = COOKBOOK.read_text(encoding="utf-8")
    for recipe in recipes(text):
        block = f"```sql\n{recipe.sql}```\n"
        before = f"{block}\n{recipe.table}\n" if recipe.table else block
        assert text.count(before) == 1, recipe.question
        text = text.replace(before, f"{block}\n{answer(conn, recipe.sql)}\n")
    COOKBOOK.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    house = House(folder / "home", folder / "landing", SEEDS)
    house.muster("demo", "--dir", str(folder))
    return house


@pytest.fixture(scope="module")
def published(demo: House) -> Iterator[duckdb.DuckDBPyConnection]:
    conn = duckdb.connect(str(demo.home / "published" / "current.duckdb"), read_only=True)
    with conn:
        yield conn


def _documents(demo: House) -> list[dict[str, Any]]:
    """The content of every issued document, from the ledger's files."""
    files = sorted((demo.home / "ledger").glob("*/[0-9]*.json"))
    assert len(files) == 5
    return [json.loads(path.read_text())["content"] for path in files]


def test_everything_published_is_described(published: duckdb.DuckDBPyConnection) -> None:
    described = {
        f"{schema}.{name}": comment
        for schema, name, comment in published.execute(
            """
            select schema_name, table_name, comment from duckdb_tables()
            union all
            select schema_name, view_name, comment from duckdb_views() where not internal
            union all
            select schema_name, concat(table_name, '.', column_name), comment
            from duckdb_columns() where not internal
            union all
            select schema_name, function_name, comment
            from duckdb_functions() where function_type = 'table_macro' and not internal
            """
        ).fetchall()
    }
    assert {name.split(".")[0] for name in described} == set(SCHEMAS)
    assert len(described) > 500
    assert {"billing.roster", "reference.tax_rates.rate"} <= set(described)
    assert [name for name, text in described.items() if not (text or "").strip()] == []


def test_sql_explains_a_line_as_the_command_does(
    demo: House, published: duckdb.DuckDBPyConnection
) -> None:
    ledger, seen = Ledger(demo.home / "ledger"), 0
    for content in _documents(demo):
        for line in content["lines"]:
            key = [content["number"], line["line_number"]]
            told = explain(ledger, None, f"{key[0]} {key[1]}")

            assert published.execute(
                "select customer_id, name, unit_kind, unit_id, reason, last_active_on::varchar, "
                "active_on::varchar[], source from billing.explain_line(?, ?) "
                "where part in ('counted', 'not_counted')",
                key,
            ).fetchall() == [_row(unit) for unit in (*told.counted, *told.not_counted)]
            assert published.execute(
                "select customer_id, customer_name, unit_kind, unit_id, reason, "
                "last_active_on::varchar, active_on::varchar[], source_feed || '/' || "
                "source_snapshot_date || '/' || source_name || ' data row ' || source_row "
                "from billing.roster(?, ?) where is_counted",
                key,
            ).fetchall() == [_row(unit) for unit in told.counted]
            head, *customers = published.execute(
                "select customer_id, quantity, amount from billing.explain_line(?, ?) "
                "where part in ('line', 'customer')",
                key,
            ).fetchall()
            assert head == (None, line["quantity"], Decimal(line["amount"]))
            assert customers == [
                (one["customer_id"], one["quantity"], Decimal(one["amount"]))
                for one in line["customers"]
            ]
            seen += 1
    # 27 lines of January and 27 of February for Alpenland, 16 and 16 for Sakura, 1 of the note.
    assert (
        seen
        == published.execute("select count(*) from billing.issued_invoice_lines").fetchall()[0][0]
    )


def _row(unit: Unit) -> tuple[object, ...]:
    return (
        unit.customer_id,
        unit.customer_name,
        unit.unit_kind,
        unit.unit_id,
        unit.reason,
        unit.last_active_on,
        list(unit.active_on),
        unit.source,
    )


def test_the_row_named_for_a_unit_says_that_it_was_active(
    demo: House, published: duckdb.DuckDBPyConnection
) -> None:
    """Every unit ever billed: its landing file is opened and the row is read."""
    billed = published.execute(
        "select source_feed, source_snapshot_date, source_name, source_row, customer_id, "
        "unit_kind, unit_id, last_device_id, last_active_on "
        "from billing.issued_roster where is_counted"
    ).fetchall()
    by_file = defaultdict(list)
    for feed, day, source, *rest in billed:
        by_file[f"{feed}/{day}/{source}"].append(rest)
    assert len(billed) > 5000
    for name, units in by_file.items():
        path = next(path for path in demo.landing.glob(f"{name}.csv*") if path.suffix != ".json")
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        rows = text.decode("utf-8-sig").splitlines()
        for number, customer_id, kind, unit_id, device_id, last_active_on in units:
            cells = rows[number].split(",")
            assert device_id in cells, (name, number)
            # A row without a user says nothing of whose device it is (R6).
            assert kind != "user" or {unit_id, ""} & set(cells)
            # A firewall is billed to the customer of its licence, whoever it reports under (R9).
            assert customer_id in cells or kind == "firewall"
            assert cells[-1].startswith(last_active_on.isoformat())


_RECIPES = recipes(COOKBOOK.read_text(encoding="utf-8"))


def test_every_question_has_a_number_an_answer_and_sql() -> None:
    headings = re.findall(r"^## (.+)$", COOKBOOK.read_text(encoding="utf-8"), re.M)
    assert headings == [f"{one.number}. {one.question}" for one in _RECIPES]
    assert [one.number for one in _RECIPES] == list(range(1, len(_RECIPES) + 1))
    assert len(_RECIPES) >= 20


@pytest.mark.parametrize("recipe", _RECIPES, ids=lambda one: f"{one.number} {one.question}")
def test_the_answer_that_stands_there_is_true(
    recipe: Recipe, published: duckdb.DuckDBPyConnection
) -> None:
    assert answer(published, recipe.sql).splitlines() == recipe.table.splitlines()
    # Nothing is disputed in the demo; every other question is asked of something.
    assert len(recipe.table.splitlines()) > 2 or "billing.disputes" in recipe.sql


def _asked(published: duckdb.DuckDBPyConnection, question: str) -> list[tuple[Any, ...]]:
    (recipe,) = [one for one in _RECIPES if one.question.startswith(question)]
    return published.execute(recipe.sql).fetchall()


def test_billed_per_product_and_category_is_what_the_documents_say(
    demo: House, published: duckdb.DuckDBPyConnection
) -> None:
    by_product: dict[tuple[str, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 2)
    by_category: dict[tuple[str, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 2)
    for content in _documents(demo):
        month = content.get("corrects", content)["period"]
        for line in content["lines"]:
            for totals, key in (
                (
                    by_product,
                    (content["distributor"]["distributor_id"], line["product_name"], month),
                ),
                (by_category, (month, line["category"], content["currency"])),
            ):
                units, amount = totals[key]
                totals[key] = [units + line["quantity"], amount + Decimal(line["amount"])]
    assert {row[:3]: list(row[3:5]) for row in _asked(published, "What was billed")} == by_product
    assert {row[:3]: list(row[3:5]) for row in _asked(published, "Revenue")} == by_category


def test_growth_and_price_bands_are_what_the_documents_say(
    demo: House, published: duckdb.DuckDBPyConnection
) -> None:
    growth: dict[str, Decimal] = defaultdict(Decimal)
    bands = {}
    for content in _documents(demo):
        distributor_id = content["distributor"]["distributor_id"]
        sign = 1 if content.get("corrects", content)["period"] == "2026-02" else -1
        for line in content["lines"]:
            if content["period"] == "2026-02" and "corrects" not in content:
                key = (distributor_id, line["partner_id"], line["product_code"])
                bands[key] = line["units_to_next_band"]
            for customer in line["customers"] if content["currency"] == "EUR" else ():
                growth[customer["customer_id"]] += sign * Decimal(customer["amount"])
    expected = sorted(growth.items(), key=lambda one: (-one[1], one[0]))[:10]
    assert [(row[0], row[4]) for row in _asked(published, "Ten customers")] == expected
    issued = {key: left for key, left in bands.items() if left is not None}
    asked = _asked(published, "How far")
    assert {row[:3]: row[6] for row in asked if row[0] != "cascadia"} == issued


def test_windows_of_any_length_count_what_the_landing_files_say(
    demo: House, published: duckdb.DuckDBPyConnection
) -> None:
    """Users and devices of the regions without planted faults, from the files (R2, R3, R6, R8)."""
    files = [
        path
        for path in demo.landing.glob("usage/*/*.csv*")
        if path.suffix != ".json" and not path.name.startswith("us-")
    ]
    rows = pl.concat(pl.read_csv(path, infer_schema=False) for path in files).with_columns(
        day=pl.col("last_active_at").str.slice(0, 10).str.to_date()
    )
    customers = rows["customer_id"].unique().to_list()
    last, device = date(2026, 2, 28), ["product_code", "device_id"]
    expected, found = {}, {}
    for window_days in (7, 30, 60):
        active = rows.filter(pl.col("day").is_between(last - timedelta(window_days - 1), last))
        there = active.sort("day", "customer_id", descending=[True, False]).unique(
            device, keep="first", maintain_order=True
        )
        named = active.join(there, on=[*device, "customer_id"], how="semi").filter(
            pl.col("user_id").fill_null("") != ""
        )
        whose = named.sort("day", "user_id", descending=[True, False]).unique(
            device, keep="first", maintain_order=True
        )
        units = there.select(*device, "customer_id").join(
            whose.select(*device, "user_id"), on=device, how="left"
        )
        # Servers are counted by device, whoever uses them (R4).
        unit = pl.when(pl.col("product_code").str.starts_with("SV")).then("device_id")
        counts = (
            units.with_columns(unit=unit.otherwise(pl.coalesce("user_id", "device_id")))
            .group_by("product_code", "customer_id")
            .agg(pl.col("unit").n_unique())
        )
        expected[window_days] = sorted(counts.rows())
        found[window_days] = published.execute(
            "select product_code, customer_id, active_units "
            "from activity.active_users(date '2026-02-28', ?) "
            "where list_contains(?, customer_id) order by all",
            [window_days, customers],
        ).fetchall()
    assert found == expected
    assert len(found[30]) > 200


_METRICS = yaml.safe_load((REPOSITORY / "dbt/models/marts/_metrics.yml").read_text("utf-8"))
_METRICS_EXPLAINED = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_every_metric_is_explained_and_its_columns_are_published(
    published: duckdb.DuckDBPyConnection,
) -> None:
    """dbt does not look whether a column of the semantic layer exists."""
    explained = re.findall(r"^\| `(\w+)` \|", _METRICS_EXPLAINED, re.M)
    assert explained == [metric["name"] for metric in _METRICS["metrics"]]
    schemas = dict(
        published.execute("select table_name, schema_name from duckdb_tables()").fetchall()
    )
    for model in _METRICS["semantic_models"]:
        (table,) = re.findall(r"ref\('(\w+)'\)", model["model"])
        for one in (*model.get("entities", ()), *model["dimensions"], *model["measures"]):
            expression = one.get("expr", one["name"])
            published.execute(f"select {expression} from {schemas[table]}.{table} limit 0")


# The metrics as MetricFlow groups them, and the same in plain SQL.
_BY_HAND = {
    ("billed_units", "metric_time__month", "line__distributor_id"): """
        select billed_period || '-01', distributor_id, sum(quantity)
        from billing.issued_invoice_lines group by all
    """,
    ("billed_amount", "metric_time__month", "line__currency"): """
        select billed_period || '-01', currency, sum(amount)
        from billing.issued_invoice_lines group by all
    """,
    ("units_not_billed", "metric_time__month", "unit_group__reason"): """
        select period || '-01', reason, count(*)
        from billing.draft_roster where is_active and not is_counted group by all
    """,
    ("active_users", "metric_time__day", "customer_product_date__product_code"): """
        select as_of, product_code, sum(active_units)
        from activity.customer_usage where billing_unit = 'user' group by all
    """,
    ("active_users", "customer_product_date__billing_unit"): """
        select 'user', sum(active_units) from activity.active_users(date '2026-03-25', 30)
        where product_code not in (
            select product_code from activity.products where billing_unit <> 'user'
        )
    """,
    ("active_devices", "metric_time__day"): """
        select as_of, sum(active_devices)
        from activity.customer_usage where billing_unit <> 'firewall' group by all
    """,
    ("active_firewalls", "customer_product_date__billing_unit"): """
        select 'firewall', count(*) + (
            -- With licences of two products it is a unit of each (R9).
            from quality.discrepancies select count(*)
            where period = '2026-03' and kind = 'firewall_two_products'
        )
        from activity.active_firewalls(date '2026-03-25', 30) where operating_system = 'SFOS'
    """,
}


def test_metricflow_gives_the_figures_of_plain_sql(
    demo: House, published: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    pytest.importorskip("dbt_metricflow", reason="the extra `metrics` is not installed")
    (example,) = re.findall(r"```python\n(.+?)```", _METRICS_EXPLAINED, re.S)
    shutil.copytree(
        REPOSITORY / "dbt", tmp_path / "dbt", ignore=shutil.ignore_patterns("target", "logs")
    )
    ask = "\n".join(
        [
            example,
            "import json",
            f"for metric, *by in {list(_BY_HAND)!r}:",
            "    asked = MetricFlowQueryRequest.create(metric_names=[metric], group_by_names=by)",
            "    found = layer.mf.query(asked).result_df",
            "    rows = [[str(cell) for cell in row] for row in found.rows]",
            "    print('#' + json.dumps([found.column_names, rows]))",
        ]
    )
    result = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "DBT_TARGET": "published",
            "MUSTER_PUBLISHED": str(demo.home / "published" / "current.duckdb"),
            "DO_NOT_TRACK": "1",
        },
    )
    assert "alpenland" in result.stdout
    answers = [json.loads(line[1:]) for line in result.stdout.splitlines() if line[:1] == "#"]
    for (metric, *by), (columns, rows), sql in zip(
        _BY_HAND, answers, _BY_HAND.values(), strict=True
    ):
        assert columns == [*by, metric]
        told = {(*(cell[:10] for cell in row[:-1]), Decimal(row[-1])) for row in rows}
        expected = published.execute(sql).fetchall()
        assert len(expected) > 0
        assert told == {
            (*(str(cell)[:10] for cell in row[:-1]), Decimal(row[-1])) for row in expected
        }


def test_the_page_of_documentation_asks_for_nothing_and_shows_what_the_yaml_says(
    demo: House, tmp_path: Path
) -> None:
    written = demo.home / "published" / "docs.html"
    page = tmp_path / "docs.html"
    page.write_bytes(written.read_bytes())
    assert page.stat().st_size < 6_000_000
    with _listener() as (address, heard), browser(tmp_path) as driver:
        driver.get(f"{page.as_uri()}#!/model/model.musterhouse.issued_roster")
        body = driver.find_element("tag name", "body")
        shown = wait(lambda: body.text if "Every unit behind every issued" in body.text else "")
        assert "source_row" in shown
        assert "BIGINT" in shown
        driver.get(f"{page.as_uri()}#!/metric/metric.musterhouse.billed_amount")
        wait(lambda: "always per currency" in body.text if body.is_displayed() else False)
        # `chrome…` is the page a browser begins with.
        inside = ("file:", "data:", "blob:", "chrome")
        assert [one for one in requests(driver) if not one.startswith(inside)] == []

        # It could not if it wanted to; the same page without its policy could.
        call = "fetch(arguments[0], {mode: 'no-cors'}).then(() => 1, () => 0).then(arguments[1])"
        assert driver.execute_async_script(call, f"{address}/closed") == 0
        open_page = tmp_path / "open.html"
        open_page.write_text(re.sub("<meta http-equiv[^>]*>", "", page.read_text("utf-8")), "utf-8")
        driver.get(open_page.as_uri())
        assert driver.execute_async_script(call, f"{address}/open") == 1
    assert heard == ["/open"]

    settings = Settings(demo.home, demo.landing, demo.seeds)
    assert documentation.write(settings).read_bytes() == page.read_bytes()
    # Parsed another time it is the same: no clock, no ids of a run.
    for manifest in (demo.home / "dbt").glob("manifest-*.json"):
        manifest.unlink()
    (demo.home / "dbt" / "target" / "partial_parse.msgpack").unlink(missing_ok=True)
    assert documentation.write(settings).read_bytes() == page.read_bytes()


def test_a_description_cannot_end_the_script() -> None:
    manifest = {
        "metadata": {"project_name": "p"},
        "macros": {},
        "nodes": {},
        "docs": {"x": "</script><script>alert(1)</script>"},
    }
    assert b"</script><script>alert" not in documentation.page(manifest)


@contextmanager
def _listener() -> Iterator[tuple[str, list[str]]]:
    """An address on this machine, and the paths it was asked for."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()


if __name__ == "__main__":
    rewrite(duckdb.connect(sys.argv[1], read_only=True))
