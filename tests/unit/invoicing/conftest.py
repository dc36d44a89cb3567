"""Fixtures of the invoicing tests: a hand-filled warehouse, an empty ledger, a month-end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from billing_marts import Warehouse, fill_january

from invoicing import documents, gate
from invoicing.ledger import Document, Ledger


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
def january(warehouse: Warehouse) -> Warehouse:
    fill_january(warehouse)
    return warehouse


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def close() -> Callable[[Warehouse, Ledger, str], list[Document]]:
    """Decide and issue a period, as a month-end run does."""

    def run(warehouse: Warehouse, ledger: Ledger, period: str) -> list[Document]:
        gate.decide(warehouse.conn, ledger, period, [])
        return documents.issue(warehouse.conn, ledger, period)

    return run
