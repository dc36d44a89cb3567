"""The ledger and its exports checked against themselves: every byte has a second witness.

It reads and judges, and writes nothing; mending is for a person. How a document is stored is
`ledger`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb

from invoicing import content as contents
from invoicing import disputes, durable, gate, heads
from invoicing.canonical import JsonObject, money_text
from invoicing.exports import folder, standing
from invoicing.ledger import Document, Ledger, LedgerError

_HASH = re.compile(r"[0-9a-f]{64}")
_ZERO = (Decimal(0), Decimal(0))

# Quantity and amount by partner, product and customer.
Figures = dict[tuple[str, str, str], tuple[Decimal, Decimal]]


class BrokenError(Exception):
    """A broken link: the file, what is wrong with it, and what to do about it."""

    def __init__(self, file: str, what: str, action: str) -> None:
        super().__init__(f"{file}: {what}. {action}")
        self.file, self.what, self.action = file, what, action


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `looked_at` says how much of it; `broken` is the first fault.

    Both are None when it was not looked at, because an earlier check found something.
    """

    name: str
    looked_at: str | None
    broken: BrokenError | None = None


def run(checks: Iterable[tuple[str, Callable[[], str]]]) -> Iterator[Check]:
    """Each check in turn, up to the first broken link; the rest rests on what is broken."""
    broken = False
    for name, check in checks:
        if broken:
            yield Check(name, None)
            continue
        try:
            yield Check(name, check())
        except BrokenError as error:
            broken = True
            yield Check(name, None, error)


def checks_of(
    ledger: Ledger, exports: Path, noted: Iterable[str] = ()
) -> list[tuple[str, Callable[[], str]]]:
    """What there is to check, in the order in which one thing vouches for the next.

    `noted` are heads or content hashes that somebody kept outside.
    """
    return [
        ("heads", lambda: _heads(ledger, noted)),
        ("documents", lambda: _documents(ledger)),
        ("rosters", lambda: _rosters(ledger)),
        ("chains", lambda: _chains(ledger)),
        ("figures", lambda: _figures(ledger)),
        ("releases", lambda: _releases(ledger)),
        ("disputes", lambda: _disputes(ledger)),
        ("ledger files", lambda: _ledger_files(ledger)),
        ("exports", lambda: _exports(ledger, exports)),
    ]


def _heads(ledger: Ledger, noted: Iterable[str]) -> str:
    try:
        found = heads.read(ledger.root)
    except heads.HeadsError as error:
        raise BrokenError(heads.FILE, _after_name(str(error)), _restore(ledger)) from error
    if found.torn:
        raise BrokenError(
            heads.FILE, f"ends in {len(found.torn)} bytes that are no line", _recover(ledger)
        )
    anchors = {anchor.sha256 for anchor in found.anchors}
    for one in noted:
        if one not in anchors and one not in _contents(ledger):
            raise BrokenError(
                heads.FILE,
                f"no line and no document has the hash {one}, of {len(anchors)} lines",
                "What it stood for was taken out or rewritten since it was noted, or it is of "
                f"another home. If it is neither: {_restore(ledger)}"
                if _HASH.fullmatch(one)
                else "A hash has 64 hexadecimal digits: give all of it.",
            )
    return f"{len(found.anchors)} lines, each chained to the one before"


def _contents(ledger: Ledger) -> set[str]:
    return {str(document.provenance["content_sha256"]) for document in _read(ledger)}


def _documents(ledger: Ledger) -> str:
    """Their bytes are the ones the heads name; so the file named here is the one that changed."""
    anchors = [a for a in ledger.heads().anchors if a.committed.file != disputes.FILE]
    for anchor in anchors:
        said, path = anchor.committed, ledger.root / anchor.committed.file
        where = f"as {heads.FILE}, line {anchor.line}, has it"
        if not path.is_file():
            raise BrokenError(
                said.file,
                f"is missing, expected {said.number or 'a nil document'} {where}",
                _restore(ledger),
            )
        _same(ledger, said.file, path, said.file_sha256, where)
    documents = list(_read(ledger))
    older = sum(document.is_from_before_heads for document in documents)
    told = f", {older} of them from before heads were kept" if older else ""
    return (
        f"{len(documents)} of {len(ledger.distributors())} distributors, {len(anchors)} as the "
        f"heads have them{told}"
    )


def _rosters(ledger: Ledger) -> str:
    count = 0
    for document in _read(ledger):
        path = ledger.roster_path(document.distributor_id, document.sequence)
        file = _name(ledger, path)
        if not path.is_file():
            raise BrokenError(
                file, f"is missing, {document.name} was issued with it", _restore(ledger)
            )
        _same(
            ledger, file, path, document.content["roster"]["sha256"], f"as {document.name} has it"
        )
        count += 1
    return f"{count}, each with the bytes its document names"


