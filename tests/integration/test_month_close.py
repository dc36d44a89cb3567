"""A month closes end to end: the promises that hold over the whole line, on real files.

What one part does by itself is tested beside that part.
"""

from __future__ import annotations

import html
import json
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pypdf
import pytest
from house import CLEAN, PERIODS, PLANTED, REPOSITORY, House
from recount import blocked_customers, recount
from recount import lines as recount_lines

from dagster_project.lib import seal
from dagster_project.lib.backup import KEPT
from dagster_project.lib.dbt import NOT_IN_PRODUCTION
from dagster_project.lib.settings import Settings
from ingest.contracts import FEEDS
from ingest.simulate import Format


def test_clean_distributors_are_issued_and_the_planted_one_is_held(closed_house: House) -> None:
    documents = {
        path.parent.name: json.loads(path.read_text())["content"]
        for path in closed_house.home.glob("ledger/*/000001.json")
    }
    assert sorted(documents) == sorted(CLEAN)
    assert documents["alpenland"]["number"] == "ALPENLAND-000001"
    released = json.loads(
        (closed_house.home / f"ledger/releases/2026-02/{PLANTED}.USD.json").read_text()
    )
    reasons = json.dumps(released)
    # Planted: a monthly licence under `connect` (R15), a move with two of three approvals (R14).
    assert "monthly_outside_flex" in reasons
    assert "unapproved_transfer" in reasons
    assert not (closed_house.home / "exports/2026-02" / PLANTED).exists()


def test_every_invoice_and_note_is_a_valid_e_invoice(closed_house: House) -> None:
    """Under the official rules; its figures are those of the document (tests/unit)."""
    documents = [
        json.loads(path.read_bytes())["content"]
        for path in closed_house.home.glob("ledger/*/[0-9]*.json")
    ]
    numbered = sum(content["number"] is not None for content in documents)
    found = json.loads(closed_house.muster("validate", "--json"))
    assert (found["is_valid"], found["findings"]) == (True, [])
    assert found["documents"] == numbered >= len(CLEAN) * len(PERIODS)


def test_nobody_elses_id_or_name_is_in_an_export(closed_house: House) -> None:
    """A byte scan of every distributor's folder and every partner's part, rosters unpacked.

    Whoever had a customer once may see it: a move is told to both sides, each in its own words.
    """
    landed = {
        feed: pl.concat(_rows_of(closed_house.landing / feed))
        for feed in ("partners", "customers", "usage", "heartbeat", "licences")
    }
    partners = landed["partners"].select("partner_id", "partner_name", "distributor_id").unique()
    customers = landed["customers"].select("customer_id", "customer_name", "partner_id").unique()
    customers = customers.join(partners, on="partner_id")
    units = pl.concat(
        landed[feed].select("customer_id", pl.col(unit).alias("unit")).unique()
        for feed, unit in (
            ("usage", "device_id"),
            ("usage", "user_id"),
            ("heartbeat", "serial_number"),
            ("licences", "licence_id"),
        )
    ).drop_nulls()
    units = units.join(
        customers.select("customer_id", "partner_id", "distributor_id"), on="customer_id"
    )
    scanned = 0
    for owner, folders in (
        ("distributor_id", "exports/*/[!_]*"),
        ("partner_id", "exports/*/[!_]*/partners/*"),
    ):
        for folder in sorted(closed_house.home.glob(folders)):
            words, text = _said_in(folder)
            for frame, ids in (
                (partners, ("partner_id", "distributor_id")),
                (customers, ("customer_id",)),
                (units, ("unit",)),
            ):
                for column in ids:
                    own = set(frame.filter(pl.col(owner) == folder.name)[column])
                    if column == "distributor_id":
                        own |= set(partners.filter(pl.col(owner) == folder.name)[column])
                    foreign = set(frame[column]) - own
                    assert len(foreign) > 1, (folder, column)
                    assert not words & foreign, (folder, column)
                    scanned += len(foreign)
            for frame, name in ((partners, "partner_name"), (customers, "customer_name")):
                # Two customers may have one name, and a partner be called after a customer.
                own = set(frame.filter(pl.col(owner) == folder.name)[name])
                own |= set(partners.filter(pl.col(owner) == folder.name)["partner_name"])
                foreign = {one for one in frame[name] if not any(one in mine for mine in own)}
                leaks = [one for one in foreign if one in text]
                assert not leaks, (folder, leaks)
            assert folder.name in words
    assert scanned > 10_000


