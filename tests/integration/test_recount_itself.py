"""The recount against small landing folders whose figures are worked out by hand.

January 2026 unless said otherwise: cut-off 31 January, window 2 to 31 January (30 dates).
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from recount import FEEDS, blocked_customers, lines, recount, recount_lines

SEEDS = {
    "currencies": "currency,minor_units\nEUR,2\nJPY,0\nKWD,3\nUSD,2\n",
    "distributors": (
        "distributor_id,currency,cutoff_day,valid_from,valid_to\n"
        "alp,EUR,,2025-01-01,\n"
        "cas,USD,25,2025-01-01,\n"
        "sak,JPY,31,2025-01-01,\n"
        "kuw,KWD,,2025-01-01,\n"
    ),
    "products": (
        "product_code,billing_unit,valid_from,valid_to\n"
        "EP,user,2025-01-01,\n"
        "SRV,device,2025-01-01,\n"
        "WEB,user,2025-01-01,\n"
        "FWA,firewall,2025-01-01,\n"
        "FWB,firewall,2025-01-01,\n"
    ),
    "price_bands": "product_code,currency,pricing_model,min_quantity,max_quantity,unit_price,"
    "valid_from,valid_to\n"
    + "".join(
        f"EP,{currency},volume,1,9,0.335,2025-01-01,\n"
        f"EP,{currency},volume,10,19,0.3,2025-01-01,\n"
        f"EP,{currency},volume,20,,0.25,2025-01-01,\n"
        f"SRV,{currency},graduated,1,2,1.1115,2025-01-01,\n"
        f"SRV,{currency},graduated,3,4,1,2025-01-01,\n"
        f"SRV,{currency},graduated,5,,0.5,2025-01-01,\n"
        for currency in ("EUR", "JPY", "KWD")
    ),
    "policies": (
        "policy,value\nactive_window_days,30\ndevice_user_attribution,latest\nclock_skew_minutes,10\n"
        "firewall_evidence,sfos\nreplaced_hardware,once\n"
    ),
    "programmes": (
        "programme,bills_monthly,closed_to_new_on\n"
        "connect_flex,true,\nconnect,false,\nmsp_v1,false,\nmsp_v2,false,\n"
    ),
    "excluded_territories": "country,reason,valid_from,valid_to\nGB,why,2025-01-01,\n",
}


class Books:
    """A landing folder and seeds in the making. Dates are 'MM-DD' of 2026 or whole."""

    def __init__(self, root: Path) -> None:
        self.landing = root / "landing"
        self.seeds = root / "seeds"
        self.seeds.mkdir()
        for name, text in SEEDS.items():
            (self.seeds / f"{name}.csv").write_text(text)
        self.rows: defaultdict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)

    def seed(self, name: str, old: str, new: str) -> None:
        text = (self.seeds / f"{name}.csv").read_text()
        assert old in text
        (self.seeds / f"{name}.csv").write_text(text.replace(old, new))

    def add(self, feed: str, snapshot: str, source: str, **values: str) -> None:
        row = {"snapshot_date": day(snapshot), **values}
        self.rows[feed, day(snapshot), source].append(row)

    def partner(
        self,
        partner_id: str,
        distributor_id: str = "alp",
        *,
        on: str = "01-01",
        programme: str = "connect_flex",
        country: str = "AT",
        parent: str = "",
    ) -> None:
        self.add(
            "partners",
            on,
            "crm",
            partner_id=partner_id,
            partner_name=partner_id,
            distributor_id=distributor_id,
            country=country,
            programme=programme,
            registered_on="2025-01-01",
            parent_partner_id=parent,
        )

    def customer(
        self,
        customer_id: str,
        partner_id: str = "P1",
        *,
        on: str = "01-01",
        status: str = "active",
        source: str = "crm",
    ) -> None:
        self.add(
            "customers",
            on,
            source,
            customer_id=customer_id,
            customer_name=customer_id,
            partner_id=partner_id,
            status=status,
        )

    def licence(
        self,
        licence_id: str,
        customer_id: str,
        product_code: str,
        *,
        on: str = "01-01",
        kind: str = "monthly",
        starts: str = "2025-06-01",
        ends: str = "",
        serial: str = "",
    ) -> None:
        self.add(
            "licences",
            on,
            "crm",
            licence_id=licence_id,
            customer_id=customer_id,
            product_code=product_code,
            licence_type=kind,
            owner="partner",
            quantity="",
            serial_number=serial,
            starts_on=day(starts),
            ends_on=ends and day(ends),
        )

    def usage(
        self,
        device_id: str,
        user_id: str,
        active: str,
        *,
        customer: str = "C1",
        product: str = "EP",
        on: str | None = None,
        source: str = "eu",
    ) -> None:
        """`active` is a date or a whole time; the snapshot is that day's unless `on` says so."""
        at = active if "T" in active else f"{day(active)}T12:00:00Z"
        self.add(
            "usage",
            on or at[:10],
            source,
            customer_id=customer,
            product_code=product,
            device_id=device_id,
            user_id=user_id,
            last_active_at=at,
        )

    def heartbeat(
        self,
        serial: str,
        active: str,
        *,
        customer: str = "C1",
        system: str = "SFOS",
        cluster: str = "",
        mode: str = "",
        on: str | None = None,
    ) -> None:
        self.add(
            "heartbeat",
            on or active,
            "eu",
            customer_id=customer,
            serial_number=serial,
            model="XG",
            operating_system=system,
            firmware_version="20.0",
            cluster_id=cluster,
            cluster_mode=mode,
            cluster_role="",
            last_heartbeat_at=f"{day(active)}T12:00:00Z",
        )

    def path(self, feed: str, snapshot: str, source: str = "eu", suffix: str = ".csv") -> Path:
        return self.landing / feed / day(snapshot) / f"{source}{suffix}"

    def write(self, suffix: str = ".csv") -> None:
        for (feed, snapshot, source), rows in self.rows.items():
            path = self.path(feed, snapshot, source, suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            names = [declared.split()[0] for declared in FEEDS[feed][0]]
            table = pl.DataFrame(rows).select(names)
            if suffix == ".parquet":
                typed(feed, table).write_parquet(path)
            else:
                text = table.write_csv().encode()
                path.write_bytes(gzip.compress(text) if suffix == ".csv.gz" else text)

    def counts(self, period: str = "2026-01") -> dict[tuple[str, str], int]:
        """(customer, product) → quantity."""
        self.write()
        found = recount(self.landing, self.seeds, period)
        return {(row[2], row[3]): row[4] for row in found.rows()}

    def billed_by(self, period: str = "2026-01") -> dict[str, tuple[str, str]]:
        """customer → (distributor, partner)."""
        self.write()
        return {row[2]: row[:2] for row in recount(self.landing, self.seeds, period).rows()}


def day(text: str) -> str:
    return text if len(text) == 10 else f"2026-{text}"


def typed(feed: str, table: pl.DataFrame) -> pl.DataFrame:
    kinds = dict(d.removesuffix("?").split() for d in FEEDS[feed][0])
    return table.select(
        pl.col(name).replace("", None).str.to_date("%Y-%m-%d")
        if kind == "date"
        else pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
        if kind == "time"
        else pl.col(name).replace("", None).cast(pl.Int64)
        if kind == "integer"
        else pl.col(name)
        for name, kind in kinds.items()
    )


@pytest.fixture
def books(tmp_path: Path) -> Books:
    """Partner P1 of distributor alp; customer C1 with monthly licences for EP and SRV."""
    books = Books(tmp_path)
    books.partner("P1")
    books.customer("C1")
    books.licence("L1", "C1", "EP")
    books.licence("L2", "C1", "SRV")
    return books


# --- Windows (R1 to R3) -----------------------------------------------------------------------


def test_day_30_is_in_and_day_31_is_out(books: Books) -> None:
    # 31 January is day 1 counted back, so 2 January is day 30 and 1 January day 31.
    books.usage("D1", "ann", "01-02")
    books.usage("D2", "bob", "01-01")
    books.usage("D3", "cid", "01-31")
    books.usage("D4", "dan", "02-01")
    assert books.counts() == {("C1", "EP"): 2, ("C1", "SRV"): 0}


def test_february_reaches_into_january(books: Books) -> None:
    # 28 February back 30 dates: 28 in February, and 30 and 31 January.
    books.usage("D1", "ann", "01-30")
    books.usage("D2", "bob", "01-29")
    assert books.counts("2026-02")["C1", "EP"] == 1


def test_first_of_march_is_in_the_window_of_march_in_no_year(books: Books) -> None:
    # 31 March back 30 dates is 2 March.
    books.usage("D1", "ann", "03-01")
    books.usage("D2", "bob", "03-02")
    assert books.counts("2026-03")["C1", "EP"] == 1


def test_leap_february_holds_one_january_day_less(books: Books) -> None:
    # 29 February 2028 back 30 dates is 31 January 2028.
    books.usage("D1", "ann", "2028-01-31")
    books.usage("D2", "bob", "2028-01-30")
    assert books.counts("2028-02")["C1", "EP"] == 1


def test_cutoff_on_the_25th(books: Books) -> None:
    # Period 26 December to 25 January; window 25 January back 30 dates is 27 December.
    books.partner("P2", "cas")
    books.customer("C2", "P2")
    books.licence("L3", "C2", "EP", ends="2025-12-26")  # in effect on the period's first day
    books.customer("C3", "P2")
    books.licence("L4", "C3", "EP", ends="2025-12-25")  # ended the day before
    for device, active in (
        ("D1", "2025-12-27"),
        ("D2", "2025-12-26"),
        ("D3", "01-25"),
        ("D4", "01-26"),
    ):
        books.usage(device, f"user of {device}", active, customer="C2")
    counts = books.counts()
    assert counts["C2", "EP"] == 2
    assert ("C3", "EP") not in counts


def test_the_cutoff_that_is_valid_on_the_first_of_the_month_applies(books: Books) -> None:
    # From 2 January on the cut-off is the 20th, but January still closes on the 31st; February
    # runs from 1 to 20 February, its window from 22 January.
    books.seed(
        "distributors",
        "alp,EUR,,2025-01-01,\n",
        "alp,EUR,,2025-01-01,2026-01-01\nalp,EUR,20,2026-01-02,\n",
    )
    books.usage("D1", "ann", "01-31")
    books.usage("D2", "bob", "01-21")
    books.usage("D3", "cid", "02-21")
    assert books.counts("2026-01")["C1", "EP"] == 2
    assert books.counts("2026-02")["C1", "EP"] == 1


def test_the_activity_date_is_in_the_row_whatever_the_file_is_dated(books: Books) -> None:
    # An idle device is listed on 5 February with its last activity on 20 January.
    books.usage("D1", "ann", "01-20", on="02-05")
    # Five minutes past midnight belong to the next date, 1 February.
    books.usage("D2", "bob", "2026-02-01T00:05:00Z", on="01-31")
    assert books.counts()["C1", "EP"] == 1


def test_window_length_is_a_policy(books: Books) -> None:
    books.seed("policies", "active_window_days,30", "active_window_days,1")
    books.usage("D1", "ann", "01-31")
    books.usage("D2", "bob", "01-30")
    assert books.counts()["C1", "EP"] == 1


# --- Users and devices (R5 to R8) -------------------------------------------------------------


def test_a_user_with_an_active_and_a_stale_device_is_one(books: Books) -> None:
    books.usage("D1", "ann", "01-15")
    books.usage("D2", "ann", "01-01")
    assert books.counts()["C1", "EP"] == 1


def test_a_user_with_two_devices_is_one_user_and_two_devices(books: Books) -> None:
    for product in ("EP", "SRV"):
        books.usage("D1", "ann", "01-15", product=product)
        books.usage("D2", "ann", "01-16", product=product)
    assert books.counts() == {("C1", "EP"): 1, ("C1", "SRV"): 2}


def test_a_device_without_a_user_is_one_unit(books: Books) -> None:
    books.usage("D1", "", "01-15")
    books.usage("D2", "", "01-15")
    books.usage("D3", "ann", "01-15")
    assert books.counts()["C1", "EP"] == 3


def test_any_named_user_beats_no_user(books: Books) -> None:
    # D1 is ann's, although the later rows know no user; so D1 and D2 are one unit.
    books.usage("D1", "ann", "01-05")
    books.usage("D1", "", "01-20")
    books.usage("D2", "ann", "01-06")
    assert books.counts()["C1", "EP"] == 1


def test_a_named_user_outside_the_window_wins_nothing(books: Books) -> None:
    # ann's activity is on 1 January, out of the window: D1 is a unit by itself, beside ann's D2.
    books.usage("D1", "ann", "01-01")
    books.usage("D1", "", "01-20")
    books.usage("D2", "ann", "01-06")
    assert books.counts()["C1", "EP"] == 2


def test_a_device_that_changed_user_belongs_to_the_latest(books: Books) -> None:
    # D1 is bob's from the 10th on, so ann has no device: only bob counts.
    books.usage("D1", "ann", "01-09")
    books.usage("D1", "bob", "01-10")
    books.usage("D2", "bob", "01-05")
    assert books.counts()["C1", "EP"] == 1


def test_on_one_day_the_smallest_user_id_wins(books: Books) -> None:
    # ann and bob both on the 10th (bob later in the day): D1 is ann's. D2 is ann's too: one unit.
    # Had bob won, there would be two.
    books.usage("D1", "bob", "2026-01-10T20:00:00Z")
    books.usage("D1", "ann", "2026-01-10T08:00:00Z")
    books.usage("D2", "ann", "01-05")
    assert books.counts()["C1", "EP"] == 1


def test_smallest_is_bytewise(books: Books) -> None:
    # 'Z' is 0x5A and 'a' 0x61, so D1 is Zoe's; D2 is Zoe's: one unit.
    books.usage("D1", "ann", "01-10")
    books.usage("D1", "Zoe", "01-10")
    books.usage("D2", "Zoe", "01-10")
    assert books.counts()["C1", "EP"] == 1


def test_attribution_any_counts_every_user_of_a_device(books: Books) -> None:
    books.seed("policies", "device_user_attribution,latest", "device_user_attribution,any")
    books.usage("D1", "ann", "01-09")
    books.usage("D1", "bob", "01-10")
    books.usage("D1", "", "01-11")
    assert books.counts()["C1", "EP"] == 2


def test_one_person_under_two_customers_and_products_is_counted_each_time(books: Books) -> None:
    books.customer("C2")
    books.licence("L3", "C2", "EP")
    books.licence("L4", "C2", "WEB")
    books.usage("D1", "ann", "01-10")
    books.usage("D2", "ann", "01-10", customer="C2")
    books.usage("D2", "ann", "01-10", customer="C2", product="WEB")
    assert books.counts() == {
        ("C1", "EP"): 1,
        ("C1", "SRV"): 0,
        ("C2", "EP"): 1,
        ("C2", "WEB"): 1,
    }


def test_a_moved_device_counts_for_its_latest_customer(books: Books) -> None:
    books.customer("C2")
    books.licence("L3", "C2", "EP")
    books.licence("L4", "C2", "SRV")
    books.usage("D1", "ann", "01-10")
    books.usage("D1", "ann", "01-11", customer="C2")
    # A tie on the 12th goes to C1, the smaller id.
    books.usage("D2", "bob", "01-12")
    books.usage("D2", "bob", "01-12", customer="C2")
    # Per product: D1 as a server stayed with C1.
    books.usage("D1", "ann", "01-10", product="SRV")
    assert books.counts() == {
        ("C1", "EP"): 1,
        ("C1", "SRV"): 1,
        ("C2", "EP"): 1,
        ("C2", "SRV"): 0,
    }


def test_a_move_takes_the_users_of_the_losing_customer_along(books: Books) -> None:
    # R8 before R6: D1 is C2's, where it has no named user: one unit by itself. ann had no other.
    books.customer("C2")
    books.licence("L3", "C2", "EP")
    books.usage("D1", "ann", "01-10")
    books.usage("D1", "", "01-11", customer="C2")
    counts = books.counts()
    assert (counts["C1", "EP"], counts["C2", "EP"]) == (0, 1)


def test_a_move_to_an_unlicensed_customer_still_is_a_move(books: Books) -> None:
    # R8 comes before any licence test.
    books.customer("C2")
    books.usage("D1", "ann", "01-10")
    books.usage("D1", "ann", "01-11", customer="C2")
    assert books.counts()["C1", "EP"] == 0


# --- Firewalls (R9, R10) ----------------------------------------------------------------------


@pytest.fixture
def walls(tmp_path: Path) -> Books:
    """Partner P1 of alp with customers C1 and C2, no licences yet."""
    books = Books(tmp_path)
    books.partner("P1")
    books.customer("C1")
    books.customer("C2")
    return books


def test_a_licensed_sfos_firewall_counts_when_heard_in_the_window(walls: Books) -> None:
    for serial, active in (("S1", "01-02"), ("S2", "01-01"), ("S3", "01-31")):
        walls.licence(f"L{serial}", "C1", "FWA", serial=serial)
        walls.heartbeat(serial, active)
    walls.licence("LS4", "C1", "FWA", serial="S4")  # silent
    walls.heartbeat("S5", "01-15")  # unlicensed
    assert walls.counts() == {("C1", "FWA"): 2}


def test_utm_9_never_counts(walls: Books) -> None:
    walls.licence("L1", "C1", "FWA", serial="S1")
    walls.licence("L2", "C1", "FWA", serial="S2")
    walls.heartbeat("S1", "01-15", system="UTM 9")
    walls.heartbeat("S2", "01-15")
    assert walls.counts() == {("C1", "FWA"): 1}


def mixed_systems(walls: Books) -> None:
    """S1 SFOS on the 5th and UTM 9 on the 20th, S2 the other way round, S3 SFOS by other names."""
    for serial, first, second in (
        ("S1", "SFOS", "UTM 9"),
        ("S2", "UTM 9", "SFOS"),
        ("S3", "sfos", "SFOS 20.0"),
        ("S4", "UTM 9", "XGOS"),
    ):
        walls.licence(f"L{serial}", "C1", "FWA", serial=serial)
        walls.heartbeat(serial, "01-05", system=first)
        walls.heartbeat(serial, "01-20", system=second)


def test_a_heartbeat_as_sfos_is_evidence_and_another_is_none(walls: Books) -> None:
    mixed_systems(walls)  # S1, S2 and S3; S4 never sent as SFOS
    assert walls.counts() == {("C1", "FWA"): 3}


def test_under_latest_the_system_of_the_latest_heartbeat_decides(walls: Books) -> None:
    mixed_systems(walls)  # S2 alone: S1 ended as UTM 9, S3 and S4 not as SFOS by its exact name
    walls.seed("policies", "firewall_evidence,sfos\n", "")  # as in a seed that does not hold it
    assert walls.counts() == {("C1", "FWA"): 1}


def re_pointed(walls: Books, name: str, before: str, after: str) -> None:
    """A licence that is on one serial up to 14 January and on another from the 15th."""
    walls.licence(name, "C1", "FWA", serial=before)
    walls.licence(name, "C1", "FWA", serial=after, on="01-15")


@pytest.mark.parametrize(
    ("heard", "units"),
    [(("S1", "S2"), 1), (("S1",), 1), (("S2",), 1), ((), 0)],
    ids=["both", "new_silent", "old_silent", "both_silent"],
)
def test_a_licence_that_is_re_pointed_counts_once(
    walls: Books, heard: tuple[str, ...], units: int
) -> None:
    re_pointed(walls, "L1", "S1", "S2")
    for serial in heard:
        walls.heartbeat(serial, "01-20")
    assert walls.counts() == {("C1", "FWA"): units}


def test_a_replaced_serial_counts_when_another_licence_covers_it(walls: Books) -> None:
    walls.licence("L2", "C1", "FWB", serial="S1", on="01-15")
    re_pointed(walls, "L1", "S1", "S2")
    walls.licence("L2", "C1", "FWB", serial="S1")
    for serial in ("S1", "S2"):
        walls.heartbeat(serial, "01-20")
    assert walls.counts() == {("C1", "FWA"): 1, ("C1", "FWB"): 1}


def test_under_each_every_serial_of_a_licence_counts(walls: Books) -> None:
    re_pointed(walls, "L1", "S1", "S2")
    walls.seed("policies", "replaced_hardware,once", "replaced_hardware,each")
    for serial in ("S1", "S2"):
        walls.heartbeat(serial, "01-20")
    assert walls.counts() == {("C1", "FWA"): 2}


def test_only_monthly_firewall_licences_cover(walls: Books) -> None:
    walls.licence("L1", "C1", "FWA", serial="S1", kind="term")
    walls.licence("L2", "C1", "FWA", serial="S2", kind="trial")
    walls.licence("L3", "C1", "FWA", serial="S3", ends="2025-12-31")
    for serial in ("S1", "S2", "S3"):
        walls.heartbeat(serial, "01-15")
    assert walls.counts() == {}


def test_customer_and_product_are_the_licences(walls: Books) -> None:
    walls.licence("L1", "C2", "FWB", serial="S1")
    walls.heartbeat("S1", "01-15", customer="C1")
    assert walls.counts() == {("C2", "FWB"): 1}


def test_of_licences_one_after_the_other_the_latest_counts(walls: Books) -> None:
    walls.licence("L1", "C1", "FWA", serial="S1", ends="01-14")
    walls.licence("L2", "C2", "FWB", serial="S1", starts="01-15")
    walls.heartbeat("S1", "01-05")
    assert walls.counts() == {("C1", "FWA"): 0, ("C2", "FWB"): 1}


def test_overlapping_licences_count_once_per_product(walls: Books) -> None:
    # On the 15th both are in effect: one unit of each product.
    walls.licence("L1", "C1", "FWA", serial="S1", ends="01-15")
    walls.licence("L2", "C2", "FWB", serial="S1", starts="01-15")
    # Two of one product: one unit, of the later licence's customer.
    walls.licence("L3", "C1", "FWA", serial="S2", ends="01-15")
    walls.licence("L4", "C2", "FWA", serial="S2", starts="01-15")
    walls.heartbeat("S1", "01-20")
    walls.heartbeat("S2", "01-20")
    assert walls.counts() == {("C1", "FWA"): 1, ("C2", "FWA"): 1, ("C2", "FWB"): 1}


def test_active_active_counts_every_licensed_active_member(walls: Books) -> None:
    for serial in ("S1", "S2"):
        walls.licence(f"L{serial}", "C1", "FWA", serial=serial)
        walls.heartbeat(serial, "01-15", cluster="K", mode="active-active")
    walls.heartbeat("S3", "01-15", cluster="K", mode="active-active")  # unlicensed
    walls.licence("LS4", "C1", "FWA", serial="S4")
    walls.heartbeat("S4", "01-01", cluster="K", mode="active-active")  # out of the window
    assert walls.counts() == {("C1", "FWA"): 2}


def test_active_passive_counts_the_cluster_once(walls: Books) -> None:
    for serial in ("S1", "S2"):
        walls.licence(f"L{serial}", "C1", "FWA", serial=serial)
        walls.heartbeat(serial, "01-15", cluster="K", mode="active-passive")
    # Same cluster id at another customer: another cluster.
    walls.licence("LS3", "C2", "FWA", serial="S3")
    walls.heartbeat("S3", "01-15", customer="C2", cluster="K", mode="active-passive")
    assert walls.counts() == {("C1", "FWA"): 1, ("C2", "FWA"): 1}


def test_active_passive_goes_to_the_licence_heard_last_then_the_smallest_serial(
    walls: Books,
) -> None:
    # Cluster K: S2 was heard last, its licence is C2's. Cluster M: a tie, S3 is smaller, C1's.
    walls.licence("L1", "C1", "FWA", serial="S1")
    walls.licence("L2", "C2", "FWA", serial="S2")
    walls.heartbeat("S1", "01-14", cluster="K", mode="active-passive")
    walls.heartbeat("S2", "01-15", cluster="K", mode="active-passive")
    walls.licence("L3", "C1", "FWB", serial="S3")
    walls.licence("L4", "C2", "FWB", serial="S4")
    walls.heartbeat("S3", "01-15", cluster="M", mode="active-passive")
    walls.heartbeat("S4", "01-15", cluster="M", mode="active-passive")
    assert walls.counts() == {
        ("C1", "FWA"): 0,
        ("C2", "FWA"): 1,
        ("C1", "FWB"): 1,
        ("C2", "FWB"): 0,
    }


def test_active_passive_counts_once_per_product_and_needs_one_licence_only(walls: Books) -> None:
    # One member with FWA, one with FWB: one of each. A pair with one licensed member: one.
    walls.licence("L1", "C1", "FWA", serial="S1")
    walls.licence("L2", "C1", "FWB", serial="S2")
    walls.licence("L3", "C2", "FWA", serial="S3")
    for serial, cluster, customer in (
        ("S1", "K", "C1"),
        ("S2", "K", "C1"),
        ("S3", "M", "C2"),
        ("S4", "M", "C2"),
    ):
        walls.heartbeat(serial, "01-15", cluster=cluster, mode="active-passive", customer=customer)
    assert walls.counts() == {("C1", "FWA"): 1, ("C1", "FWB"): 1, ("C2", "FWA"): 1}


def test_a_cluster_is_what_the_latest_heartbeat_in_the_window_says(walls: Books) -> None:
    # S2 left the pair on the 20th, so each counts. In February they pair up: not January's matter.
    for serial in ("S1", "S2"):
        walls.licence(f"L{serial}", "C1", "FWA", serial=serial)
        walls.heartbeat(serial, "01-15", cluster="K", mode="active-passive")
        walls.heartbeat(serial, "02-01", cluster="K", mode="active-passive")
    walls.heartbeat("S2", "01-20")
    assert walls.counts() == {("C1", "FWA"): 2}


# --- Licences and the registry (R11 to R13) ---------------------------------------------------


def test_trial_converted_on_the_3rd_bills_the_whole_period(books: Books) -> None:
    # Trial on 1 and 2 February, monthly from the 3rd. The window is 30 January to 28 February:
    # ann of 1 February (trial days) and bob of the 20th both count.
    books.customer("C2")
    books.licence("T1", "C2", "EP", kind="trial", ends="02-02")
    books.licence("M1", "C2", "EP", starts="02-03")
    books.usage("D1", "ann", "02-01", customer="C2")
    books.usage("D2", "bob", "02-20", customer="C2")
    assert books.counts("2026-02")["C2", "EP"] == 2


def test_a_licence_that_turns_monthly_in_place_bills(books: Books) -> None:
    books.customer("C2")
    books.licence("T1", "C2", "EP", kind="trial")
    for licence in (("L1", "C1", "EP"), ("L2", "C1", "SRV")):
        books.licence(*licence, on="01-31")
    books.licence("T1", "C2", "EP", on="01-31")
    books.usage("D1", "ann", "01-05", customer="C2")
    assert books.counts()["C2", "EP"] == 1


def test_trial_to_the_last_day_and_term_do_not_bill(books: Books) -> None:
    books.customer("C2")
    books.licence("T1", "C2", "EP", kind="trial", ends="01-31")
    books.licence("T2", "C2", "SRV", kind="term")
    books.usage("D1", "ann", "01-05", customer="C2")
    books.usage("D1", "ann", "01-05", customer="C2", product="SRV")
    assert not any(customer == "C2" for customer, _ in books.counts())


def test_monthly_cancelled_on_the_2nd_bills_the_whole_period(books: Books) -> None:
    # In effect on 1 and 2 January; activity on the 20th counts all the same.
    books.customer("C2")
    books.licence("L3", "C2", "EP", ends="01-02")
    books.usage("D1", "ann", "01-20", customer="C2")
    assert books.counts()["C2", "EP"] == 1
    assert ("C2", "EP") not in books.counts("2026-02")


def test_a_licence_that_ended_before_the_first_snapshot_was_in_effect(tmp_path: Path) -> None:
    # The first snapshot is of 10 January and reaches back: L1 was in effect on 1 to 5 January.
    books = Books(tmp_path)
    books.partner("P1", on="01-10")
    books.customer("C1", on="01-10")
    books.licence("L1", "C1", "EP", on="01-10", ends="01-05")
    books.usage("D1", "ann", "01-20")
    assert books.counts() == {("C1", "EP"): 1}


def test_snapshots_after_the_cutoff_do_not_touch_the_period(books: Books) -> None:
    books.licence("L1", "C1", "EP", on="02-01", kind="trial")
    books.licence("L9", "C1", "WEB", on="02-01")
    assert books.counts() == {("C1", "EP"): 0, ("C1", "SRV"): 0}


def test_usage_without_a_licence_is_not_billed(books: Books) -> None:
    books.usage("D1", "ann", "01-20", product="WEB")
    assert ("C1", "WEB") not in books.counts()


def test_a_customer_is_closed_from_the_day_after_closed_first_appears(books: Books) -> None:
    # C2 appears closed on 31 January: still open that day, so January bills and February does not.
    # C3 appears closed on 1 February: that day still bills February.
    for customer in ("C2", "C3"):
        books.customer(customer)
        books.licence(f"L{customer}", customer, "EP")
    for on, status in (("01-31", "active"), ("02-01", "closed")):
        books.customer("C1", on=on)
        books.customer("C2", on=on, status="closed")
        books.customer("C3", on=on, status=status)
    assert ("C2", "EP") in books.counts()
    february = books.counts("2026-02")
    assert ("C2", "EP") not in february
    assert ("C3", "EP") in february


def test_a_vanished_customer_is_closed_but_pays_for_the_days_before(books: Books) -> None:
    # C2 is in the snapshot of 1 January and in that of the 10th no more.
    books.customer("C2")
    books.licence("L3", "C2", "EP")
    books.customer("C1", on="01-10")
    books.usage("D1", "ann", "01-05", customer="C2")
    assert books.counts()["C2", "EP"] == 1
    assert ("C2", "EP") not in books.counts("2026-02")


def test_of_two_sources_the_later_snapshot_wins_then_the_smaller_name(books: Books) -> None:
    books.partner("P2")
    books.customer("C2", "P2", source="erp")
    books.customer("C2", "P1", source="crm")
    books.licence("L3", "C2", "EP")
    assert books.billed_by()["C2"] == ("alp", "P1")  # same date: crm is smaller than erp
    books.customer("C2", "P2", source="erp", on="01-20")
    assert books.billed_by()["C2"] == ("alp", "P2")  # erp's is later


# --- Partner of record (R14, R15) -------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "on", "biller"),
    [
        # The earliest cut-off among the month's distributors is the 25th: who has it that day?
        ("PC", "PA", "01-26", ("cas", "PC")),
        ("PC", "PA", "01-25", ("alp", "PA")),
        ("PA", "PC", "01-26", ("alp", "PA")),
        ("PA", "PC", "01-25", ("cas", "PC")),
        # Moved before the month began: one distributor, its own cut-off.
        ("PC", "PA", "2025-12-31", ("alp", "PA")),
    ],
)
def test_a_customer_that_changes_distributor_is_billed_once(
    tmp_path: Path, before: str, after: str, on: str, biller: tuple[str, str]
) -> None:
    books = Books(tmp_path)
    books.partner("PC", "cas", on="2025-12-01")  # cut-off 25
    books.partner("PA", "alp", on="2025-12-01")  # cut-off 31
    books.customer("CM", before, on="2025-12-01")
    books.licence("LM", "CM", "EP", on="2025-12-01")
    books.customer("CM", after, on=on)
    # Window of cas: 27 December to 25 January. Window of alp: 2 to 31 January.
    books.usage("D1", "ann", "2025-12-28", customer="CM")
    books.usage("D2", "bob", "2025-12-29", customer="CM")
    books.usage("D3", "cid", "01-28", customer="CM")
    assert books.billed_by() == {"CM": biller}
    assert books.counts() == {("CM", "EP"): 2 if biller[0] == "cas" else 1}


