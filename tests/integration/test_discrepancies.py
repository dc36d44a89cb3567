"""Every kind of discrepancy is planted, found as planted and nowhere else, documented, and told.

What a kind means is tested beside its model.
"""

from __future__ import annotations

import random
import re
import shutil
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from house import CLEAN, FIRST_DAY, PERIODS, PLANTED, REPOSITORY, SEEDS, SIZE, House

from ingest.reference import safety_bounds
from ingest.simulate import PLANTS, case_ids
from ingest.volumes import volumes

# It takes a month that was issued and data that came later: tests/integration/test_corrections.py.
KNOWN_LATER = {"unbilled_correction"}
NOBODY = None
BOTH, JANUARY, FEBRUARY = PERIODS, PERIODS[:1], PERIODS[1:]
# A finding as (kind, severity, distributor, partner, customer, product, subject).
Finding = tuple[str, str, str | None, str | None, str | None, str | None, str]


@pytest.fixture(scope="module")
def published(closed_house: House) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(closed_house.home / "published/current.duckdb", read_only=True)


@pytest.fixture(scope="module")
def cases() -> dict[str, str]:
    return case_ids(FIRST_DAY, **SIZE, seeds=SEEDS, plant=PLANTED)


def test_one_list_of_kinds(published: duckdb.DuckDBPyConnection) -> None:
    """What may be found, what has words, what is documented and what is planted."""
    quality = yaml.safe_load((REPOSITORY / "dbt/models/marts/quality/_quality.yml").read_text())
    (columns,) = (m["columns"] for m in quality["models"] if m["name"] == "discrepancies")
    (kind,) = (column for column in columns if column["name"] == "kind")
    accepted = kind["data_tests"][0]["accepted_values"]["arguments"]["values"]
    worded = published.execute("select kind, severity from quality.discrepancy_kinds").fetchall()
    assert len(accepted) == len(set(accepted))
    assert set(accepted) == {name for name, _ in worded}
    assert set(accepted) - KNOWN_LATER == {plant.raises for plant in PLANTS} - {""}
    documented = _documented()
    assert set(accepted) == set(documented)
    severities: defaultdict[str, set[str]] = defaultdict(set)
    for name, severity in worded:
        severities[name].add(severity)
    assert {name: set(row["severity"].split(" or ")) for name, row in documented.items()} == (
        severities
    )


def test_the_document_says_what_status_says(published: duckdb.DuckDBPyConnection) -> None:
    documented = _documented()
    for kind, rule, one in published.execute(
        "select kind, rule, one from quality.discrepancy_kinds"
    ).fetchall():
        assert one in documented[kind]["what it is"].split("; ")
        assert documented[kind]["rule"] == (rule or "none")
    told = published.execute("select distinct kind, action from quality.discrepancies").fetchall()
    assert len({kind for kind, _ in told}) == len(documented) - len(KNOWN_LATER)
    for kind, action in told:
        assert action in documented[kind]["what to do"]