def _rows_of(feed: Path) -> list[pl.DataFrame]:
    found = []
    for path in sorted(feed.glob("*/*.csv.gz")):
        # Some are planted as damaged.
        with suppress(OSError, pl.exceptions.PolarsError):
            table = pl.read_csv(path.read_bytes(), infer_schema=False, truncate_ragged_lines=True)
            found.append(table.select(FEEDS[feed.name].column_names))
    return found


def _said_in(folder: Path) -> tuple[set[str], str]:
    """The words of all files and file names of a folder, and their text as a name is written."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(str(path.relative_to(folder.parent)))
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
            parts.append(str(table.select(pl.col(pl.String)).rows()))
            parts.append(path.read_bytes().decode("latin-1"))
        elif path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as workbook:
                parts += [html.unescape(workbook.read(one).decode()) for one in workbook.namelist()]
        elif path.suffix == ".pdf":
            reader = pypdf.PdfReader(path)
            parts += [page.extract_text() for page in reader.pages]
            parts += [body.decode() for bodies in reader.attachments.values() for body in bodies]
        elif path.is_file():
            parts.append(html.unescape(path.read_text("utf-8")))
    text = "\n".join(parts)
    return set(re.findall(r"[A-Za-z0-9][A-Za-z0-9_-]*", text)), text.replace('""', '"').replace(
        '\\"', '"'
    )


@pytest.mark.parametrize("period", PERIODS)
def test_every_quantity_equals_an_independent_recount(closed_house: House, period: str) -> None:
    """Drafts of all distributors, issued or held, against files read without any of our code.

    The recount bills whoever is blocked (R16), the draft nobody; a line without one price is 0
    in the draft (R18).
    """
    counted = recount(closed_house.landing, closed_house.seeds, period)
    blocked = blocked_customers(closed_house.landing, closed_house.seeds, period).filter(
        pl.col("reason").is_in(["excluded_territory", "partner_resale"])
    )
    assert blocked.height == 2
    counted = counted.join(blocked, on=["distributor_id", "customer_id"], how="anti")
    with duckdb.connect(closed_house.home / "published/current.duckdb", read_only=True) as conn:
        drafted = conn.execute(
            """
            select distributor_id, partner_id, customer_id, product_code, quantity
            from billing.draft_invoice_customers where period = ?
            """,
            [period],
        ).fetchall()
        drafted_lines = conn.execute(
            """
            select distributor_id, partner_id, product_code, quantity, amount
            from billing.draft_invoice_lines where period = ?
            """,
            [period],
        ).fetchall()
    columns = ["distributor_id", "partner_id", "customer_id", "product_code", "quantity"]
    assert sorted(drafted) == sorted(counted.select(columns).rows())
    assert len(drafted) > 300
    line_columns = ["distributor_id", "partner_id", "product_code", "quantity", "amount"]
    recounted = recount_lines(counted, closed_house.seeds, period).select(line_columns)
    assert recounted["amount"].null_count() == (2 if period == "2026-02" else 0)
    recounted = recounted.with_columns(pl.col("amount").fill_null(0))
    assert sorted(drafted_lines) == sorted(recounted.rows())


def test_the_invoice_is_the_recount(closed_house: House) -> None:
    """Not just the draft: what was exported carries the recounted quantities."""
    for period in PERIODS:
        counted = recount(closed_house.landing, closed_house.seeds, period)
        for distributor_id in CLEAN:
            usage = pl.read_csv(
                closed_house.home / f"exports/{period}/{distributor_id}/usage.csv",
                infer_schema=False,
            )
            exported = usage.select(
                "partnerAccountId",
                "accountId",
                "productCode",
                pl.col("billableQuantity").cast(pl.Int64),
            ).rows()
            expected = (
                counted.filter(pl.col("distributor_id") == distributor_id)
                .select("partner_id", "customer_id", "product_code", "quantity")
                .rows()
            )
            assert sorted(exported) == sorted(expected)


def test_every_line_has_as_many_roster_rows_as_units(closed_house: House) -> None:
    for period in PERIODS:
        for distributor_id in CLEAN:
            folder = closed_house.home / f"exports/{period}/{distributor_id}"
            invoice = json.loads((folder / "invoice.json").read_text())
            roster = pl.read_parquet(folder / "roster.parquet").filter("is_counted")
            per_line = dict(roster.group_by("line_number").len().rows())
            assert per_line == {line["line_number"]: line["quantity"] for line in invoice["lines"]}
            # Proof means a file and a row, and dates inside the window.
            proof = roster.select("source_feed", "source_name", "source_row")
            assert proof.null_count().row(0) == (0, 0, 0)
            first = roster.select(pl.col("active_on").list.min().min()).item()
            last = roster.select(pl.col("active_on").list.max().max()).item()
            assert str(first) >= invoice["dates"]["window_starts_on"]
            assert str(last) <= invoice["dates"]["cutoff_on"]


def test_the_row_a_roster_names_says_what_it_claims(closed_house: House) -> None:
    """Follow the proof of one unit back to its landing file, with nothing but Polars."""
    roster = pl.read_parquet(closed_house.home / "exports/2026-01/alpenland/roster.parquet")
    for unit in roster.filter("is_counted").sample(25, seed=1).to_dicts():
        path = (
            closed_house.landing
            / unit["source_feed"]
            / str(unit["source_snapshot_date"])
            / f"{unit['source_name']}.csv.gz"
        )
        row = pl.read_csv(path, infer_schema=False).row(unit["source_row"] - 1, named=True)
        entity = "device_id" if unit["source_feed"] == "usage" else "serial_number"
        time = "last_active_at" if unit["source_feed"] == "usage" else "last_heartbeat_at"
        assert row[entity] == unit["last_device_id"]
        assert row[time][:10] == str(unit["last_active_on"])


@pytest.mark.parametrize(
    "file_format", [pytest.param("csv", marks=pytest.mark.long), pytest.param("parquet")]
)
def test_landing_format_does_not_change_a_byte(
    closed_house: House,
    landing: Callable[[Format], Path],
    tmp_path: Path,
    file_format: Format,
) -> None:
    house = House(tmp_path / "home", landing(file_format))
    house.muster("load")
    for period in PERIODS:
        house.muster("close", period, expect=3)
    assert house.exports() == closed_house.exports()


def test_arrival_order_and_duplicates_do_not_change_a_byte(
    closed_house: House, tmp_path: Path
) -> None:
    """Days arrive in random order over two loads, some of them twice and under a wrong name."""
    house = House(tmp_path / "home", tmp_path / "landing")
    files = sorted(path for path in closed_house.landing.rglob("*") if path.is_file())
    data = [path for path in files if not path.name.endswith(".json")]
    random.Random(5).shuffle(data)
    half = len(data) // 2
    for batch in (data[:half], data[half:] + data[:20]):
        for path in batch:
            for sibling in files:
                if sibling.name in (path.name, f"{path.name}.manifest.json") and (
                    sibling.parent == path.parent
                ):
                    target = house.landing / sibling.relative_to(closed_house.landing)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    # A copy has a new modification time: the same bytes delivered again.
                    shutil.copyfile(sibling, target)
        house.muster("load")
    usage = next(path for path in data if path.parts[-3] == "usage")
    misplaced = house.landing / "usage/2026-02-28/copied-by-mistake.csv.gz"
    shutil.copyfile(usage, misplaced)
    house.muster("load")
    for period in PERIODS:
        house.muster("close", period, expect=3)
    assert house.exports() == closed_house.exports()


def test_closing_an_issued_month_again_changes_no_byte(closed_house: House) -> None:
    before = (closed_house.exports(), closed_house.ledger(), closed_house.marts())
    for period in PERIODS:
        closed_house.muster("close", period, expect=3)
    assert (closed_house.exports(), closed_house.ledger(), closed_house.marts()) == before


def test_each_hold_was_alerted_once_with_its_reasons(closed_house: House) -> None:
    """However often the months were closed again: what stays as it was is no news."""
    lines = (closed_house.home.parent / "alerts").read_text().splitlines()
    told = {json.loads(line)["period"]: json.loads(line) for line in lines}
    assert len(lines) == len(PERIODS)
    for period in PERIODS:
        record = closed_house.home / f"ledger/releases/{period}/{PLANTED}.USD.json"
        released = json.loads(record.read_text())
        assert (told[period]["event"], told[period]["distributor"]) == ("hold", PLANTED)
        assert told[period]["reasons"] == released["reasons"]
        assert told[period]["amount"] == released["total_amount"]


def test_a_backup_restored_elsewhere_rebuilds_to_the_same_bytes(
    closed_house: House, tmp_path: Path
) -> None:
    """Archive, journal, ledger and reference data are enough: warehouse and folders can be lost."""
    house = House(tmp_path / "home", tmp_path / "landing-is-gone", tmp_path / "seeds-are-gone")
    closed_house.muster("backup", "--to", str(tmp_path / "backups"), "--check")
    house.muster("restore", "--from", str(tmp_path / "backups"))
    assert {path.name for path in house.home.iterdir()} == {*KEPT, "lock"}
    house.muster("rebuild")
    found = (house.exports(), house.ledger(), house.marts())
    assert found == (closed_house.exports(), closed_house.ledger(), closed_house.marts())
    # It needs neither the lock nor the warehouse, and of two good homes the head is the same.
    (house.home / "warehouse.duckdb").unlink()
    (house.home / "lock").unlink()
    verified = house.ask("verify")
    assert verified["is_good"]
    assert verified["head"] == closed_house.ask("verify", "--head", verified["head"])["head"]


def test_a_waived_hold_is_issued_by_closing_again(closed_house: House, tmp_path: Path) -> None:
    """The held distributor alone is issued; the others' bytes stay."""
    seeds = tmp_path / "seeds"
    shutil.copytree(closed_house.seeds, seeds)
    house = House(tmp_path / "home", closed_house.landing, seeds)
    shutil.copytree(closed_house.home, house.home, symlinks=True)
    before = house.exports()
    with duckdb.connect(house.home / "published/current.duckdb", read_only=True) as conn:
        ids = conn.execute(
            """
            select discrepancy_id from billing.draft_discrepancies
            where period = '2026-01' and distributor_id = ? and severity = 'blocking'
            """,
            [PLANTED],
        ).fetchall()
    assert ids
    with (seeds / "waivers.csv").open("a") as waivers:
        for (discrepancy_id,) in ids:
            waivers.write(f"{discrepancy_id},exclude,partner is being moved,A. Clerk,2026-02-01\n")
    house.muster("close", "2026-01")
    after = house.exports()
    # The vendor's own postings of the month are of one document more.
    own = "2026-01/_vendor/ledger_journal.csv"
    assert before[own] != after[own]
    before[own] = after[own]
    assert {name: digest for name, digest in after.items() if name in before} == before
    added = {name.split("/")[1] for name in after.keys() - before.keys()}
    assert added == {PLANTED}
    documents = sorted(path.name for path in (house.home / f"ledger/{PLANTED}").glob("*.json"))
    assert documents == ["000001.json"]