def test_within_one_distributor_the_partner_on_the_cutoff_pays_all(books: Books) -> None:
    books.partner("P2")
    books.customer("C1", "P2", on="01-31")
    assert books.billed_by()["C1"] == ("alp", "P2")


def test_only_connect_flex_partners_bill_monthly(tmp_path: Path) -> None:
    books = Books(tmp_path)
    for number, programme in enumerate(("connect_flex", "connect", "msp_v1", "msp_v2")):
        books.partner(f"P{number}", programme=programme)
        books.customer(f"C{number}", f"P{number}")
        books.licence(f"L{number}", f"C{number}", "EP")
    assert books.counts() == {("C0", "EP"): 0}
    blocked = blocked_customers(books.landing, books.seeds, "2026-01")
    assert blocked.rows() == [("alp", "P1", "C1", "monthly_outside_flex")]


@pytest.mark.parametrize(("customer_approval", "is_blocked"), [("2026-01-09", False), ("", True)])
def test_a_partner_change_needs_three_approvals(
    books: Books, customer_approval: str, is_blocked: bool
) -> None:
    books.partner("P2")
    books.customer("C1", "P2", on="01-10")
    books.add(
        "transfers",
        "01-10",
        "crm",
        transfer_id="T1",
        customer_id="C1",
        from_partner_id="P1",
        to_partner_id="P2",
        effective_on="2026-01-10",
        current_partner_approved_on="2026-01-08",
        new_partner_approved_on="2026-01-08",
        customer_approved_on=customer_approval,
    )
    assert books.billed_by()["C1"] == ("alp", "P2")
    blocked = blocked_customers(books.landing, books.seeds, "2026-01").rows()
    both = [("alp", partner, "C1", "unapproved_transfer") for partner in ("P1", "P2")]
    assert blocked == (both if is_blocked else [])