def _documented() -> dict[str, dict[str, str]]:
    """The rows of the table in docs/discrepancies.md, by kind."""
    lines = (REPOSITORY / "docs/discrepancies.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    header, _, *body = rows
    kinds = [row[0].strip("`") for row in body]
    assert len(kinds) == len(set(kinds)), "a kind is listed twice"
    return {
        kind: dict(zip(header, row, strict=True)) for kind, row in zip(kinds, body, strict=True)
    }


def _found(conn: duckdb.DuckDBPyConnection, period: str, where: str) -> list[Finding]:
    return conn.execute(
        f"""
        select kind, severity, distributor_id, partner_id, customer_id, product_code, subject
        from quality.discrepancies where period = ? and {where} order by all
        """,
        [period],
    ).fetchall()


def test_clean_distributors_have_nothing_to_answer_for(
    published: duckdb.DuckDBPyConnection,
) -> None:
    """Firewalls that are silent live in every distributor (information); nothing else is found."""
    for distributor_id in CLEAN:
        for period in PERIODS:
            found = _found(published, period, f"distributor_id = '{distributor_id}'")
            assert {(kind, severity) for kind, severity, *_ in found} == {
                ("firewall_silent", "info")
            }


@pytest.mark.parametrize("period", PERIODS)
def test_everything_planted_is_found_and_nothing_else(
    published: duckdb.DuckDBPyConnection, cases: dict[str, str], period: str
) -> None:
    """Cut-offs 25 January and 25 February; a partner is asserted where the case names it."""
    found = _found(published, period, f"(distributor_id = '{PLANTED}' or distributor_id is null)")
    # The role `silent_firewalls` has some in every distributor, planted or not.
    role = cases[f"silent_firewalls@{PLANTED}"]
    found = [one for one in found if one[4] != role]
    assert found == sorted(_planted(cases, period), key=lambda one: [_sortable(x) for x in one])


def _sortable(value: str | None) -> tuple[bool, str]:
    return (value is None, value or "")  # nulls last


def _planted(cases: dict[str, str], period: str) -> list[Finding]:
    """What each plant must lead to, from the ids it says it has."""

    def case(plant: str) -> list[str]:
        return cases[plant].split()

    home = "P99904"  # the partner of the planted customers
    web, box = case("unlicensed_firewall")
    _, over, under = None, case("portal_over"), case("portal_under")
    psa, trial = case("psa_over"), case("stale_trial")
    left, _, _, joined = case("unapproved_transfer")
    flexed, connect, flexed_product = case("monthly_outside_flex")
    _, moved_product, giver, *_ = case("moved_device")
    partner = _partners()
    faulty, twin = "C9999906", "C9999905"
    shared, _, *both = case("device_at_two")
    stranger = case("orphan_usage")[0]
    bad_rows = ("duplicate_key", "future_time", "invalid_timestamp", "wrong_field_count")
    mine: list[tuple[tuple[str, ...], str, str, Any, Any, Any, str]] = [
        # kind → periods, severity, partner, customer, product, subject
        (BOTH, "firewall_unlicensed", "warning", partner[web], web, "firewall_unassigned", box),
        (BOTH, "unlicensed_usage", "warning", partner[web], web, case("unlicensed_usage")[1], ""),
        (BOTH, "monthly_outside_flex", "blocking", connect, flexed, flexed_product, ""),
        (FEBRUARY, "unapproved_transfer", "blocking", joined, left, None, ""),
        (BOTH, "portal_mismatch", "warning", partner[over[0]], over[0], over[1], ""),
        (BOTH, "portal_mismatch", "warning", partner[under[0]], under[0], under[1], ""),
        (BOTH, "psa_mismatch", "warning", partner[psa[0]], psa[0], psa[1], ""),
        (BOTH, "psa_without_licence", "warning", home, *_with_psa(case("psa_after_licence"))),
        (BOTH, "stale_trial", "warning", partner[trial[0]], *trial, f"L{trial[0][1:]}-{trial[1]}"),
        (FEBRUARY, "device_moved", "info", partner[giver], giver, moved_product, ""),
        # 14 and 20 January of us-west; 10 February of us-south, taken back.
        (JANUARY, "missing_file_healed", "info", None, None, None, "usage/us-west"),
        (FEBRUARY, "missing_file_healed", "info", None, None, None, "heartbeat/us-south"),
        (FEBRUARY, "missing_file", "blocking", None, None, None, "heartbeat/us-south"),
        *(
            (BOTH, "quarantined_rows", "warning", None, None, None, f"usage/us-west/{reason}")
            for reason in bad_rows
        ),
        (JANUARY, "registry_gap", "warning", None, None, None, "customers/crm-west"),
        (
            JANUARY,
            "feed_volume",
            "warning",
            None,
            None,
            None,
            f"usage/us-west/{cases['thin_file']}",
        ),
        (
            FEBRUARY,
            "refused_file",
            "warning",
            None,
            None,
            None,
            f"usage/{cases['refused_retraction']}/us-west.csv.gz.retracted.json",
        ),
        (BOTH, "firewall_silent", "info", home, *case("firewall_silent")),
        (BOTH, "heartbeat_customer_differs", "warning", home, *case("firewall_elsewhere")),
        (BOTH, "unknown_operating_system", "warning", home, *case("odd_system")),
        (
            BOTH,
            "firewall_two_products",
            "warning",
            home,
            twin,
            None,
            case("firewall_two_products")[1],
        ),
        (BOTH, "ha_licence_silent", "warning", home, *case("silent_pair")),
        (BOTH, "unknown_product", "warning", home, *case("unlisted_product"), ""),
        *((BOTH, "device_at_two_customers", "warning", home, one, shared, "") for one in both),
        (BOTH, "device_moved", "info", home, both[1], shared, ""),
        (BOTH, "usage_of_firewall_product", "warning", home, *case("usage_of_firewall"), ""),
        (BOTH, "duplicate_hardware", "warning", home, *case("twin_devices")),
        (BOTH, "identifier_is_email", "warning", home, cases["email_id"], None, ""),
        (BOTH, "twin_names", "warning", home, twin, None, twin),
        (BOTH, "twin_names", "warning", home, faulty, None, faulty),
        (BOTH, "term_overuse", "warning", home, *case("term_overuse"), ""),
        (BOTH, "term_licence_shared", "warning", home, None, *case("term_shared")),
        (JANUARY, "customer_vanished", "warning", home, cases["vanishing_customer"], None, ""),
        (BOTH, "registry_conflict", "warning", home, twin, None, f"customers/{twin}"),
        (
            BOTH,
            "legacy_programme_registration",
            "warning",
            cases["legacy_partner"],
            None,
            None,
            "",
        ),
        (BOTH, "excluded_territory", "blocking", "P99902", *case("partner_abroad"), ""),
        (BOTH, "partner_resale", "blocking", "P99903", *case("partner_of_partner"), ""),
        (FEBRUARY, "price_missing", "blocking", home, None, cases["no_price"], ""),
        (FEBRUARY, "price_ambiguous", "blocking", home, None, cases["two_prices"], ""),
        (FEBRUARY, "swing", "blocking", home, None, case("growing_customer")[1], ""),
    ]
    nobodys: list[tuple[tuple[str, ...], str, str, Any, Any, Any, str]] = [
        (BOTH, "orphan_usage", "warning", None, stranger, "EPADV", ""),
        (BOTH, "orphan_heartbeat", "warning", None, *_with_none(case("orphan_heartbeat"))),
        (BOTH, "orphan_heartbeat", "warning", None, *_with_none(case("expired_firewall"))),
        (BOTH, "unknown_partner", "warning", None, cases["unknown_partner"], None, ""),
        (BOTH, "unknown_psa_company", "warning", None, None, *_with_psa(case("psa_stranger"))),
        (JANUARY, "missing_file", "info", None, None, None, cases["absent_psa"]),
        # On the 10th of either month.
        (
            BOTH,
            "quarantined_rows",
            "warning",
            None,
            None,
            None,
            "portal_usage/portal/invalid_integer",
        ),
    ]
    return [
        (kind, severity, distributor_id, partner_id, customer_id, product_code, subject)
        for distributor_id, expected in ((PLANTED, mine), (NOBODY, nobodys))
        for periods, kind, severity, partner_id, customer_id, product_code, subject in expected
        if period in periods
    ]


def _with_none(case: list[str]) -> tuple[str, None, str]:
    customer, serial = case
    return customer, None, serial


def _with_psa(case: list[str]) -> tuple[str, ...]:
    *keys, company = case
    return (*keys, f"connectwise {company}")


def _partners() -> dict[str, str]:
    """Each customer's partner, from the simulator's own decision."""
    from ingest.simulate.run import set_stage

    world = set_stage(FIRST_DAY, **SIZE, seeds=SEEDS, plant=PLANTED).world
    return {c.customer_id: world.partners[c.partner].partner_id for c in world.customers}


def test_amounts_at_stake_of_planted_cases(
    published: duckdb.DuckDBPyConnection, cases: dict[str, str]
) -> None:
    """First bands in USD: EPSTD 2.310, SVSTD 5.280, MOBCTL 2.145, FWENT 42.350, FWFULL 59.400."""
    rows = published.execute(
        f"""
        select kind, product_code, amount_at_stake::varchar, units from quality.discrepancies
        where distributor_id = '{PLANTED}' and period = '2026-02'
            and (customer_id like 'C99%' or partner_id = 'P99904')
            and kind in (
                'excluded_territory', 'partner_resale', 'duplicate_hardware', 'term_overuse',
                'firewall_two_products', 'ha_licence_silent', 'swing', 'firewall_silent',
                'usage_of_firewall_product', 'device_at_two_customers', 'unknown_operating_system'
            )
        order by all
        """
    ).fetchall()
    assert rows == [
        ("device_at_two_customers", "EPSTD", "2.310", 1),  # one user, on either side
        ("device_at_two_customers", "EPSTD", "2.310", 1),
        ("duplicate_hardware", "SVSTD", "5.280", 1),  # one server of two
        ("excluded_territory", "EPSTD", "4.620", 1),  # two users
        ("firewall_silent", "FWENT", "0.000", 1),
        ("firewall_two_products", None, "42.350", 1),  # the cheaper of the two
        ("ha_licence_silent", "FWFULL", "59.400", 1),
        ("partner_resale", "EPSTD", "6.930", 1),  # three users
        ("swing", "EPSTD", "138.600", 1),  # 65 - 5 = 60 users
        ("term_overuse", "MOBCTL", "4.290", 2),  # two users above the one bought
        ("unknown_operating_system", "FWENT", "42.350", 1),
        ("usage_of_firewall_product", "FWENT", "42.350", 1),  # one device
    ]


def test_status_tells_every_kind_and_stays_within_a_screen(
    closed_house: House, published: duckdb.DuckDBPyConnection
) -> None:
    told = closed_house.muster("status")
    words = published.execute("select kind, severity, one, many from quality.discrepancy_kinds")
    for kind, severity, one, many in words.fetchall():
        if kind in KNOWN_LATER:
            continue
        holds = f"{one[0].upper()}{one[1:]} ({kind})" in told
        assert holds if severity == "blocking" else (one in told or many in told), kind
    assert len(re.findall(r"^To look at in 2026-0[12] for cascadia", told, re.M)) == 2
    # The issued ones are only told when asked for.
    assert "for alpenland" not in told
    assert "for alpenland" in closed_house.muster("status", "--all")
    flags = told[told.index("To look at") : told.index("What was expected")]
    assert flags.count("\n  - ") <= 40
    assert "Taken back: heartbeat/2026-02-10/us-south.csv.gz.retracted.json: A. Sender" in told

    found = closed_house.ask("status")["flagged"]
    open_rows = published.execute(
        "select count(*) from quality.discrepancies where state = 'open'"
    ).fetchone()
    assert open_rows is not None
    assert sum(one["discrepancies"] for one in found) == open_rows[0]


def test_volumes_are_odd_by_the_same_rule_before_and_after_the_build(
    closed_house: House, tmp_path: Path
) -> None:
    """`ingest.volumes` and the model, on the landed files and on a thousand made-up ones."""
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copyfile(closed_house.home / "warehouse.duckdb", warehouse)
    compiled = "dbt/target/compiled/musterhouse/models/intermediate/int_findings_volumes.sql"
    model = (closed_house.home / compiled).read_text()
    draws = random.Random(11)
    bounds = safety_bounds(closed_house.home)
    with duckdb.connect(str(warehouse)) as conn:
        for source in range(10):
            day = date(2023, 1, 1)
            for _ in range(100):
                day += timedelta(days=draws.choice([1, 1, 1, 2, 3, 9]))
                # Around a median of 120 to 125: 40 percent and 50 rows are both near.
                rows = draws.choice(
                    [0, 60, 70, 74, 75, 100, 120, 125, 168, 169, 174, 175, 176, 300]
                )
                conn.execute(
                    "insert into raw.files by name select 0 as load_id, 'psa_additions' as feed, "
                    "? as snapshot_date, ? as source, 'sha' as sha256, 10 as clock_skew_minutes, "
                    "? as rows_in_file, ? as rows_accepted, 0 as rows_quarantined, "
                    "0 as rows_duplicate, false as is_verified",
                    [day, f"made-up-{source}", rows, rows],
                )
        expected = {
            f"{one.feed}/{one.source}/{one.snapshot_date}"
            for one in volumes(conn)
            if (one.swing_percent(bounds.smallest_swing_units) or 0) > bounds.volume_swing_percent
        }
        found = {row[0] for row in conn.execute(f"select subject from ({model})").fetchall()}
    assert found == expected
    assert 100 < len(expected) < 900
    assert "usage/us-west/2026-01-23" in expected
