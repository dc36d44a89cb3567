"""Firewalls of a vendor whose reference data learn the two policies of R9 between two months.

Every path that counts them agrees, and what was issued before keeps what it was made by.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from house import House
from recount import recount
from tiny import REGION, month_end, seeds, write

POLICIES = ("firewall_evidence", "replaced_hardware")
Beat = tuple[str, str, str]  # serial, system, day


def heartbeats(landing: Path, day: str, *beats: Beat) -> None:
    rows = [
        ("C1", serial, "XGS 107", system, "20.0.1", None, None, None, f"{on}T09:00:00Z")
        for serial, system, on in beats
    ]
    write(landing, "heartbeat", day, REGION, rows)


def licences(landing: Path, day: str, held: Iterable[tuple[str, str]]) -> None:
    """Monthly FWENT licences, each with the serial it is on."""
    rows = [
        (name, "C1", "FWENT", "monthly", "partner", None, serial, "2025-01-01", None)
        for name, serial in held
    ]
    write(landing, "licences", day, "crm", rows)


def without_the_policies(folder: Path) -> None:
    path = folder / "policies.csv"
    rows = list(csv.reader(path.read_text("utf-8").splitlines()))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            row for row in rows if row[0] not in POLICIES
        )


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, Any]:
    """January closed by a seed without the policies, February by one with them; a trial of it.

    In January S1 went from SFOS to UTM 9, S2 the other way, S5 wrote `sfos 20.0`, and licence L3
    went from S3 to S4, both active. By the latest heartbeat and each serial: S2, S3 and S4, three.
    In February likewise, but L3 went from S4 to S6, and S7 sent as XGOS 2. By SFOS heartbeats and
    each licence once: S1, S2, S5 and S6, four.
    """
    root = tmp_path_factory.mktemp("firewalls")
    house = House(root / "home", root / "landing", seeds(root / "seeds"))
    without_the_policies(house.seeds)
    stays = [("L1", "S1"), ("L2", "S2"), ("L5", "S5"), ("L7", "S7")]
    month_end(house.landing, "2026-01-31", [])
    heartbeats(house.landing, "2026-01-10", ("S1", "SFOS", "2026-01-05"))
    heartbeats(
        house.landing,
        "2026-01-31",
        ("S1", "UTM 9", "2026-01-20"),
        ("S2", "SFOS", "2026-01-20"),
        ("S3", "SFOS", "2026-01-25"),
        ("S4", "SFOS", "2026-01-25"),
        ("S5", "sfos 20.0", "2026-01-25"),
    )
    heartbeats(house.landing, "2026-01-09", ("S2", "UTM 9", "2026-01-05"))
    licences(house.landing, "2026-01-01", [*stays, ("L3", "S3")])
    licences(house.landing, "2026-01-31", [*stays, ("L3", "S4")])
    house.muster("close", "2026-01")

    seeds(root / "seeds-2").replace(root / "seeds-with-policies")
    later = House(house.home, house.landing, root / "seeds-with-policies")
    month_end(later.landing, "2026-02-28", [])
    heartbeats(
        later.landing, "2026-02-10", ("S1", "SFOS", "2026-02-05"), ("S4", "SFOS", "2026-02-08")
    )
    heartbeats(
        later.landing,
        "2026-02-28",
        ("S1", "UTM 9", "2026-02-20"),
        ("S2", "SFOS", "2026-02-20"),
        ("S4", "SFOS", "2026-02-25"),
        ("S5", "SFOS 21 ", "2026-02-25"),
        ("S6", "SFOS", "2026-02-25"),
        ("S7", "XGOS 2", "2026-02-25"),
    )
    licences(later.landing, "2026-02-28", [*stays, ("L3", "S6")])
    later.muster("load")
    older = ["--set", "firewall_evidence=latest", "--set", "replaced_hardware=each"]
    trial = later.ask("draft", "2026-02", *older)
    later.muster("close", "2026-02")
    return later, trial


def contents(house: House) -> list[dict[str, Any]]:
    paths = sorted((house.home / "ledger/alpenland").glob("[0-9]*.json"))
    return [json.loads(path.read_bytes())["content"] for path in paths]


def test_each_document_is_made_by_the_policies_it_records(tried: tuple[House, Any]) -> None:
    """R9, R22, R25: nothing of January is corrected when the policies come."""
    documents = contents(tried[0])
    assert [(one["kind"], one["period"]) for one in documents] == [
        ("invoice", "2026-01"),
        ("invoice", "2026-02"),
    ]
    assert [[line["quantity"] for line in one["lines"]] for one in documents] == [[3], [4]]
    assert [[one["policies"][name] for name in POLICIES] for one in documents] == [
        ["latest", "each"],
        ["sfos", "once"],
    ]
    reasons = [{row["reason"]: row["units"] for row in one["not_billed"]} for one in documents]
    # S1 and S5 in January; S4 and S7 in February.
    assert reasons == [{"not_sfos": 2}, {"not_sfos": 1, "replaced_hardware": 1}]


def test_both_are_made_again_byte_for_byte(tried: tuple[House, Any]) -> None:
    for number in ("ALPENLAND-000001", "ALPENLAND-000002"):
        assert "Identical, byte for byte." in tried[0].muster("reproduce", number)


def test_a_trial_shows_what_the_older_policies_would_count(tried: tuple[House, Any]) -> None:
    """S2, S4 and S6: three instead of four."""
    (draft,) = tried[1]["drafts"]
    assert (draft["now"]["units"], draft["then"]["units"]) == (4, 3)


def test_live_usage_counts_a_cut_off_by_the_policies_of_its_period(
    tried: tuple[House, Any],
) -> None:
    for as_of, billed, active in (("2026-01-31", 3, 5), ("2026-02-28", 4, 6)):
        (told,) = tried[0].ask("usage", "--as-of", as_of, "--distributor", "alpenland")
        (firewalls,) = [one for one in told["customers"] if one["product_code"] == "FWENT"]
        assert (firewalls["billed_units"], firewalls["active_units"]) == (billed, active)


def test_live_usage_covers_the_old_hardware_as_long_as_the_new_is_silent(
    tried: tuple[House, Any],
) -> None:
    """From 26 January to 24 February, S6 has not been heard yet, so licence L3 covers S4, of the
    8th; with S1, of the 5th, and S2, of the 20th, three. S5 was last heard on 25 January."""
    (told,) = tried[0].ask("usage", "--as-of", "2026-02-24", "--distributor", "alpenland")
    (firewalls,) = [one for one in told["customers"] if one["product_code"] == "FWENT"]
    assert (firewalls["billed_units"], firewalls["active_units"]) == (3, 3)


def test_functions_and_recount_agree(tried: tuple[House, Any]) -> None:
    house, _ = tried
    counts = recount(house.landing, house.seeds, "2026-02")
    assert counts.filter(product_code="FWENT")["quantity"].to_list() == [4]
    with duckdb.connect(str(house.home / "published/current.duckdb"), read_only=True) as conn:
        active = conn.execute(
            """
            select serial_number, operating_system, len(active_on)
            from activity.active_firewalls(date '2026-02-28', 30) order by all
            """
        ).fetchall()
        told = conn.execute(
            """
            select kind, subject, amount_at_stake::varchar from quality.discrepancies
            where period = '2026-02' and kind in ('unknown_operating_system', 'firewall_silent')
            """
        ).fetchall()
    # S1 sent as SFOS on the 5th alone.
    assert active == [
        ("S1", "SFOS", 1),
        ("S2", "SFOS", 1),
        ("S4", "SFOS", 2),
        ("S5", "SFOS", 1),
        ("S6", "SFOS", 1),
        ("S7", "XGOS 2", 1),
    ]
    price = next(line["unit_price"] for line in contents(house)[1]["lines"])
    assert [(kind, subject) for kind, subject, _ in told] == [("unknown_operating_system", "S7")]
    assert float(told[0][2]) == float(price)