def test_excluded_territory_and_resale_block_but_count(books: Books) -> None:
    books.partner("P2", country="GB", parent="P1")
    books.customer("C2", "P2")
    books.licence("L3", "C2", "EP")
    assert ("C2", "EP") in books.counts()
    assert blocked_customers(books.landing, books.seeds, "2026-01").rows() == [
        ("alp", "P2", "C2", "excluded_territory"),
        ("alp", "P2", "C2", "partner_resale"),
    ]


@pytest.mark.parametrize("country", ["UK", "gb"])
def test_a_country_that_is_none_blocks_as_an_excluded_one(books: Books, country: str) -> None:
    books.partner("P2", country=country)
    books.customer("C2", "P2")
    books.licence("L3", "C2", "EP")
    assert ("C2", "EP") in books.counts()
    assert blocked_customers(books.landing, books.seeds, "2026-01").rows() == [
        ("alp", "P2", "C2", "excluded_territory"),
    ]


# --- Money (R17 to R20) -----------------------------------------------------------------------


def priced(
    books: Books, distributor_id: str, product_code: str, *quantities: int
) -> list[tuple[int, Decimal | None]]:
    """(quantity, amount) of the lines of one partner whose customers used `quantities`."""
    counts = pl.DataFrame(
        [(distributor_id, "P1", f"C{n}", product_code, q) for n, q in enumerate(quantities)],
        schema=["distributor_id", "partner_id", "customer_id", "product_code", "quantity"],
        orient="row",
    )
    return [row[3:] for row in lines(counts, books.seeds, "2026-01").rows()]


