"""What a draft knew: the documents it was computed with, so that it can be computed again (R26)."""

from __future__ import annotations

from billing_marts import VERSION_SET, Warehouse

from invoicing import draft


def test_a_run_knows_what_came_before_it_and_what_was_cancelled_since(january: Warehouse) -> None:
    def issued(distributor_id: str, sequence: int, period: str, cancels: str | None = None) -> None:
        january.put(
            "issued_invoices",
            distributor_id=distributor_id,
            sequence=sequence,
            period=period,
            version_set_sha256=VERSION_SET,
            cancels=cancels,
        )

    def known() -> dict[str, int]:
        (invoice, *_) = draft.invoices(january.conn, "2026-01")
        return draft.ledger_state(january.conn, invoice)

    issued("sakura", 1, "2025-12")
    assert known() == {"sakura": 1}
    # Two documents of January's own run from the same versions: computed together with this one.
    issued("sakura", 2, "2026-01")
    issued("alpenland", 1, "2026-01")
    assert known() == {"sakura": 1}
    # Sakura's was cancelled, and closing January again from unchanged data knows of both.
    issued("sakura", 3, "2026-01", cancels="SAKURA-000002")
    assert known() == {"sakura": 3}
    # What that run then issued for others is again its own.
    issued("sakura", 4, "2026-01")
    assert known() == {"sakura": 3}
