"""Who came and went between two rosters, when more did than a page lists."""

from __future__ import annotations

import duckdb
import pytest

from invoicing import roster_summary
from invoicing.roster_summary import of_tables


def test_the_first_by_id_are_listed_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_summary, "LISTED", 2)
    with duckdb.connect() as conn:
        for table, units in (("roster", "edcba"), ("roster_before", "zyxa")):
            conn.execute(
                f"create table {table} as select 'C1' as customer_id, 'EPSTD' as product_code, "
                f"unnest({list(units)}) as unit_id, true as is_counted, "
                "cast(null as varchar) as reason, date '2026-01-31' as last_active_on, "
                "[date '2026-01-31'] as active_on"
            )
        summary = of_tables(conn, has_before=True).of("C1", "EPSTD")
    # a is in both; b, c, d, e came; x, y, z went.
    assert (summary.joined, summary.joiners) == (4, ("b", "c"))
    assert (summary.left, summary.leavers) == (3, ("x", "y"))
