"""What a sender says of a file in the manifest beside it, held against what is in the file.

Only the manifest belongs here; the file is read by `ingest.rows`, and judged by `ingest.parse`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from ingest.contracts import ColumnType, Contract
from ingest.reasons import Reason, Rejected

LARGEST_NOTE_BYTES = 1 << 20  # of a manifest or a retraction


@dataclass(frozen=True)
class Manifest:
    """What the sender says of the file; empty when there is no manifest."""

    is_present: bool = False
    rows: int | None = None
    sha256: str | None = None
    totals: dict[str, Decimal] = field(default_factory=dict)

    @property
    def vouches(self) -> bool:
        """It gives the rows or the bytes, so a file cut short cannot agree with it."""
        return self.rows is not None or self.sha256 is not None

    @property
    def verifies(self) -> bool:
        return self.rows is not None and self.sha256 is not None

    @classmethod
    def read(cls, content: bytes | None, contract: Contract) -> Manifest:
        if content is None:
            return cls()
        if len(content) > LARGEST_NOTE_BYTES:
            raise Rejected(
                Reason.MANIFEST_INVALID,
                f"the manifest is longer than {LARGEST_NOTE_BYTES:,} bytes",
            )

        def invalid(why: str) -> Rejected:
            return Rejected(Reason.MANIFEST_INVALID, f"the manifest {why}")

        try:
            values = json.loads(content, parse_float=Decimal)
        except (ValueError, RecursionError, InvalidOperation) as error:
            raise invalid(f"is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise invalid("is not a JSON object")
        rows = values.get("rows")
        if rows is not None and (type(rows) is not int or rows < 0):
            raise invalid(f"gives {rows!r} for rows; a whole number is needed")
        sha256 = values.get("sha256")
        if sha256 is not None and not isinstance(sha256, str):
            raise invalid(f"gives {sha256!r} for sha256; a text is needed")
        totals = values.get("totals", {})
        if not isinstance(totals, dict):
            raise invalid("gives totals that are not an object of column: decimal")
        numeric = {
            column.name
            for column in contract.columns
            if column.type in (ColumnType.INTEGER, ColumnType.DECIMAL)
        }
        exact: dict[str, Decimal] = {}
        for name, total in totals.items():
            if name not in numeric:
                raise invalid(f"gives a total of {name!r}, which is no number of this feed")
            try:
                if isinstance(total, bool) or not isinstance(total, str | int | Decimal):
                    raise InvalidOperation
                exact[name] = Decimal(total)
                if not exact[name].is_finite():
                    raise InvalidOperation
            except InvalidOperation as error:
                raise invalid(f"gives {total!r} as the total of {name}") from error
        return cls(True, rows, sha256, exact)

    def check(self, rows_in_file: int, totals: dict[str, Decimal]) -> None:
        """Raises Rejected when the manifest says otherwise."""
        if self.rows is not None and self.rows != rows_in_file:
            raise Rejected(
                Reason.MANIFEST_MISMATCH,
                f"the manifest says {self.rows:,} rows, the file has {rows_in_file:,}",
            )
        for name, expected in self.totals.items():
            if expected != totals[name]:
                raise Rejected(
                    Reason.MANIFEST_MISMATCH,
                    f"the manifest says {name} adds up to {expected}, the file's to "
                    f"{totals[name]:f}",
                )
