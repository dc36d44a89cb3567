"""Our counts beside somebody else's: reading their file, asking the publication for the split.

What the causes are and how a difference splits is SQL (`quality.split_differences` and its like);
how it looks in a terminal is the command's.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import duckdb

# In the order of docs/disputes.md, which is that of the macro `causes`.
CAUSES = (
    "cutoff",
    "window",
    "time_zone",
    "trial",
    "term",
    "unlicensed",
    "outside_programme",
    "move",
    "identity",
    "late_data",
    "retired_product",
    "unmatched_id",
    "no_monthly_licence",
    "joined",
    "left",
    "unexplained",
)

# More faults of one file than this say less.
_FAULTS_TOLD = 20

_KEY = ("customer_id", "product_code")
_DIGITS = re.compile(r"[0-9]{1,15}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class CompareError(RuntimeError):
    """Nothing was compared; the message says why, for a file by line and column."""


@dataclass(frozen=True)
class Scope:
    """Which of our bills are compared; None is all."""

    period: str
    distributor_id: str | None = None
    partner_id: str | None = None


@dataclass(frozen=True)
class Cause:
    """Units of a difference with one cause, positive where the other side counts more."""

    cause: str
    units: int
    evidence: str


@dataclass(frozen=True)
class Difference:
    """One customer and product: theirs less ours, and the causes, which add up to it.

    other_fits is how many other sets of as many causes would add up as well.
    """

    distributor_id: str | None
    partner_id: str | None
    customer_id: str
    customer_name: str | None
    product_code: str
    counted_on: date | None
    ours: int
    theirs: int
    difference: int
    other_fits: int
    causes: tuple[Cause, ...]


@dataclass(frozen=True)
class Total:
    """One cause over all differences: in how many, and by how many units more and fewer."""

    cause: str
    differences: int
    more: int
    fewer: int
    units: int


@dataclass(frozen=True)
class Comparison:
    """What was compared with what, and every difference with its causes.

    agree        customers and products without a difference
    left_out     rows of the file whose customers are on other bills than the scope's
    issued_apart lines issued with another quantity than the one compared, which is as known now
    totals       per cause, in the order of CAUSES
    """

    period: str
    against: str
    agree: int
    left_out: int
    issued_apart: int
    differences: tuple[Difference, ...]
    totals: tuple[Total, ...]


@dataclass(frozen=True)
class Listed:
    """One row of a file: a count, or one unit."""

    customer_id: str
    product_code: str
    quantity: int | None
    unit_id: str | None
    counted_on: date | None


def read_file(path: Path) -> tuple[Literal["counts", "units"], list[Listed]]:
    """The rows of a CSV with customer_id, product_code and either quantity or unit_id.

    A column counted_on (a date, empty for the cut-off) may be there too; columns stand in any
    order, and spaces around a value say nothing. Raises CompareError that names every fault by
    line and column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CompareError(
            f"{path} is not UTF-8: byte {error.start} cannot be read. Save it as CSV UTF-8."
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    faults: list[str] = []
    rows: list[Listed] = []
    seen: dict[tuple[str, ...], list[int]] = defaultdict(list)
    kind: Literal["counts", "units"] = "counts"
    try:
        header = next(reader, [])
        kind = _kind(path, header)
        for values in reader:
            # The line the record ends on is where a person finds it; records rarely span lines.
            line = reader.line_num
            if not values:
                continue
            if len(values) != len(header):
                faults.append(f"line {line}: {len(values)} fields, the header has {len(header)}")
                continue
            row = _row(dict(zip(header, (value.strip() for value in values), strict=True)))
            if isinstance(row, list):
                faults += [f"line {line}, {fault}" for fault in row]
                continue
            rows.append(row)
            key = (row.customer_id, row.product_code)
            seen[key if row.unit_id is None else (*key, row.unit_id)].append(line)
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: {error}")
    faults += [
        f"lines {', '.join(map(str, lines))}: {' '.join(key)} is there {len(lines)} times"
        for key, lines in seen.items()
        if len(lines) > 1
    ]
    if faults:
        more = f"\n  and {len(faults) - _FAULTS_TOLD} more" if len(faults) > _FAULTS_TOLD else ""
        raise CompareError(
            f"{path} cannot be compared:\n  " + "\n  ".join(faults[:_FAULTS_TOLD]) + more
        )
    if not rows:
        raise CompareError(f"{path} has no rows. Give a line for each customer and product.")
    return kind, rows


def _kind(path: Path, header: list[str]) -> Literal["counts", "units"]:
    wanted = "customer_id, product_code, then quantity or unit_id, and optionally counted_on"
    known = (*_KEY, "quantity", "unit_id", "counted_on")
    strange = [name for name in header if name not in known]
    repeated = sorted({name for name in header if header.count(name) > 1})
    missing = [name for name in _KEY if name not in header]
    has = [name for name in ("quantity", "unit_id") if name in header]
    if strange or repeated or missing or len(has) != 1:
        faults = [
            *(f"column {name!r} is not known" for name in strange),
            *(f"column {name} is there twice" for name in repeated),
            *(f"column {name} is missing" for name in missing),
            *(["quantity and unit_id are both missing"] if not has else []),
            *(["quantity and unit_id are both there: give one"] if len(has) == 2 else []),
        ]
        raise CompareError(f"{path}, line 1: {'; '.join(faults)}. Its columns must be {wanted}.")
    return "units" if has == ["unit_id"] else "counts"


def _row(values: dict[str, str]) -> Listed | list[str]:
    """The typed row, or what is wrong with it, each fault beginning with its column."""
    faults = [f"{name}: empty" for name in (*_KEY, "quantity", "unit_id") if values.get(name) == ""]
    quantity = values.get("quantity")
    if quantity and not _DIGITS.fullmatch(quantity):
        faults.append(f"quantity: {quantity!r} is not a whole number of at most 15 digits")
    counted_on = None
    if values.get("counted_on"):
        try:
            if not _DATE.fullmatch(values["counted_on"]):
                raise ValueError
            counted_on = date.fromisoformat(values["counted_on"])
        except ValueError:
            faults.append(f"counted_on: {values['counted_on']!r} is not a date such as 2026-01-31")
    if faults:
        return faults
    return Listed(
        customer_id=values["customer_id"],
        product_code=values["product_code"],
        quantity=int(quantity) if quantity else None,
        unit_id=values.get("unit_id"),
        counted_on=counted_on,
    )


def with_published(
    conn: duckdb.DuckDBPyConnection, scope: Scope, against: Literal["portal", "psa"]
) -> Comparison:
    """Against the portal or the PSAs, on their snapshot of the cut-off or the latest before it.

    Raises CompareError when the period is not drafted, or the other side says nothing about it.
    """
    _check(conn, scope)
    conn.execute(
        """
        create or replace temp table split as
        select differences.*, causes.cause, causes.units, causes.other_fits, causes.evidence
        from quality.count_differences as differences
        left join quality.difference_causes as causes
            on differences.against = causes.against
            and differences.period = causes.period
            and differences.distributor_id is not distinct from causes.distributor_id
            and differences.customer_id = causes.customer_id
            and differences.product_code = causes.product_code
        where differences.against = $against and differences.period = $period
            and ($distributor is null or differences.distributor_id = $distributor)
            and ($partner is null or differences.partner_id = $partner)
        """,
        {**_parameters(scope), "against": against},
    )
    if not _number(conn, "select count(*) from split"):
        raise CompareError(
            f"The {against} says nothing about {_in_words(scope)}: no snapshot of it is dated up "
            "to the cut-off, or it knows none of these customers. Have one delivered, or compare "
            "more with it."
        )
    return _comparison(conn, scope, against)


def with_file(conn: duckdb.DuckDBPyConnection, scope: Scope, path: Path) -> Comparison:
    """Against the counts or the units of a CSV file (`read_file`).

    Rows of customers that are on other bills than the scope's are left out; rows of customers on
    nobody's bill stay in. Raises CompareError when the file is faulty, lists nobody in the scope,
    or the period is not drafted.
    """
    kind, rows = read_file(path)
    _check(conn, scope)
    conn.execute(
        """
        create or replace temp table listed (
            customer_id varchar, product_code varchar, quantity bigint, unit_id varchar,
            counted_on date
        )
        """
    )
    conn.executemany(
        "insert into listed values (?, ?, ?, ?, ?)",
        [
            (row.customer_id, row.product_code, row.quantity, row.unit_id, row.counted_on)
            for row in rows
        ],
    )
    conn.execute(
        f"""
        create or replace temp table asked as
        with accounts as (select * from quality.customer_accounts where period = $period)
        select $period as period, $distributor as distributor_id, $partner as partner_id,
            customer_id, product_code, {"quantity" if kind == "counts" else "unit_id"}, counted_on
        from listed
        where customer_id not in (select customer_id from accounts)
            or customer_id in (
                select customer_id from accounts
                where distributor_id = coalesce($distributor, distributor_id)
                    and partner_id = coalesce($partner, partner_id)
            )
        """,
        _parameters(scope),
    )
    asked = _number(conn, "select count(*) from asked")
    if not asked:
        raise CompareError(
            f"{path} lists no customer of {_in_words(scope)}. Leave --distributor and --partner "
            "away, or give their file."
        )
    if kind == "counts":
        conn.execute(
            "create or replace temp table split as from quality.split_differences('asked')"
        )
    else:
        conn.execute("create or replace temp table units as from quality.split_units('asked')")
        _sum_up_units(conn)
    return _comparison(conn, scope, str(path), left_out=len(rows) - asked)


def with_period(conn: duckdb.DuckDBPyConnection, scope: Scope, other: str) -> Comparison:
    """Against another period of our own, unit by unit; its units are "theirs".

    Raises CompareError when one of the two is not drafted, or both are the same.
    """
    if other == scope.period:
        raise CompareError(f"{other} does not differ from itself. Give another period.")
    _check(conn, scope)
    _check(conn, Scope(other))
    conn.execute(
        """
        create or replace temp table units as
        select *, cast(null as date) as counted_on
        from quality.split_periods($period, $other, $distributor, $partner)
        """,
        {**_parameters(scope), "other": other},
    )
    _sum_up_units(conn)
    return _comparison(conn, scope, f"period:{other}")


def _sum_up_units(conn: duckdb.DuckDBPyConnection) -> None:
    """`split` from `units`: what each side counts, and per cause how many units and which."""
    conn.execute(
        """
        create or replace temp table split as
        with
            counts as (
                select
                    customer_id,
                    product_code,
                    coalesce(
                        min(distributor_id) filter (where side <> 'theirs'), min(distributor_id)
                    ) as distributor_id,
                    coalesce(
                        min(partner_id) filter (where side <> 'theirs'), min(partner_id)
                    ) as partner_id,
                    max(counted_on) as counted_on,
                    count(*) filter (where side <> 'theirs') as our_quantity,
                    count(*) filter (where side <> 'ours') as their_quantity
                from units
                group by customer_id, product_code
            ),
            reasons as (
                select
                    customer_id,
                    product_code,
                    cause,
                    evidence,
                    cast(sum(units) as bigint) as units,
                    list_sort(list(unit_id)) as unit_ids
                from units
                where cause is not null
                group by customer_id, product_code, cause, evidence
            ),
            causes as (
                select
                    customer_id,
                    product_code,
                    cause,
                    cast(sum(units) as bigint) as units,
                    list(
                        concat(
                            evidence,
                            ': ',
                            array_to_string(unit_ids[1:3], ', '),
                            case when len(unit_ids) > 3
                                then concat(' and ', len(unit_ids) - 3, ' others') end
                        )
                        order by len(unit_ids) desc, evidence
                    ) as reasons
                from reasons
                group by customer_id, product_code, cause
                having sum(units) <> 0
            )
        select
            counts.*,
            their_quantity - our_quantity as difference,
            causes.cause,
            causes.units,
            0 as other_fits,
            concat(
                array_to_string(reasons[1:3], '; '),
                case when len(reasons) > 3
                    then concat('; and ', len(reasons) - 3, ' more such reasons') end,
                '.'
            ) as evidence
        from counts
        left join causes using (customer_id, product_code)
        """
    )


def _comparison(
    conn: duckdb.DuckDBPyConnection, scope: Scope, against: str, left_out: int = 0
) -> Comparison:
    """What stands in `split`, a row per cause, and one for each row that agrees."""
    rows = conn.execute(
        """
        with names as (
            select customer_id, min(customer_name) as customer_name
            from quality.customer_accounts
            where period = $period
            group by customer_id
        )
        select distributor_id, partner_id, customer_id, customer_name, product_code, counted_on,
            our_quantity, their_quantity, difference, coalesce(max(other_fits), 0),
            list({'cause': cause, 'units': units, 'evidence': evidence}
                order by list_position($causes, cause)) filter (where cause is not null)
        from split
        left join names using (customer_id)
        group by all
        order by distributor_id, partner_id, customer_id, product_code
        """,
        {"period": scope.period, "causes": list(CAUSES)},
    ).fetchall()
    differences = tuple(_difference(row) for row in rows if row[-1])
    return Comparison(
        period=scope.period,
        against=against,
        agree=len(rows) - len(differences),
        left_out=left_out,
        issued_apart=_issued_apart(conn, scope),
        differences=differences,
        totals=_totals(differences),
    )


def _difference(row: tuple[Any, ...]) -> Difference:
    *values, causes = row
    names = [field.name for field in fields(Difference)][:-1]
    return Difference(
        **dict(zip(names, values, strict=True)), causes=tuple(Cause(**cause) for cause in causes)
    )


def _totals(differences: tuple[Difference, ...]) -> tuple[Total, ...]:
    units: dict[str, list[int]] = defaultdict(list)
    for difference in differences:
        for cause in difference.causes:
            units[cause.cause].append(cause.units)
    return tuple(
        Total(
            cause=cause,
            differences=len(units[cause]),
            more=sum(one for one in units[cause] if one > 0),
            fewer=-sum(one for one in units[cause] if one < 0),
            units=sum(units[cause]),
        )
        for cause in CAUSES
        if cause in units
    )


def _issued_apart(conn: duckdb.DuckDBPyConnection, scope: Scope) -> int:
    return _number(
        conn,
        """
        with
            issued as (
                select distributor_id, currency, partner_id, product_code,
                    sum(quantity) as quantity
                from billing.issued_invoice_lines
                where period = $period
                group by all
            ),
            drafted as (
                select distributor_id, currency, partner_id, product_code, quantity
                from billing.draft_invoice_lines
                where period = $period
                    and (distributor_id, currency) in (
                        select (distributor_id, currency) from billing.issued_invoices
                        where period = $period
                    )
            )
        select count(*)
        from issued
        full join drafted using (distributor_id, currency, partner_id, product_code)
        where coalesce(issued.quantity, 0) <> coalesce(drafted.quantity, 0)
            and ($distributor is null or distributor_id = $distributor)
            and ($partner is null or partner_id = $partner)
        """,
        _parameters(scope),
    )


def _check(conn: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    """Raise CompareError, saying what there is, when no bill is in the scope."""
    accounts = "from quality.customer_accounts where period = $period"
    parameters = {"period": scope.period}
    drafted = _texts(conn, "select distinct period from quality.customer_accounts", {})
    if scope.period not in drafted:
        raise CompareError(
            f"{scope.period} is not drafted. Give one of {', '.join(drafted) or 'none yet'}. "
            "Months that can no longer be corrected are only in the ledger: `muster explain`."
        )
    distributors = _texts(conn, f"select distinct distributor_id {accounts}", parameters)
    if scope.distributor_id not in (None, *distributors):
        raise CompareError(
            f"Distributor {scope.distributor_id!r} has no draft of {scope.period}. Give one of "
            f"{', '.join(distributors)}."
        )
    in_scope = f"{accounts} and distributor_id = coalesce($distributor, distributor_id)"
    partners = _texts(
        conn,
        f"select distinct partner_id {in_scope}",
        {**parameters, "distributor": scope.distributor_id},
    )
    if scope.partner_id not in (None, *partners):
        raise CompareError(
            f"Partner {scope.partner_id!r} has no customer in "
            f"{_in_words(Scope(scope.period, scope.distributor_id))}. Give one of "
            f"{', '.join(partners)}."
        )


def _in_words(scope: Scope) -> str:
    parts = [scope.period, scope.distributor_id, scope.partner_id]
    return " ".join(part for part in parts if part)


def _parameters(scope: Scope) -> dict[str, str | None]:
    return {
        "period": scope.period,
        "distributor": scope.distributor_id,
        "partner": scope.partner_id,
    }


def _number(
    conn: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, str | None] | None = None
) -> int:
    return int(conn.execute(query, parameters or {}).fetchall()[0][0])


def _texts(
    conn: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, str | None]
) -> list[str]:
    return [text for (text,) in conn.execute(f"{query} order by 1", parameters).fetchall()]