def _chains(ledger: Ledger) -> str:
    fault = ledger.verify()
    if fault:
        file = fault.split()[0].rstrip(":,")
        raise BrokenError(file, fault.removeprefix(file).lstrip(":, "), _restore(ledger))
    documents = list(_read(ledger))
    without = ledger.without_anchor()
    if without and not all(document.is_from_before_heads for document in documents):
        raise BrokenError(
            heads.FILE,
            f"does not name {without[0].file}, which follows its last line: a run was killed "
            "there, or the line was taken out, or the file was added",
            _recover(ledger),
        )
    numbered = sum(document.number is not None for document in documents)
    return f"{len(documents)} sequences and {numbered} numbers without a gap, hashes and sums"


def _figures(ledger: Ledger) -> str:
    """Every figure again: totals, prices, what notes say was billed, and the rosters counted."""
    lines = customers = units = 0
    with duckdb.connect() as conn:
        for distributor_id in ledger.distributors():
            billed: dict[tuple[str, str], Figures] = defaultdict(dict)
            taxes: dict[tuple[str, str], list[Document]] = defaultdict(list)
            for document in ledger.documents(distributor_id):
                before = billed[document.billed_period, document.currency]
                after = _after(before, document)
                path = ledger.roster_path(distributor_id, document.sequence)
                fault = (
                    _total_fault(document)
                    or _price_fault(document)
                    or _tax_fault(document, taxes[document.billed_period, document.currency])
                    or _note_fault(document, before, after)
                    or _roster_fault(document, after, _counted(conn, path))
                )
                if fault:
                    file = _name(ledger, ledger.document_path(distributor_id, document.sequence))
                    raise BrokenError(file, fault, _restore(ledger))
                billed[document.billed_period, document.currency] = after
                taxes[document.billed_period, document.currency].append(document)
                lines += len(document.content["lines"])
                customers += document.content["totals"]["usage_rows"]
                units += document.content["roster"]["counted"]
    return f"{lines} lines, {customers} customers, {units} units counted in the rosters"


def _after(before: Figures, document: Document) -> Figures:
    after = dict(before)
    for line, customer in _customers(document.content):
        key = (line["partner_id"], line["product_code"], customer["customer_id"])
        quantity, amount = after.get(key, _ZERO)
        after[key] = (
            quantity + Decimal(customer["quantity"]),
            amount + Decimal(customer["amount"]),
        )
    return after


def _customers(content: JsonObject) -> Iterator[tuple[JsonObject, JsonObject]]:
    for line in (*content["lines"], *content["unused"]):
        for customer in line["customers"]:
            yield line, customer


def _total_fault(document: Document) -> str | None:
    """Every total is the sum of its lines, and money has its currency's decimals."""
    value, places = document.content, document.content["minor_units"]
    lines, unused = value["lines"], value["unused"]
    amount = sum((Decimal(line["amount"]) for line in lines), Decimal(0))
    expected = contents.totals_of(amount, places, lines, unused)
    for name, should_be in expected.items():
        if value["totals"][name] != should_be:
            return f"total {name} is {value['totals'][name]}, its lines give {should_be}"
    for line, customer in _customers(value):
        for figure in (line["amount"], customer["amount"]):
            if figure != money_text(Decimal(figure), places):
                return f"{figure} is not an amount in {document.currency}"
    for line in unused:
        if line["quantity"] or any(one["quantity"] for one in line["customers"]):
            return f"{line['partner_id']} {line['product_code']} was used, but has no line"
    return None


def _price_fault(document: Document) -> str | None:
    """A line of an invoice is its bands' units at their prices, rounded once (R17, R19)."""
    if document.is_note:
        return None
    cent = Decimal(1).scaleb(-document.content["minor_units"])
    for line in document.content["lines"]:
        quantity = sum(band["quantity"] for band in line["bands"])
        unrounded = sum(
            (Decimal(band["unit_price"]) * band["quantity"] for band in line["bands"]), Decimal(0)
        )
        amount = unrounded.quantize(cent, ROUND_HALF_UP)
        if (quantity, amount) != (line["quantity"], Decimal(line["amount"])):
            return (
                f"line {line['line_number']}: its bands give {quantity} units and {amount}, "
                f"expected {line['quantity']} and {line['amount']}"
            )
    return None