@pytest.mark.parametrize(
    ("distributor_id", "product_code", "quantities", "amount"),
    [
        # Volume: the band of the aggregate prices all units.
        ("alp", "EP", [3], "1.01"),  # 3 * 0.335 = 1.005, half away from zero
        ("alp", "EP", [1, 1, 1], "1.01"),  # the same line: rounded once, not 3 * 0.34
        ("alp", "EP", [9], "3.02"),  # 9 * 0.335 = 3.015
        ("alp", "EP", [4, 6], "3.00"),  # 10 * 0.3: the aggregate reaches the band
        ("alp", "EP", [11], "3.30"),
        ("alp", "EP", [19], "5.70"),
        ("alp", "EP", [20], "5.00"),  # cheaper than 19, as volume pricing is
        ("alp", "EP", [21], "5.25"),
        # Graduated: each band's units at its price.
        ("alp", "SRV", [1], "1.11"),  # 1.1115
        ("alp", "SRV", [2], "2.22"),  # 2.223
        ("alp", "SRV", [3], "3.22"),  # 2.223 + 1
        ("alp", "SRV", [4], "4.22"),  # 2.223 + 2
        ("alp", "SRV", [5], "4.72"),  # 2.223 + 2 + 0.5
        ("alp", "SRV", [2, 5], "5.72"),  # 7: 2.223 + 2 + 3 * 0.5
        # JPY has no minor unit, KWD has three.
        ("sak", "EP", [3], "1"),  # 1.005
        ("sak", "EP", [5], "2"),  # 1.675
        ("sak", "EP", [10, 5], "5"),  # 15 * 0.3 = 4.5, half away from zero
        ("kuw", "EP", [3], "1.005"),
        ("kuw", "SRV", [1], "1.112"),  # 1.1115
    ],
)
def test_prices(
    books: Books, distributor_id: str, product_code: str, quantities: list[int], amount: str
) -> None:
    assert priced(books, distributor_id, product_code, *quantities) == [
        (sum(quantities), Decimal(amount))
    ]