def test_what_other_models_made_is_computed_anew(closed_house: House, tmp_path: Path) -> None:
    """After an upgrade the tables that are only ever added to must not keep the old SQL's work."""
    house = House(tmp_path / "home", closed_house.landing, closed_house.seeds)
    shutil.copytree(closed_house.home, house.home, symlinks=True)
    with duckdb.connect(house.home / "warehouse.duckdb") as conn:
        conn.execute("delete from intermediate.int_usage_activity where customer_id < 'C000050'")
        conn.execute("update house.refreshed_with set models_sha256 = 'of the version before'")
        conn.execute("update house.built_from set models_sha256 = 'of the version before'")
    # As the version before left it, and not as somebody else did.
    seal.leave(Settings(house.home, house.landing, house.seeds))
    house.muster("load")
    stores = []
    for home in (house.home, closed_house.home):
        with duckdb.connect(home / "warehouse.duckdb", read_only=True) as conn:
            store = "select * exclude (load_id) from intermediate.int_usage_activity order by all"
            stores.append(conn.execute(store).fetchall())
    assert stores[0] == stores[1]


def test_nobody_but_owner_and_group_can_read_a_home(closed_house: House) -> None:
    open_to_others = [
        str(path)
        for path in (closed_house.home, *closed_house.home.rglob("*"))
        if not path.is_symlink() and path.stat().st_mode & 0o007
    ]
    assert open_to_others == []


