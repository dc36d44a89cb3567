"""Replaces what belongs to other distributors in free text: `another partner` and its like.

Keys and figures are separated by the marts; here only sentences are read. No rules of billing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

import duckdb

_WORD = re.compile(r"\w+")
# The marts' own tables by what names they hold. A partner counts as own only where it is billed
# or explicitly not billed; a discrepancy may name the partner at the other end of a move.
_OWN_OR_OTHER = """
    with named as (
        select distributor_id, 'distributor' as kind, distributor_id as name
        from billing.draft_invoices
        union all
        select distributor_id, 'distributor', distributor_name from billing.draft_invoices
        union all
        select distributor_id, 'partner', partner_id from billing.draft_invoice_customers
        union all
        select distributor_id, 'partner', partner_name from billing.draft_invoice_customers
        union all
        select distributor_id, 'partner', partner_id from billing.draft_not_billed
        union all
        select distributor_id, 'customer', customer_id from billing.draft_invoice_customers
        union all
        select distributor_id, 'customer', customer_name from billing.draft_invoice_customers
        union all
        select distributor_id, 'customer', customer_id from billing.draft_not_billed
        union all
        select distributor_id, 'customer', customer_id from billing.draft_discrepancies
    )

    select kind, name, bool_or(distributor_id = ?) as is_own
    from named
    where name is not null and distributor_id is not null
    group by kind, name
    order by kind, name
"""


@dataclass(frozen=True)
class _Name:
    text: str
    first_word_at: int
    replacement: str


class Redactor:
    """Knows which names a distributor may read. Its own names always win over a like-named one."""

    def __init__(self, own: set[str], others: dict[str, str]) -> None:
        """`others` maps a foreign id or name to its kind: distributor, partner or customer."""
        self._by_first_word: dict[str, list[_Name]] = defaultdict(list)
        names = {name: name for name in own}
        names |= {name: f"another {kind}" for name, kind in others.items() if name not in own}
        # Longest first, so that `Alpha Tech Services` is seen before `Alpha Tech`.
        for name in sorted(names, key=lambda text: (-len(text), text)):
            word = _WORD.search(name)
            if word:
                entry = _Name(name, word.start(), names[name])
                self._by_first_word[word.group()].append(entry)

    def __call__(self, text: str | None) -> str | None:
        """The text with every whole foreign id or name replaced; own names are left alone."""
        if not text:
            return text
        parts: list[str] = []
        done = 0
        for word in _WORD.finditer(text):
            if word.start() < done:
                continue
            for name in self._by_first_word.get(word.group(), ()):
                start = word.start() - name.first_word_at
                end = start + len(name.text)
                if text[start:end] == name.text and _stands_alone(text, start, end):
                    parts += [text[done:start], name.replacement]
                    done = end
                    break
        return "".join([*parts, text[done:]])


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Not a piece of a longer id: ids also contain dots and dashes, sentences end with a dot."""
    before = text[start - 1 : start]
    after = text[end : end + 1]
    if before.isalnum() or before in {"_", "-"}:
        return False
    if after.isalnum() or after in {"_", "-"}:
        return False
    return not (after == "." and text[end + 1 : end + 2].isalnum())


def redactor_for(conn: duckdb.DuckDBPyConnection, distributor_id: str) -> Redactor:
    """What the billing marts know of this distributor and of all others, over all their periods."""
    found = conn.execute(_OWN_OR_OTHER, [distributor_id]).fetchall()
    return Redactor(
        own={name for _, name, is_own in found if is_own},
        others={name: kind for kind, name, is_own in found if not is_own},
    )
