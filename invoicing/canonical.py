"""The one way a document's values become text and bytes: canonical JSON, hashes, decimals.

Formatting only. Nothing here rounds: an amount that does not fit its currency is an error (R19).
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

JsonObject = dict[str, Any]


def canonical_json(value: JsonObject) -> bytes:
    """UTF-8 JSON in the order the value was built, without optional whitespace, one newline."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return (text + "\n").encode("utf-8")


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def parse_object(text: str) -> JsonObject:
    """A JSON object from a mart's text column, keys sorted, fractions kept as their digits."""
    value: JsonObject = json.loads(text, parse_float=str)
    return dict(sorted(value.items()))


def parse_list(text: str) -> list[JsonObject]:
    """A JSON list from a mart's text column, fractions kept as their digits."""
    value: list[JsonObject] = json.loads(text, parse_float=str)
    return value


def money_text(amount: Decimal, minor_units: int) -> str:
    """An amount with exactly the currency's decimals: 1.5 with 2 minor units is `1.50`.

    Raises ValueError when the amount is finer than the minor unit: the one rounding happened
    when the line was priced (R19), so a rest here is a fault and not something to round away.
    """
    text = price_text(amount, minor_units)
    if _decimals(text) > minor_units:
        raise ValueError(f"amount {amount} does not fit a currency with {minor_units} decimals")
    return text


def price_text(price: Decimal, minor_units: int) -> str:
    """A unit price in plain digits: at least the currency's decimals, more only if they matter.

    2.100000 with 2 minor units is `2.10`, 1.895000 is `1.895`, 120.000000 with 0 is `120`.
    """
    text = f"{price:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    missing = minor_units - _decimals(text)
    if missing <= 0:
        return text
    return text + ("" if "." in text else ".") + "0" * missing


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