def test_what_a_daily_build_leaves_out(closed_house: House, tmp_path: Path) -> None:
    """The tests that read every raw row, and those that hold functions against models."""
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copyfile(closed_house.home / "warehouse.duckdb", warehouse)
    project = str(REPOSITORY / "dbt")
    command = [str(Path(sys.executable).parent / "dbt"), "--warn-error", "test", "--select"]
    command += NOT_IN_PRODUCTION.split()
    command += ["--project-dir", project, "--profiles-dir", project]
    command += ["--target-path", str(tmp_path), "--log-path", str(tmp_path)]
    environment = {**os.environ, "MUSTER_WAREHOUSE": str(warehouse), "DO_NOT_TRACK": "1"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stdout
    assert "PASS=4" in result.stdout


def test_explain_names_each_unit_of_a_line(closed_house: House) -> None:
    told = closed_house.ask("explain", "ALPENLAND-000001", "1")
    invoice = json.loads((closed_house.home / "exports/2026-01/alpenland/invoice.json").read_text())
    assert len(told["counted"]) == invoice["lines"][0]["quantity"]


def test_a_bad_period_is_refused_in_words(closed_house: House) -> None:
    told = closed_house.muster("close", "2026-13", expect=2)
    assert "'2026-13' is not a period such as 2026-01" in told
    assert "Traceback" not in told


def test_nothing_is_made_from_a_forged_ledger(closed_house: House, tmp_path: Path) -> None:
    """A document edited by hand, then one missing: neither is rendered, whatever is asked."""
    house = House(tmp_path / "home", closed_house.landing)
    shutil.copytree(closed_house.home, house.home, symlinks=True)
    before = house.exports()
    document = house.home / "ledger/alpenland/000001.json"
    good = document.read_text()
    amount = json.loads(good)["content"]["lines"][0]["amount"]
    document.write_text(good.replace(f'"amount":"{amount}"', '"amount":"99910.50"'))
    for command in (["rebuild"], ["status"], ["explain", "ALPENLAND-000001", "1"]):
        told = house.muster(*command, expect=1)
        assert "000001.json" in told
        assert "backup" in told
    assert "BROKEN  documents: alpenland/000001.json: has sha256" in house.muster(
        "verify", expect=1
    )
    document.unlink()
    assert "alpenland/000001.json: is missing" in house.muster("verify", expect=1)
    assert "sequence is 2, should be 1" in house.muster("rebuild", expect=1)
    assert (house.home / "warehouse.duckdb").exists()
    assert house.exports() == before


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1 a) to '{target}'",
        "explain analyze copy (select 1 a) to '{target}'",
        "export database '{target}'",
        "attach '{target}'",
        "select 1; copy (select 1 a) to '{target}'",
        "",
    ],
)
def test_sql_writes_no_file(closed_house: House, tmp_path: Path, query: str) -> None:
    target = tmp_path / "target"
    told = closed_house.muster("sql", query.format(target=target), expect=1)
    assert "Only one SELECT" in told
    assert not target.exists()


