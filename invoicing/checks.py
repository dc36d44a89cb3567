"""The plain result of one check, as the gate reads it.

Only the shape: what is checked lives in `expectations` and in the warehouse's own tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["blocking", "warning"]


@dataclass(frozen=True)
class CheckResult:
    """One check of a draft. `distributors` are those whose rows failed; empty: it is not known.

    `detail` is a sentence for a clerk. A failed blocking check holds the named distributors, or
    every distributor of the period when none is named.
    """

    name: str
    success: bool
    severity: Severity
    distributors: tuple[str, ...]
    detail: str