def test_zero_usage_makes_no_line(books: Books) -> None:
    books.usage("D1", "ann", "01-20")
    books.write()
    assert recount_lines(books.landing, books.seeds, "2026-01").rows() == [
        ("alp", "P1", "EP", 1, Decimal("0.34"))  # 0.335
    ]


def test_missing_and_ambiguous_prices_have_no_amount(books: Books) -> None:
    assert priced(books, "cas", "EP", 1) == [(1, None)]  # nothing in USD
    text = (books.seeds / "price_bands.csv").read_text()
    (books.seeds / "price_bands.csv").write_text(text + "EP,EUR,volume,1,,9,2026-01-01,\n")
    assert priced(books, "alp", "EP", 1) == [(1, None)]


def test_the_price_version_of_the_cutoff_applies(books: Books) -> None:
    books.seed(
        "price_bands", "EP,EUR,volume,1,9,0.335,2025-01-01,", "EP,EUR,volume,1,9,7,2026-01-31,"
    )
    for band in ("10,19,0.3", "20,,0.25"):
        books.seed(
            "price_bands", f"EP,EUR,volume,{band},2025-01-01,", f"EP,EUR,volume,{band},2026-01-31,"
        )
    assert priced(books, "alp", "EP", 1) == [(1, Decimal(7))]


