"""What is flagged, put together from the warehouse's words, and chosen for a screenful."""

from collections.abc import Iterator

import duckdb
import pytest

from dagster_project.lib.flagged import Flagged, flagged, in_full, kinds_in_words, sections
from dagster_project.lib.status import PeriodStatus


@pytest.fixture
def conn() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema quality;
            create schema reference;
            create table reference.currencies as
                from (values ('EUR', 2), ('JPY', 0)) as c (currency, minor_units);
            create table quality.discrepancy_kinds as from (values
                ('unlicensed_usage', 'warning', 'user without a licence', 'users without a licence',
                    'not billed'),
                ('twin_names', 'warning', 'name', 'names', ''),
                ('swing', 'blocking', 'jump', 'jumps', 'of difference')
            ) as k (kind, severity, one, many, consequence);
            create table quality.discrepancies (
                period varchar, distributor_id varchar, severity varchar, kind varchar,
                customer_id varchar, partner_id varchar, subject varchar, units bigint,
                amount_at_stake decimal(18, 3), currency varchar, action varchar, state varchar
            );
            """
        )
        yield connection


def put(
    conn: duckdb.DuckDBPyConnection,
    kind: str = "unlicensed_usage",
    *,
    period: str = "2026-01",
    distributor: str | None = "alpenland",
    severity: str = "warning",
    customer: str | None = None,
    partner: str | None = None,
    subject: str = "",
    units: int = 1,
    amount: str | None = None,
    currency: str | None = "EUR",
    action: str = "Register it.",
    state: str = "open",
) -> None:
    row = [period, distributor, severity, kind, customer, partner, subject, units]
    row += [amount, currency, action, state]
    marks = ", ".join("?" * len(row))
    conn.execute(f"insert into quality.discrepancies values ({marks})", row)


def test_a_kind_is_one_sentence(conn: duckdb.DuckDBPyConnection) -> None:
    """3 and 4 users are 7, 6.30 and 15.20 are 21.50; what is waived is no longer open."""
    put(conn, customer="C1", partner="P1", units=3, amount="6.300")
    put(conn, customer="C2", partner="P1", units=4, amount="15.200")
    put(conn, customer="C3", units=9, amount="99", state="waived")
    (found,) = flagged(conn)
    assert found.sentence == (
        "7 users without a licence (C1 and C2), 21.50 EUR not billed. Register it."
    )
    assert (found.discrepancies, found.kind, found.amount) == (2, "unlicensed_usage", "21.50")


def test_sentences_say_only_what_is_known(conn: duckdb.DuckDBPyConnection) -> None:
    put(conn, customer="C1", units=1, amount="1234", currency="JPY")
    for customer in ("C1", "C2", "C3", "C4"):
        put(conn, "twin_names", customer=customer, amount="0", action="Look.")
    put(conn, "swing", severity="blocking", partner="P1", subject="x", action="Wait.")
    put(conn, "new_kind", subject="a/b", currency=None, action="Ask.")
    assert [one.sentence for one in flagged(conn)] == [
        "1 jump (P1). Wait.",
        "1 user without a licence (C1), 1,234 JPY not billed. Register it.",
        "4 names (C1, C2 and 2 more). Look.",
        "1 new_kind (a/b). Ask.",
    ]


def test_order_is_serious_then_dear(conn: duckdb.DuckDBPyConnection) -> None:
    put(conn, "twin_names", amount="2")
    put(conn, amount="1", distributor=None, currency=None)
    put(conn, "unlicensed_usage", amount="3")
    put(conn, "swing", severity="blocking")
    put(conn, period="2025-12")
    assert [(one.period, one.distributor_id, one.kind) for one in flagged(conn)] == [
        ("2025-12", "alpenland", "unlicensed_usage"),
        ("2026-01", "alpenland", "swing"),
        ("2026-01", "alpenland", "unlicensed_usage"),
        ("2026-01", "alpenland", "twin_names"),
        ("2026-01", None, "unlicensed_usage"),
    ]


def test_a_publication_without_words_tells_nothing() -> None:
    with duckdb.connect() as old:
        assert flagged(old) == []
        assert kinds_in_words(old) == {}


def test_kinds_in_words_are_those_that_hold(conn: duckdb.DuckDBPyConnection) -> None:
    assert kinds_in_words(conn) == {"swing": "jump"}


def one(period: str, distributor: str | None, kind: str, severity: str = "warning") -> Flagged:
    return Flagged(period, distributor, severity, kind, 1, "1 x", [], None, None, "", ["Look."])


def state(period: str, distributor: str, state: str) -> PeriodStatus:
    return PeriodStatus(period, distributor, "EUR", state, None, "0.00", [])


PERIODS = [
    state("2026-01", "a", "issued"),
    state("2026-02", "a", "draft"),
    state("2026-01", "h", "held"),
    state("2026-02", "h", "open"),
]
FOUND = [
    one("2025-12", None, "orphan_usage"),
    one("2026-01", "a", "twin_names"),
    one("2026-01", "h", "swing", "blocking"),
    one("2026-01", "h", "twin_names"),
    one("2026-01", None, "orphan_usage"),
    one("2026-02", "a", "swing", "blocking"),
    one("2026-02", "a", "twin_names"),
    one("2026-02", "h", "feed_volume"),
    one("2026-02", "h", "swing", "blocking"),
    one("2026-02", "h", "twin_names"),
]


def told(limit: int) -> list[tuple[str, str | None, list[str], int, int]]:
    return [
        (one.period, one.distributor_id, [f.kind for f in one.shown], one.again, one.left_out)
        for one in sections(FOUND, PERIODS, limit)
    ]


def test_only_periods_that_are_not_issued_are_told_and_a_kind_once() -> None:
    """a's January is issued; h's is held by `swing`, as the gate says; 2025-12 is nobody's."""
    assert told(limit=10) == [
        ("2026-01", "h", ["twin_names"], 0, 0),
        ("2026-01", None, ["orphan_usage"], 0, 0),
        ("2026-02", "a", ["swing", "twin_names"], 0, 0),
        ("2026-02", "h", ["feed_volume"], 2, 0),
    ]


def test_what_does_not_fit_is_counted() -> None:
    assert told(limit=3) == [
        ("2026-01", "h", ["twin_names"], 0, 0),
        ("2026-01", None, ["orphan_usage"], 0, 0),
        ("2026-02", "a", ["swing"], 0, 1),
        ("2026-02", "h", [], 2, 1),
    ]


def test_all_is_everything() -> None:
    assert [len(section.shown) for section in in_full(FOUND)] == [1, 1, 2, 1, 2, 3]
