"""Five months of a small vendor, of which the policy keeps two: what goes and what stays."""

from __future__ import annotations

import csv

import pytest
from house import House
from tiny import month_end, seeds, usage

DAYS = ("2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """January to May issued, nothing correctable and nothing recomputed."""
    root = tmp_path_factory.mktemp("retention")
    reference = seeds(root / "seeds", correction_periods="0", recomputed_periods="0")
    house = House(root / "home", root / "landing", reference)
    for day in DAYS:
        month_end(house.landing, day, usage("C1", ["a", "b"], f"{day[:8]}20"))
    for day in DAYS:
        house.muster("close", day[:7])
    return house


def _keep(house: House, months: str) -> None:
    path = house.seeds / "policies.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    kept = [
        [name, months if name == "raw_retention_months" else value, said]
        for name, value, said in rows
    ]
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(kept)


@pytest.mark.long
def test_old_usage_goes_and_every_document_stays(house: House) -> None:
    """Usage of May, and two months before it: kept from 1 March. Two feeds of January and February
    go, which is four files with 2 + 2 rows of usage."""
    assert "Nothing would go" in house.muster("expire")
    assert "Everything is kept" in house.muster("expire", "--by", "Ada", expect=1)
    _keep(house, "2")
    house.muster("load")
    told = house.muster("expire")
    assert "Would let go of 4 files" in told
    assert "dated before 2026-03-01: 4 rows" in told
    assert "ALPENLAND-000001, ALPENLAND-000002, ALPENLAND-000003 and 2 more" in told
    assert any("muster expire" in step for step in house.ask("status")["next"])
    ledger, exports, marts = house.ledger(), house.exports(), house.marts()
    archived = set((house.home / "archive").iterdir())

    assert "Done." in house.muster("expire", "--by", "A. Clerk")

    # Heartbeat files without a row are the same bytes every month, so March still needs them.
    assert len(archived - set((house.home / "archive").iterdir())) == 2
    assert (house.ledger(), house.exports()) == (ledger, exports)
    assert house.muster("verify")
    calendar = house.ask("status")["feeds"]
    assert {one["feed"]: one["first_day"] for one in calendar if one["files"]} == {
        "usage": "2026-03-31",
        "heartbeat": "2026-03-31",
        "customers": "2026-01-31",
        "partners": "2026-01-31",
        "licences": "2026-01-31",
        "transfers": "2026-01-31",
    }
    assert not [step for step in house.ask("status")["next"] if "muster expire" in step]
    # Of what the month to come rests on, nothing changed.
    unchanged = ("billing.draft_roster.parquet", "activity.customer_usage.parquet")
    after = house.marts()
    assert {name: after[name] for name in unchanged} == {name: marts[name] for name in unchanged}
    # The landing folder still holds the files, and a late one comes: neither is taken in.
    month_end(house.landing, "2026-02-27", usage("C1", ["late"], "2026-02-20"))
    told = house.muster("load")
    assert "before what the retention policy keeps" in told
    # The registry goes back to January: days of usage that went are no holes, those after are.
    first = "select min(snapshot_date) from quality.feed_calendar where feed = 'usage'"
    assert "2026-03-01" in house.muster("sql", first)
    # A document rests on all files of its time, so none from before can be made again: it says so.
    assert "went with the retention policy" in house.muster("reproduce", DOCUMENTS[0], expect=1)
    assert "went with the retention policy" in house.muster("reproduce", DOCUMENTS[-1], expect=1)
    # The roster still names everybody.
    assert "u-a" in house.muster("explain", DOCUMENTS[0], "1")
    # Life goes on: the next month is issued, and can be made again from what is kept.
    month_end(house.landing, "2026-06-30", usage("C1", ["a", "b"], "2026-06-20"))
    house.muster("close", "2026-06")
    assert "Identical" in house.muster("reproduce", "ALPENLAND-000006")
    now = (house.ledger(), house.exports(), house.marts())
    assert ledger.items() - now[0].items() == {("heads.jsonl", ledger["heads.jsonl"])}
    assert exports.items() <= now[1].items()
    house.muster("rebuild")
    assert (house.ledger(), house.exports(), house.marts()) == now


DOCUMENTS = [f"ALPENLAND-{number:06d}" for number in range(1, 6)]