# --- Landing files ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_every_format_reads_the_same(books: Books, suffix: str) -> None:
    books.licence("L3", "C1", "FWA", serial="S1", ends="01-20")
    books.usage("D1", "ann", "01-20")
    books.usage("D2", "", "01-20")
    books.heartbeat("S1", "01-20")
    books.write(suffix)
    found = recount(books.landing, books.seeds, "2026-01")
    assert found.schema["quantity"] == pl.Int64
    assert found.rows() == [
        ("alp", "P1", "C1", "EP", 2),
        ("alp", "P1", "C1", "FWA", 1),
        ("alp", "P1", "C1", "SRV", 0),
    ]


HEADER = "snapshot_date,customer_id,product_code,device_id,user_id,last_active_at\n"


def ep(
    device: str, user: str, at: str = "2026-01-20T12:00:00Z", snapshot: str = "2026-01-20"
) -> str:
    return f"{snapshot},C1,EP,{device},{user},{at}\n"


@pytest.mark.parametrize(
    ("rows", "units"),
    [
        ([ep("D1", "ann")], 1),
        ([ep("D1", "ann"), ep("D1", "ann")], 1),  # an exact repeat counts once
        # One key, two times: both out; D2 stays.
        ([ep("D1", "ann"), ep("D1", "ann", "2026-01-19T12:00:00Z"), ep("D2", "bob")], 1),
        # No user is a key of its own, and it contradicts itself here.
        ([ep("D1", ""), ep("D1", "", "2026-01-19T12:00:00Z"), ep("D1", "ann")], 1),
        # A bad row does not spoil the good one of its key.
        ([ep("D1", "ann"), ep("D1", "ann", "2026-13-01T12:00:00Z")], 1),
        # The snapshot date ends at midnight, and ten minutes are allowed.
        ([ep("D1", "ann", "2026-01-21T00:10:00Z")], 1),
        ([ep("D1", "ann", "2026-01-21T00:10:01Z")], 0),
        ([ep("D1", "ann", "2026-01-20T12:00:00.123456Z")], 1),
        ([ep("D1", "ann", "2026-01-20T12:00:00")], 0),
        ([ep("D1", "ann", "2026-01-20 12:00:00Z")], 0),
        ([ep("D1", "ann", "2026-01-20T12:00:00+00:00")], 0),
        ([ep("D1", "ann", "2026-01-20T24:00:00Z")], 0),
        ([ep("D1", "ann", "2026-01-20T12:00:60Z")], 0),
        ([ep("D1", "ann", "")], 0),
        ([ep("", "ann")], 0),
        ([ep("D1", "a\x00n")], 0),
        ([ep("D1", "ann").replace("\n", ",more\n"), ep("D2", "bob")], 1),
        ([ep("D1", "ann", snapshot="2026-01-19"), ep("D2", "bob")], 1),
    ],
)
def test_rows_are_held_to_the_contract(books: Books, rows: list[str], units: int) -> None:
    path = books.path("usage", "01-20")
    path.parent.mkdir(parents=True)
    path.write_text(HEADER + "".join(rows))
    assert books.counts()["C1", "EP"] == units


