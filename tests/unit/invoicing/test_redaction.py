"""Foreign names in free text: whole names only, own names always kept."""

from __future__ import annotations

import pytest

from invoicing.redaction import Redactor

REDACT = Redactor(
    own={"P1", "Alpha Tech Services", "Shared Name"},
    others={
        "P2": "partner",
        "Alpha Tech": "partner",
        "=cmd|calc": "partner",
        "sakura": "distributor",
        "さくら": "distributor",
        "Shared Name": "partner",
    },
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from P1 to P2", "from P1 to another partner"),
        (
            "P2, P2; (P2) 'P2'.",
            "another partner, another partner; (another partner) 'another partner'.",
        ),
        ("P20 P2-1 xP2 P2.5 P2_a", "P20 P2-1 xP2 P2.5 P2_a"),
        ("Alpha Tech Services and Alpha Tech", "Alpha Tech Services and another partner"),
        ("Shared Name stays", "Shared Name stays"),
        ("by =cmd|calc today", "by another partner today"),
        ("sakura/さくら", "another distributor/another distributor"),
        ("P1P2", "P1P2"),
        ("", ""),
        (None, None),
    ],
)
def test_whole_foreign_names_are_replaced(text: str | None, expected: str | None) -> None:
    assert REDACT(text) == expected
