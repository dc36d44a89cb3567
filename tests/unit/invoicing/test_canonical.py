"""Text forms of money and documents: exact, canonical, never rounded."""

from __future__ import annotations

from decimal import Decimal

import pytest

from invoicing.canonical import canonical_json, money_text, parse_object, price_text


@pytest.mark.parametrize(
    ("amount", "minor_units", "text"),
    [
        ("1.5", 2, "1.50"),
        ("1.010", 2, "1.01"),  # DECIMAL(18,3) carries a third zero
        ("0", 2, "0.00"),
        ("300.000", 0, "300"),  # JPY
        ("1.005", 3, "1.005"),  # KWD
        ("1000000", 0, "1000000"),  # trailing zeros of a whole number stay
    ],
)
def test_money_has_exactly_the_decimals_of_its_currency(
    amount: str, minor_units: int, text: str
) -> None:
    assert money_text(Decimal(amount), minor_units) == text


def test_money_finer_than_the_minor_unit_is_refused_not_rounded() -> None:
    with pytest.raises(ValueError, match="does not fit a currency with 2 decimals"):
        money_text(Decimal("1.005"), 2)


@pytest.mark.parametrize(
    ("price", "minor_units", "text"),
    [
        ("2.100000", 2, "2.10"),
        ("1.895000", 2, "1.895"),
        ("120.000000", 0, "120"),
        ("0.000001", 2, "0.000001"),
        ("1E+2", 2, "100.00"),
    ],
)
def test_a_price_keeps_the_decimals_that_matter(price: str, minor_units: int, text: str) -> None:
    assert price_text(Decimal(price), minor_units) == text


def test_canonical_json_keeps_the_built_order_and_utf8() -> None:
    value = {"b": "Zoë", "a": [1, None]}
    assert canonical_json(value) == '{"b":"Zoë","a":[1,null]}\n'.encode()


def test_fractions_in_a_mart_text_keep_their_digits() -> None:
    # As a float 2.100000 would come back as 2.1 and 0.1 + 0.2 as 0.30000000000000004.
    assert parse_object('{"b": 2.100000, "a": 3}') == {"a": 3, "b": "2.100000"}
    assert list(parse_object('{"b": 1, "a": 3}')) == ["a", "b"]