@pytest.mark.parametrize(
    ("content", "units"),
    [
        ((HEADER + ep("D1", "ann")).encode(), 1),
        (b"\xef\xbb\xbf" + (HEADER + ep("D1", "ann")).replace("\n", "\r\n").encode(), 1),
        ((HEADER + ep("D1", "ann")).encode("utf-16"), 0),
        ((HEADER + ep("D1", "ann") + ep("D2", "Zoé")).encode("latin-1"), 0),
        ((HEADER + ep("D1", "ann") + '"2026-01-20,C1').encode(), 0),  # cut off inside quotes
        ((HEADER.replace("user_id", "user") + ep("D1", "ann")).encode(), 0),
        ((HEADER.replace("\n", ",note\n") + ep("D1", "ann").replace("\n", ",x\n")).encode(), 1),
        (b"", 0),
        # Every row names another date: a file in the wrong folder.
        ((HEADER + ep("D1", "ann", snapshot="2026-01-19")).encode(), 0),
    ],
)
def test_whole_files_that_do_not_count(books: Books, content: bytes, units: int) -> None:
    path = books.path("usage", "01-20")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert books.counts()["C1", "EP"] == units


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
def test_truncated_files_do_not_count(books: Books, suffix: str) -> None:
    books.usage("D1", "ann", "01-20")
    books.write(suffix)
    path = books.path("usage", "01-20", suffix=suffix)
    path.write_bytes(path.read_bytes()[:-10])
    assert recount(books.landing, books.seeds, "2026-01").rows() == [
        ("alp", "P1", "C1", "EP", 0),
        ("alp", "P1", "C1", "SRV", 0),
    ]


