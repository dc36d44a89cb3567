"""Great Expectations on the draft that is about to become invoices: the last look before money.

Only this boundary: inside the warehouse dbt tests validate. Money is compared as whole
thousandths of a currency unit, exactly, and Great Expectations is imported where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from invoicing.checks import CheckResult, Severity

# What each result is called and what it promises; known before anything is run.
EXPECTATIONS: Mapping[str, str] = {
    "line_quantity_within_bounds": "Every line has 1 to largest_quantity units.",
    "line_amount_within_bounds": "Every line amounts to 0 to largest_amount.",
    "line_amount_in_whole_minor_units": "Every amount is rounded to its currency (R19).",
    "line_unit_price_present": "Every line that is not graduated has a unit price.",
    "line_unique_per_partner_and_product": "One line per partner and product (R20).",
    "line_customers_add_up_to_quantity": "Customers add up to their line's quantity (R17).",
    "line_customers_add_up_to_amount": "Customers add up to their line's amount (R17).",
    "line_partner_id_present": "Every line has a partner.",
    "line_partner_name_present": "Every line has the partner's name.",
    "line_product_code_present": "Every line has a product.",
    "line_product_name_present": "Every line has the product's name.",
    "line_billing_unit_present": "Every line has a billing unit (R4).",
    "line_sku_present": "Every line has a stock keeping unit.",
    "line_quantity_present": "Every line has a quantity.",
    "line_amount_present": "Every line has an amount.",
    "invoice_amount_within_bounds": "Every invoice amounts to 0 to largest_amount.",
    "invoice_total_is_sum_of_lines": "Every invoice's total is the sum of its lines (R19).",
    "invoice_counts_its_lines": "Every invoice has as many lines as it says.",
    "invoice_unique_per_distributor_and_currency": "One invoice per distributor and currency.",
    "invoice_distributor_name_present": "Every invoice has the distributor's name.",
    "invoice_cutoff_on_present": "Every invoice has a cut-off.",
    "invoice_version_set_sha256_present": "Every invoice names its version set (R22).",
    "invoice_amount_present": "Every invoice has a total.",
}

_ROWS_NAMED = 3
_LINE = ("distributor_id", "currency", "line_number", "partner_id", "product_code")
_HEADER = ("distributor_id", "currency")
_BOUNDS = ("largest_quantity", "largest_amount")

# Every amount column is DECIMAL(18,3), so thousandths are whole numbers for any currency.
_LINES_QUERY = """
    with customers as (
        select
            period, distributor_id, currency, line_number,
            sum(quantity)::bigint as quantity, (sum(amount) * 1000)::bigint as thousandths
        from billing.draft_invoice_customers
        where line_number is not null
        group by all
    )

    select
        line.period, line.distributor_id, line.currency, line.line_number,
        line.partner_id, line.partner_name, line.product_code, line.product_name,
        line.billing_unit, line.sku, line.pricing_model,
        line.quantity, (line.amount * 1000)::bigint as thousandths,
        (line.amount * 1000)::bigint
            % (case header.minor_units when 0 then 1000 when 1 then 100 when 2 then 10 else 1 end)
            as below_minor_unit,
        line.unit_price::varchar as unit_price,
        coalesce(customers.quantity, 0) as customers_quantity,
        coalesce(customers.thousandths, 0) as customers_thousandths
    from billing.draft_invoice_lines as line
    left join billing.draft_invoices as header using (period, distributor_id, currency)
    left join customers using (period, distributor_id, currency, line_number)
    where line.period = ?
    order by line.distributor_id, line.currency, line.line_number
"""
_HEADERS_QUERY = """
    with lines as (
        select
            period, distributor_id, currency,
            count(*) as line_count, (sum(amount) * 1000)::bigint as thousandths
        from billing.draft_invoice_lines
        group by all
    )

    select
        header.period, header.distributor_id, header.currency, header.distributor_name,
        header.cutoff_on::varchar as cutoff_on, header.version_set_sha256,
        header.line_count, coalesce(lines.line_count, 0) as lines_found,
        (header.total_amount * 1000)::bigint as thousandths,
        coalesce(lines.thousandths, 0) as lines_thousandths
    from billing.draft_invoices as header
    left join lines using (period, distributor_id, currency)
    where header.period = ?
    order by header.distributor_id, header.currency
