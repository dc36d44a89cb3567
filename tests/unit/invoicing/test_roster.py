"""The roster file: total order, the same bytes on every machine, the caller's settings kept."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
from billing_marts import ALPHA, Warehouse

from invoicing import roster

KEY = ("2026-01", "alpenland", "EUR")


def many_units(order: list[int]) -> Warehouse:
    """Rows enough for several threads to have their say, inserted in the given order."""
    warehouse = Warehouse()
    values: list[dict[str, Any]] = [
        {"customer_id": f"C{number % 7}", "unit_id": f"u{number}"} for number in range(400)
    ]
    for number in order:
        warehouse.unit(ALPHA, "EPSTD", **values[number])
    warehouse.unit(
        ALPHA, "EPSTD", "C1", "u-idle", line_number=None, is_counted=False, reason="inactive"
    )
    return warehouse


def test_two_writes_and_different_insertion_orders_give_identical_bytes(tmp_path: Path) -> None:
    order = list(range(400))
    shuffled = order.copy()
    random.Random(7).shuffle(shuffled)
    written = []
    for name, numbers, threads in (("a", order, 4), ("b", order, 1), ("c", shuffled, 4)):
        warehouse = many_units(numbers)
        warehouse.conn.execute(f"set threads = {threads}")
        size = roster.write(warehouse.conn, *KEY, tmp_path / name)
        assert size == roster.RosterSize(rows=401, counted=400)
        assert warehouse.conn.execute("select current_setting('threads')").fetchall() == [
            (threads,)
        ]
        roster.write(warehouse.conn, *KEY, tmp_path / f"{name}-again")
        written += [tmp_path / name, tmp_path / f"{name}-again"]
    assert len({path.read_bytes() for path in written}) == 1


def test_rows_are_in_total_order_and_dates_ascend(tmp_path: Path) -> None:
    warehouse = many_units(list(range(399, -1, -1)))
    roster.write(warehouse.conn, *KEY, tmp_path / "roster.parquet")
    frame = pl.read_parquet(tmp_path / "roster.parquet")
    keys = frame.select("customer_id", "unit_id").rows()
    assert keys[:-1] == sorted(keys[:-1])
    assert keys[-1] == ("C1", "u-idle")  # without a line, so last
    assert frame["active_on"][0].to_list() == [date(2026, 1, 5), date(2026, 1, 20)]


def test_a_path_with_a_quote_is_a_path(tmp_path: Path) -> None:
    warehouse = many_units([0])
    path = tmp_path / "o'brien.parquet"
    roster.write(warehouse.conn, *KEY, path)
    assert [row["unit_id"] for row in roster.of_product(path, "P0001", "EPSTD")] == [
        "u0",
        "u-idle",
    ]