@pytest.mark.parametrize(
    ("manifest", "units"),
    [
        ({"rows": 1}, 1),
        ({"rows": 2}, 0),
        ({"sha256": "right"}, 1),
        ({"sha256": "0" * 64}, 0),
        ({"rows": 1, "sha256": "right", "totals": {}}, 1),
        ({"totals": {"device_id": "42"}}, 1),
        ({"totals": {"device_id": "41"}}, 0),
        ({"totals": {"no_such_column": "0"}}, 0),
        ("not JSON", 0),
    ],
)
def test_a_contradicting_manifest_rejects_the_file(
    books: Books, manifest: dict[str, object] | str, units: int
) -> None:
    path = books.path("usage", "01-20")
    path.parent.mkdir(parents=True)
    content = (HEADER + ep("42", "ann")).encode()
    path.write_bytes(content)
    if isinstance(manifest, dict) and manifest.get("sha256") == "right":
        manifest = manifest | {"sha256": hashlib.sha256(content).hexdigest()}
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    path.with_name("eu.csv.manifest.json").write_text(text)
    assert books.counts()["C1", "EP"] == units


def test_a_retracted_file_does_not_count(books: Books) -> None:
    path = books.path("usage", "01-20")
    path.parent.mkdir(parents=True)
    path.write_text(HEADER + ep("D1", "ann"))
    retraction = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "who": "A", "why": "B"}
    path.with_name("eu.csv.retracted.json").write_text(json.dumps(retraction))
    assert books.counts()["C1", "EP"] == 0


def test_a_slot_delivered_in_two_formats_is_refused(books: Books) -> None:
    books.usage("D1", "ann", "01-20")
    books.write(".csv")
    books.write(".parquet")
    with pytest.raises(ValueError, match="only a journal could say"):
        recount(books.landing, books.seeds, "2026-01")


def test_the_same_activity_twice_and_from_every_later_file_changes_nothing(books: Books) -> None:
    for later in range(12):
        on = date(2026, 1, 20) + timedelta(days=later)
        books.usage("D1", "ann", "01-20", on=on.isoformat())
        books.usage("D1", "ann", "01-20", on=on.isoformat(), source="us")
    assert books.counts()["C1", "EP"] == 1


def test_an_empty_landing_folder_gives_no_rows(tmp_path: Path) -> None:
    books = Books(tmp_path)
    assert books.counts() == {}
    assert recount_lines(books.landing, books.seeds, "2026-01").is_empty()
