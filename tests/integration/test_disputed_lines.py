"""A dispute from the command line to the analysts, and back from a backup; no document moves."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
from house import House

pytestmark = pytest.mark.long


def _published(house: House) -> list[tuple[object, ...]]:
    with duckdb.connect(house.home / "published/current.duckdb", read_only=True) as conn:
        return conn.execute(
            "select number, line_number, amount, is_open, note_count, notes from billing.disputes "
            "order by dispute_id"
        ).fetchall()


def test_a_dispute_reaches_analysts_with_the_next_load_and_survives_a_rebuild(
    closed_house: House, tmp_path: Path
) -> None:
    house = House(tmp_path / "home", closed_house.landing)
    shutil.copytree(closed_house.home, house.home, symlinks=True)
    exports, marts = house.exports(), house.marts()
    ledger = house.ledger()
    assert _published(house) == []

    line = ("ALPENLAND-000001", "2")
    given = ("--by", "A. Clerk", "--on", "2026-02-03")
    house.muster("dispute", *line, "--note", "two of them left", *given)
    (listed,) = house.ask("dispute")
    assert (listed["number"], listed["line_number"]) == ("ALPENLAND-000001", 2)
    # Seen at once, without a build.
    assert "two of them left" in house.muster("status")
    assert house.marts() == marts
    # A draft of the month brings the publication up to date, and shows it beside what was issued.
    told = house.muster("draft", "2026-01")
    assert "2026-02-03 A. Clerk: two of them left" in told
    (draft,) = [one for one in house.ask("draft", "2026-01") if one["disputes"]]
    assert (draft["distributor_id"], draft["disputes"]) == ("alpenland", [listed])

    house.muster("dispute", *line, "--settle", "--note", "credited", *given)
    house.muster("load")
    assert "Nothing new" in house.muster("load")
    (row,) = _published(house)
    assert row[:2] == ("ALPENLAND-000001", 2)
    assert f"{row[2]:.2f}" == listed["amount"]
    assert row[3:] == (
        False,
        2,
        "2026-02-03 A. Clerk: two of them left\n2026-02-03 A. Clerk: credited",
    )
    changed = {name for name, digest in house.marts().items() if digest != marts.get(name)}
    assert changed == {"billing.disputes.parquet"}

    # Closing again issues nothing and changes no byte a distributor has.
    house.muster("close", "2026-01", expect=3)
    assert house.exports() == exports
    noted = {name: house.ledger()[name] for name in ("disputes.jsonl", "heads.jsonl")}
    assert {**ledger, **noted} == house.ledger()

    # Archive, journal and ledger are all a backup holds.
    before = (house.exports(), house.ledger(), house.marts())
    (house.home / "warehouse.duckdb").unlink()
    for folder in ("published", "exports", "reference", "dbt", "dagster"):
        shutil.rmtree(house.home / folder)
    house.muster("rebuild")
    assert (house.exports(), house.ledger(), house.marts()) == before

    # A damaged file stops what would be made from it, in words.
    disputes = house.home / "ledger/disputes.jsonl"
    disputes.write_text(disputes.read_text().replace("opened", "noted"))
    for command in (["status"], ["dispute"], ["load"], ["rebuild"]):
        told = house.muster(*command, expect=1)
        assert "disputes.jsonl, line 1 is damaged" in told
        assert "backup" in told
        assert "Traceback" not in told