def _tax_fault(document: Document, before: list[Document]) -> str | None:
    """Tax is the total at its rate, rounded once; a cancellation takes back all there was (R20).

    `before` are the documents of the same billed period and currency. A note is taxed as the
    invoice it corrects.
    """
    content, places = document.content, document.content["minor_units"]
    if content["format"] == contents.WITHOUT_TAX:
        return None
    tax = content["tax"]
    like = _corrected(document, before)
    is_taxed = like.content.get("tax") is not None if like else document.kind != "nil"
    if is_taxed != (tax is not None):
        return f"tax is {tax}, but it is {'taxed' if is_taxed else 'not taxed'}"
    if tax is None:
        return None
    same = like.content["tax"] if like else tax
    for name in ("category", "rate", "reason"):
        if tax[name] != same[name]:
            return f"tax {name} is {tax[name]}, the corrected invoice has {same[name]}"
    net = Decimal(content["totals"]["amount"])
    if document.cancels:
        charged = [one.content["tax"] for one in before if one.content.get("tax")]
        expected = -sum((Decimal(one["tax_amount"]) for one in charged), Decimal(0))
    else:
        cent = Decimal(1).scaleb(-places)
        expected = (net * Decimal(tax["rate"]) / 100).quantize(cent, ROUND_HALF_UP) + Decimal(0)
    for name, should_be in (
        ("taxable_amount", net),
        ("tax_amount", expected),
        ("payable_amount", net + expected),
    ):
        if tax[name] != money_text(should_be, places):
            return f"{name} is {tax[name]}, expected {money_text(should_be, places)}"
    return None


def _corrected(document: Document, before: list[Document]) -> Document | None:
    """The invoice that a note corrects; None where it corrects nothing that was invoiced."""
    if not document.is_note:
        return None
    named = document.content["corrects"]["sequence"]
    return next((one for one in before if one.sequence == named and one.kind == "invoice"), None)


def _note_fault(document: Document, before: Figures, after: Figures) -> str | None:
    """What a note says was billed and is known is what the documents up to it add up to (R25)."""
    if not document.is_note:
        return None
    for line in document.content["lines"]:
        key = (line["partner_id"], line["product_code"])
        where = f"line {line['line_number']}"
        fault = _difference(line, _sum(before, key), _sum(after, key))
        if fault:
            return f"{where}: {fault}"
        for one in line["customers"]:
            of_one = (*key, one["customer_id"])
            fault = _difference(one, before.get(of_one, _ZERO), after[of_one])
            if fault:
                return f"{where}, {one['customer_id']}: {fault}"
    return None


def _sum(figures: Figures, key: tuple[str, str]) -> tuple[Decimal, Decimal]:
    of_line = [value for one, value in figures.items() if one[:2] == key]
    return sum((q for q, _ in of_line), Decimal(0)), sum((a for _, a in of_line), Decimal(0))


def _difference(
    said: JsonObject, before: tuple[Decimal, Decimal], after: tuple[Decimal, Decimal]
) -> str | None:
    for figure, was, is_now in zip(("quantity", "amount"), before, after, strict=True):
        billed, known = Decimal(said[f"billed_{figure}"]), Decimal(said[f"known_{figure}"])
        if billed != was:
            return f"says {billed} {figure} was billed, the documents before it billed {was}"
        if known != is_now:
            return f"says {known} {figure} is known, the documents up to it bill {is_now}"
        if known - billed != Decimal(said[figure]):
            return f"corrects {said[figure]} {figure}, but {known} less {billed} is another"
    return None


def _counted(conn: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, Figures]:
    """The rows of a roster, and how many of them count by partner, product and customer."""
    found = conn.execute(
        """
        select partner_id, product_code, customer_id, count(*), count(*) filter (is_counted)
        from read_parquet(?) group by all
        """,
        [str(path)],
    ).fetchall()
    return sum(row[3] for row in found), {
        (row[0], row[1], row[2]): (Decimal(row[4]), Decimal(0)) for row in found if row[4]
    }


def _roster_fault(document: Document, after: Figures, counted: tuple[int, Figures]) -> str | None:
    """No number without its roster: what is billed by now is the rows of the roster that count."""
    rows, units = counted
    proof = document.content["roster"]
    total = int(sum((quantity for quantity, _ in units.values()), Decimal(0)))
    if (proof["rows"], proof["counted"]) != (rows, total):
        return (
            f"says its roster has {proof['rows']} rows and {proof['counted']} counted, found "
            f"{rows} and {total}"
        )
    billed = {key: quantity for key, (quantity, _) in after.items() if quantity}
    for key in sorted({*billed, *units}):
        quantity, of_roster = billed.get(key, Decimal(0)), units.get(key, _ZERO)[0]
        if quantity != of_roster:
            return f"bills {quantity} of {' '.join(key)}, its roster counts {of_roster}"
    return None


