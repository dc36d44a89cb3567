"""Counter-based randomness: every draw is a pure function of seed, stream and counter.

No generator state belongs here, and no knowledge of what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def mix(words: Words) -> Words:
    """SplitMix64's finaliser. A bijection on 64 bits: distinct counters stay distinct."""
    mixed = words ^ (words >> np.uint64(30))
    mixed = mixed * _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def mix_one(word: int) -> int:
    """`mix` for one Python integer, taken modulo 2**64."""
    word &= _MASK
    word = ((word ^ (word >> 30)) * int(_FIRST)) & _MASK
    word = ((word ^ (word >> 27)) * int(_SECOND)) & _MASK
    return word ^ (word >> 31)


@cache
def salt(seed: int, stream: str) -> int:
    """A 64-bit starting point for one named stream of draws."""
    word = mix_one(seed)
    for byte in stream.encode():
        word = mix_one(word * int(_GOLDEN) + byte + 1)
    return word


def draws(seed: int, stream: str, counters: Ints) -> Words:
    """One uniform 64-bit word per counter (0 or more)."""
    return mix(counters.astype(np.uint64) * _GOLDEN + np.uint64(salt(seed, stream)))


def draw(seed: int, stream: str, counter: int) -> int:
    """`draws` for one counter."""
    return mix_one(counter * int(_GOLDEN) + salt(seed, stream))


def below(words: Words, limit: int) -> Ints:
    """Words reduced to 0 … limit - 1 (limit far below 2**32, so the bias is negligible)."""
    return (words % np.uint64(limit)).astype(np.int64)


@cache
def _hex_table() -> pl.Series:
    return pl.Series([f"{value:04x}" for value in range(1 << 16)], dtype=pl.String)


def hex_text(prefix: str, words: Words) -> pl.Series:
    """`prefix` and 16 lower-case hex digits per word; text order is the words' order."""
    table, low = _hex_table(), np.uint64(0xFFFF)
    digits = {
        f"digits_{shift:02d}": table.gather((words >> np.uint64(shift)) & low)
        for shift in (48, 32, 16, 0)
    }
    frame = pl.DataFrame(digits)
    return frame.select(pl.concat_str([pl.lit(prefix), *digits]).alias("id")).to_series()


def pick(seed: int, stream: str, counter: int, choices: Sequence[str]) -> str:
    """One of `choices`."""
    return choices[draw(seed, stream, counter) % len(choices)]
