"""A busy machine fails no property: Hypothesis's own deadline of 200 ms is off for every test."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=1)
@given(st.just(0.25))
def test_an_example_that_takes_long_is_no_failure(seconds: float) -> None:
    time.sleep(seconds)