def _releases(ledger: Ledger) -> str:
    try:
        found = gate.records(ledger)
    except LedgerError as error:
        raise BrokenError(*_named_in(ledger, error)) from error
    in_force = 0
    for document in _read(ledger):
        key = (document.period, document.distributor_id, document.currency)
        if document.is_note or ledger.issued(*key) != document:
            continue
        in_force += 1
        fault = gate.record_fault(ledger, document)
        if fault:
            raise BrokenError(
                _name(ledger, gate.record_path(ledger, *key)), fault, _restore(ledger)
            )
    return f"{len(found)} records, {in_force} of them of invoices and nil documents in force"


def _disputes(ledger: Ledger) -> str:
    torn = disputes.torn(ledger)
    if torn:
        raise BrokenError(disputes.FILE, f"ends in {torn} bytes that are no line", _recover(ledger))
    try:
        found = disputes.every(ledger)
    except disputes.DisputeError as error:
        raise BrokenError(disputes.FILE, str(error), _restore(ledger)) from error
    return f"{len(found)} with {sum(len(one.notes) for one in found)} notes"


def _ledger_files(ledger: Ledger) -> str:
    expected = {heads.FILE, disputes.FILE}
    for document in _read(ledger):
        place = (document.distributor_id, document.sequence)
        paths = (ledger.document_path(*place), ledger.roster_path(*place))
        expected |= {_name(ledger, path) for path in paths}
    for one in gate.records(ledger):
        path = gate.record_path(ledger, one.period, one.distributor_id, one.currency)
        expected.add(_name(ledger, path))
    present = {_name(ledger, path) for path in _files(ledger.root)}
    leftovers = {_name(ledger, path) for path in ledger.leftovers()}
    for file in sorted(present - expected):
        if file in leftovers:
            raise BrokenError(file, "is of no document: a run was killed there", _recover(ledger))
        raise BrokenError(
            file,
            "does not belong to the ledger",
            "Find out who put it there and take it away; nothing reads it.",
        )
    return f"{len(present)}, none too many"


def _exports(ledger: Ledger, root: Path) -> str:
    """Each file as the ledger renders it, so that it is also as its manifest says."""
    expected = folder.expected(ledger)
    present = {path.relative_to(root).as_posix(): path for path in _files(root)}
    for file, sha256 in expected.items():
        again = f"`muster close {file.split('/')[0]}` makes it again from the ledger."
        path = present.get(file)
        if path is None:
            raise BrokenError(f"exports/{file}", "is missing", again)
        found = durable.file_sha256(path)
        if found != sha256:
            raise BrokenError(
                f"exports/{file}", f"has sha256 {found}, the ledger renders {sha256}", again
            )
    for file in sorted(set(present) - set(expected)):
        raise BrokenError(
            f"exports/{file}",
            "belongs to no document",
            f"Take it away. `muster close {file.split('/')[0]}` makes the folder again.",
        )
    folders = {file.rsplit("/", 1)[0] for file in expected if file.endswith(standing.MANIFEST)}
    return f"{len(expected)} files in {len(folders)} folders, as the ledger renders them"


def _read(ledger: Ledger) -> Iterator[Document]:
    """Every document; one that cannot be read is named."""
    for distributor_id in ledger.distributors():
        for path in sorted((ledger.root / distributor_id).glob("[0-9]*.json")):
            file = _name(ledger, path)
            try:
                yield ledger.read(path)
            except (LedgerError, KeyError, TypeError, AttributeError) as error:
                raise BrokenError(file, f"{error}", _restore(ledger)) from error


def _same(ledger: Ledger, file: str, path: Path, expected: str, where: str) -> None:
    found = durable.file_sha256(path)
    if found != expected:
        raise BrokenError(
            file, f"has sha256 {found}, expected {expected} {where}", _restore(ledger)
        )


def _files(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*")) if path.is_file() or path.is_symlink()]


def _name(ledger: Ledger, path: Path) -> str:
    return path.relative_to(ledger.root).as_posix()


def _named_in(ledger: Ledger, error: Exception) -> tuple[str, str, str]:
    path, _, what = str(error).partition(" is ")
    return Path(path).relative_to(ledger.root).as_posix(), f"is {what}", _restore(ledger)


def _after_name(text: str) -> str:
    return text.partition(": ")[2]


def _restore(ledger: Ledger) -> str:
    return f"Restore {ledger.root} from its backup."


def _recover(ledger: Ledger) -> str:
    return (
        "If a run was killed, closing the last period again (`muster close PERIOD`) completes or "
        f"clears what it left. If none was, somebody changed it: {_restore(ledger)}"
    )