def test_sql_shows_values_whole(closed_house: House) -> None:
    query = (
        "select unit_id, active_on from billing.roster('ALPENLAND-000001', 1) order by all limit 1"
    )
    with duckdb.connect(closed_house.home / "published/current.duckdb", read_only=True) as conn:
        (unit_id, active_on) = conn.execute(query).fetchall()[0]
    for options in ([], ["--csv"]):
        told = closed_house.muster("sql", *options, query)
        assert unit_id in told
        assert str(active_on[-1]) in told
        assert "datetime" not in told
    told = closed_house.muster("sql", "select 2026 as y, true as t, '[red]x[/red]' as name")
    assert told.split() == ["y", "t", "name", "2026", "true", "[red]x[/red]"]


def test_a_changed_price_is_shown_beside_what_was_issued(
    closed_house: House, tmp_path: Path
) -> None:
    """Issued stays issued; draft and publication show both figures."""
    seeds = tmp_path / "seeds"
    shutil.copytree(closed_house.seeds, seeds)
    house = House(tmp_path / "home", closed_house.landing, seeds)
    shutil.copytree(closed_house.home, house.home, symlinks=True)
    before = house.exports()
    (issued,) = [
        json.loads(path.read_text())["content"]
        for path in house.home.glob("ledger/alpenland/000002.json")
    ]
    line = issued["lines"][0]
    assert (line["product_code"], line["unit_price"]) == ("EPSTD", "2.10")
    prices = seeds / "price_bands.csv"
    prices.write_text(
        prices.read_text().replace("EPSTD,EUR,volume,1,99,2.100,", "EPSTD,EUR,volume,1,99,2.200,")
    )
    (draft,) = [
        one for one in house.ask("draft", "2026-02") if one["distributor_id"] == "alpenland"
    ]
    # Ten cents more for every unit of the lines that the first band prices.
    first_band = sum(
        one["quantity"]
        for one in issued["lines"]
        if one["product_code"] == "EPSTD" and one["band_min"] == 1
    )
    assert first_band > 0
    assert draft["issued"] == {
        "number": "ALPENLAND-000002",
        "total_amount": issued["totals"]["amount"],
        "billed_amount": issued["totals"]["amount"],  # no note yet
    }
    difference = Decimal(draft["total_amount"]) - Decimal(issued["totals"]["amount"])
    assert difference == Decimal("0.10") * first_band
    told = house.muster("draft", "2026-02")
    assert f"Issued as ALPENLAND-000002 with {Decimal(issued['totals']['amount']):,}" in told
    with duckdb.connect(house.home / "published/current.duckdb", read_only=True) as conn:
        published = conn.execute(
            "select total_amount from billing.issued_invoices where number = 'ALPENLAND-000002'"
        ).fetchall()
    assert published == [(Decimal(issued["totals"]["amount"]),)]
    assert house.exports() == before


def test_status_names_a_waiver_without_a_discrepancy_and_an_unfinished_run(
    closed_house: House, tmp_path: Path
) -> None:
    seeds = tmp_path / "seeds"
    shutil.copytree(closed_house.seeds, seeds)
    with (seeds / "waivers.csv").open("a") as waivers:
        waivers.write("deadbeefdeadbeef,bill,typing error,A. Clerk,2026-02-01\n")
    house = House(tmp_path / "home", closed_house.landing, seeds)
    shutil.copytree(closed_house.home, house.home, symlinks=True)
    house.muster("load")
    assert "Waiver deadbeefdeadbeef" in house.muster("status")
    # As after a kill between load and publication.
    manifest = house.home / "published/marts/manifest.json"
    made = json.loads(manifest.read_text())
    made["made_from"]["version_set_sha256"] = "0" * 64
    manifest.write_text(json.dumps(made))
    assert "did not finish" in house.muster("status")
