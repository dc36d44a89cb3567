"""Great Expectations as asset checks: the landed volumes, and the draft about to be invoices.

What is expected is said in `ingest.volumes` and `invoicing.expectations`; here only who shows it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.defs import raw, writer
from dagster_project.lib import checked, model_checks, unused, warehouse
from dagster_project.lib.settings import Settings
from ingest.contracts import FEEDS

if TYPE_CHECKING:
    import duckdb

    from ingest.volumes import VolumeResult
    from invoicing.checks import CheckResult

# Checks are declared before anything runs, so the names are repeated here; a result with another
# name ends the run, and a test compares both lists with what the expectations return.
VOLUMES: Mapping[str, str] = {
    "rows_add_up": "Rows in the file = accepted + quarantined + exact duplicates, for every file.",
    "volume_swing": "No file is far from the median of its source's seven days before.",
    "quarantine_share": "Few rows of a file are quarantined.",
}
_LINE_COLUMNS = (
    "partner_id",
    "partner_name",
    "product_code",
    "product_name",
    "billing_unit",
    "sku",
    "quantity",
    "amount",
)
_INVOICE_COLUMNS = ("distributor_name", "cutoff_on", "version_set_sha256", "amount")
DRAFT: Mapping[str, str] = {
    "line_quantity_within_bounds": "No line's quantity is beyond the safety bound.",
    "line_amount_within_bounds": "No line's amount is beyond the safety bound.",
    "line_amount_in_whole_minor_units": "Every amount is rounded to its currency (R19).",
    "line_unit_price_present": "Every line has its price (R18).",
    "line_unique_per_partner_and_product": "One line per partner and product (R20).",
    "line_customers_add_up_to_quantity": "The customers of a line add up to its quantity (R17).",
    "line_customers_add_up_to_amount": "The customers of a line add up to its amount (R17).",
    **{f"line_{name}_present": f"Every line has its {name}." for name in _LINE_COLUMNS},
    "invoice_amount_within_bounds": "No invoice's amount is beyond the safety bound.",
    "invoice_total_is_sum_of_lines": "Every invoice's total is the sum of its lines (R19).",
    "invoice_counts_its_lines": "Every invoice has the number of lines it says.",
    "invoice_unique_per_distributor_and_currency": "One invoice per distributor, currency (R20).",
    **{f"invoice_{name}_present": f"Every invoice has its {name}." for name in _INVOICE_COLUMNS},
}

USAGE = raw.feed_key("usage")

_SERIOUS = ("critical", "blocking")


def landed_volumes(settings: Settings) -> dg.AssetChecksDefinition:
    """What was landed, before anything is built on it. Shown on the feed that decides most."""
    feeds = [raw.feed_key(feed) for feed in FEEDS]

    @dg.multi_asset_check(
        name="landed_volumes",
        specs=[
            dg.AssetCheckSpec(
                name=name,
                asset=USAGE,
                additional_deps=[key for key in feeds if key != USAGE],
                description=description,
            )
            for name, description in VOLUMES.items()
        ],
        pool=writer.POOL,
        required_resource_keys={writer.RESOURCE},
    )
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from ingest.reference import safety_bounds
        from ingest.volumes import validate_volumes

        unused.leave_out()
        with writer.told_in_words(), warehouse.connect(settings) as conn:
            results = validate_volumes(conn, safety_bounds(settings.home))
            checked.keep(settings, "volumes", results)
            # None blocks the run, here and below: the gate holds those whose files failed (R22).
            model_checks.keep(
                conn,
                "volumes",
                [_of_files(conn, one) for one in results if one.severity in _SERIOUS],
                every=True,
            )
        for result in results:
            is_serious = result.severity in _SERIOUS
            yield _result(USAGE, result.name, result.success, is_serious, result.detail)
        _all_declared([result.name for result in results], VOLUMES)

    return check


def _of_files(conn: "duckdb.DuckDBPyConnection", result: "VolumeResult") -> "CheckResult":
    """An expectation on landed files as the gate reads it, with those whose customers they name."""
    from invoicing.checks import CheckResult

    whose = []
    for feed, source in result.failing:
        rows = model_checks.rows_found(
            conn, f"""select * from raw.{feed} where source = '{source.replace("'", "''")}'"""
        )
        whose.append(model_checks.whose(conn, rows))
    distributors = sorted({one for owners in whose for one in owners}) if all(whose) else []
    return CheckResult(result.name, result.success, "blocking", tuple(distributors), result.detail)


def draft_specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The expectations on a draft, declared on the asset whose step looks at it.

    None blocks: a bad draft of one distributor must not stop another's invoice. The gate holds
    exactly the distributors whose rows failed.
    """
    return [
        dg.AssetCheckSpec(name=name, asset=asset, description=description)
        for name, description in DRAFT.items()
    ]


def draft_results(
    asset: dg.AssetKey, found: Mapping[str, Sequence["CheckResult"]]
) -> list[dg.AssetCheckResult]:
    """One result an expectation, over all periods that were looked at."""
    results = []
    for name in DRAFT:
        looked = [(period, one) for period in found for one in found[period] if one.name == name]
        failed = [(period, one) for period, one in looked if not one.success]
        told = "\n".join(f"{period}: {one.detail}" for period, one in failed or looked)
        is_serious = any(one.severity in _SERIOUS for _, one in failed)
        results.append(_result(asset, name, not failed, is_serious, told))
    _all_declared([one.name for period in found for one in found[period]], DRAFT)
    return results


def _result(
    asset: dg.AssetKey, name: str, passed: bool, is_serious: bool, detail: str
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=bool(passed),
        severity=dg.AssetCheckSeverity.ERROR if is_serious else dg.AssetCheckSeverity.WARN,
        description=detail or None,
    )


def _all_declared(names: Sequence[str], declared: Mapping[str, str]) -> None:
    unknown = sorted(set(names) - set(declared))
    if unknown:
        raise dg.Failure(
            description=f"Expectations that no check shows: {', '.join(unknown)}. "
            "Add them to dagster_project/defs/checks.py.",
            allow_retries=False,
        )