"""


@dataclass(frozen=True)
class _Check:
    """One expectation over one frame, and how its failing rows are told to a clerk."""

    name: str
    expectation: Any
    describe: Callable[[dict[str, Any]], str]
    advice: str
    severity: Severity = "blocking"


def validate_draft(conn: duckdb.DuckDBPyConnection, period: str) -> list[CheckResult]:
    """Validate the draft of a period; one result per entry of EXPECTATIONS, in that order.

    Reads draft_invoices, draft_invoice_lines, draft_invoice_customers and draft_safety_bounds of
    schema billing. A swing against the period before is a discrepancy, which a person can waive,
    and no expectation. Every failure is blocking: a draft beyond a safety bound is parked, not
    exported. Raises ValueError when a safety bound is missing.
    """
    bounds = _bounds(conn)
    lines = _frame(conn, _LINES_QUERY, [period])
    headers = _frame(conn, _HEADERS_QUERY, [period])
    results = [
        *_validate(lines, "line", _LINE, _line_checks(bounds)),
        *_validate(headers, "invoice", _HEADER, _header_checks(bounds)),
    ]
    by_name = {result.name: result for result in results}
    return [by_name[name] for name in EXPECTATIONS]


def _line_checks(bounds: dict[str, Decimal]) -> list[_Check]:
    gxe = _gx_expectations()
    quantity, amount = int(bounds["largest_quantity"]), int(bounds["largest_amount"])
    identity = ("partner_id", "partner_name", "product_code", "product_name", "billing_unit")
    figures = ("sku", "quantity", "thousandths")
    return [
        _Check(
            "line_quantity_within_bounds",
            gxe.ExpectColumnValuesToBeBetween(column="quantity", min_value=1, max_value=quantity),
            lambda row: f"has the quantity {row['quantity']}, allowed are 1 to {quantity}",
            "Check the usage files; if the figure is right, raise largest_quantity in "
            "seeds/safety_bounds.csv.",
        ),
        _Check(
            "line_amount_within_bounds",
            gxe.ExpectColumnValuesToBeBetween(
                column="thousandths", min_value=0, max_value=amount * 1000
            ),
            lambda row: f"has the amount {_money(row['thousandths'])}, allowed are 0 to {amount}",
            "Check quantity and price band; if the figure is right, raise largest_amount in "
            "seeds/safety_bounds.csv.",
        ),
        _Check(
            "line_amount_in_whole_minor_units",
            gxe.ExpectColumnValuesToBeInSet(column="below_minor_unit", value_set=[0]),
            lambda row: f"has the amount {_money(row['thousandths'])}, finer than the currency",
            "The rounding of R19 did not happen; report it as a fault of the billing marts.",
        ),
        _Check(
            "line_unit_price_present",
            gxe.ExpectColumnValuesToNotBeNull(
                column="unit_price",
                row_condition=_gx_column("pricing_model") != "graduated",
            ),
            lambda _: "has no unit price",
            "Add the price that is valid on the cut-off to seeds/price_bands.csv.",
        ),
        _Check(
            "line_unique_per_partner_and_product",
            gxe.ExpectCompoundColumnsToBeUnique(
                column_list=[
                    "period",
                    "distributor_id",
                    "currency",
                    "partner_id",
                    "product_code",
                ]
            ),
            lambda _: "occurs more than once",
            "Look for overlapping versions in seeds/products.csv and seeds/price_bands.csv.",
        ),
        _Check(
            "line_customers_add_up_to_quantity",
            gxe.ExpectColumnPairValuesToBeEqual(column_A="quantity", column_B="customers_quantity"),
            lambda row: (
                f"has the quantity {row['quantity']}, its customers {row['customers_quantity']}"
            ),
            "Report it as a fault of the billing marts.",
        ),
        _Check(
            "line_customers_add_up_to_amount",
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="thousandths", column_B="customers_thousandths"
            ),
            lambda row: (
                f"has the amount {_money(row['thousandths'])}, its customers "
                f"{_money(row['customers_thousandths'])}"
            ),
            "Report it as a fault of the billing marts.",
        ),
        *(_not_null("line", column) for column in (*identity, *figures)),
    ]


def _header_checks(bounds: dict[str, Decimal]) -> list[_Check]:
    gxe = _gx_expectations()
    amount = int(bounds["largest_amount"])
    return [
        _Check(
            "invoice_amount_within_bounds",
            gxe.ExpectColumnValuesToBeBetween(
                column="thousandths", min_value=0, max_value=amount * 1000
            ),
            lambda row: f"has the total {_money(row['thousandths'])}, allowed are 0 to {amount}",
            "Check the lines; if the figure is right, raise largest_amount in "
            "seeds/safety_bounds.csv.",
        ),
        _Check(
            "invoice_total_is_sum_of_lines",
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="thousandths", column_B="lines_thousandths"
            ),
            lambda row: (
                f"has the total {_money(row['thousandths'])}, its lines "
                f"{_money(row['lines_thousandths'])}"
            ),
            "Report it as a fault of the billing marts.",
        ),
        _Check(
            "invoice_counts_its_lines",
            gxe.ExpectColumnPairValuesToBeEqual(column_A="line_count", column_B="lines_found"),
            lambda row: f"counts {row['line_count']} lines, but has {row['lines_found']}",
            "Report it as a fault of the billing marts.",
        ),
        _Check(
            "invoice_unique_per_distributor_and_currency",
            gxe.ExpectCompoundColumnsToBeUnique(
                column_list=["period", "distributor_id", "currency"]
            ),
            lambda _: "occurs more than once",
            "Look for overlapping versions in seeds/distributors.csv and seeds/seller.csv.",
        ),
        *(
            _not_null("invoice", column)
            for column in ("distributor_name", "cutoff_on", "version_set_sha256", "thousandths")
        ),
    ]


def _not_null(what: str, column: str) -> _Check:
    gxe = _gx_expectations()
    label = {"thousandths": "amount"}.get(column, column)
    return _Check(
        f"{what}_{label}_present",
        gxe.ExpectColumnValuesToNotBeNull(column=column),
        lambda _: f"has no {label}",
        "Complete the reference data in seeds/ or the registry feed it comes from.",
    )


def _validate(
    frame: Any, what: str, key: tuple[str, ...], checks: list[_Check]
) -> list[CheckResult]:
    # No telemetry, no progress bars: the result is all anybody should see.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("draft")
        .add_dataframe_asset(what)
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": frame.assign(position=range(len(frame)))})
    )
    rows: list[dict[str, Any]] = frame.to_dict("records")
    shape = {"result_format": "COMPLETE", "unexpected_index_column_names": ["position"]}
    return [
        _result(check, batch.validate(check.expectation, result_format=shape), rows, what, key)
        for check in checks
    ]


def _result(
    check: _Check, validation: Any, rows: list[dict[str, Any]], what: str, key: tuple[str, ...]
) -> CheckResult:
    success = bool(validation.success)
    checked = f"{len(rows)} {what}{'' if len(rows) == 1 else 's'} checked."
    if success:
        return CheckResult(check.name, True, check.severity, (), checked)
    indices = validation.result.get("unexpected_index_list")
    if not indices:
        detail = f"it could not run: {validation.exception_info}"
        return CheckResult(check.name, False, check.severity, (), detail)
    failing = [rows[int(index["position"])] for index in indices]
    named = "; ".join(
        " ".join([*(str(row[column]) for column in key), check.describe(row)])
        for row in failing[:_ROWS_NAMED]
    )
    more = f"; and {len(failing) - _ROWS_NAMED} more" if len(failing) > _ROWS_NAMED else ""
    return CheckResult(
        name=check.name,
        success=False,
        severity=check.severity,
        distributors=tuple(sorted({str(row["distributor_id"]) for row in failing})),
        detail=f"{len(failing)} of {checked} {named}{more}. {check.advice}",
    )


def _gx_expectations() -> Any:
    # Untyped on purpose: the package does not mark what it exports.
    import great_expectations.expectations as gxe

    return gxe


def _gx_column(name: str) -> Any:
    from great_expectations.expectations.row_conditions import Column

    return Column(name)


def _frame(conn: duckdb.DuckDBPyConnection, query: str, parameters: Any) -> Any:
    """Query rows as pandas objects: whole numbers stay exact and a null stays a null.

    A nullable integer column would do for one column, but breaks the comparison of two.
    """
    import pandas as pd  # type: ignore[import-untyped]  # it ships no types

    cursor = conn.execute(query, parameters)
    names = [column[0] for column in cursor.description or []]
    return pd.DataFrame(cursor.fetchall(), columns=names, dtype="object")


def _bounds(conn: duckdb.DuckDBPyConnection) -> dict[str, Decimal]:
    found = conn.execute("select bound, value::varchar from billing.draft_safety_bounds").fetchall()
    bounds = {bound: Decimal(value) for bound, value in found}
    missing = [bound for bound in _BOUNDS if bound not in bounds]
    if missing:
        raise ValueError(f"seeds/safety_bounds.csv has no value for {', '.join(missing)}.")
    return bounds


def _has_ledger(conn: duckdb.DuckDBPyConnection) -> bool:
    tables = conn.execute(
        """
        select count(*) from information_schema.tables
        where table_schema = 'ledger' and table_name in ('documents', 'lines')
        """
    ).fetchall()
    return int(tables[0][0]) == 2


def _money(thousandths: int | None) -> str:
    return "nothing" if thousandths is None else f"{Decimal(thousandths) / 1000:.3f}"
