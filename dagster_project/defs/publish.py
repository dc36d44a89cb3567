"""`published`: what analysts read, replaced when everything before it was good.

Copying is `lib/publish.py`; here is what has to be true first.
"""

import dagster as dg

from dagster_project.defs import invoices, reference, writer
from dagster_project.defs.warehouse import MARTS, build_models, raise_if_broken
from dagster_project.lib import charts, dbt, documentation, operations, publish, warehouse
from dagster_project.lib.settings import Settings

PUBLISHED = dg.AssetKey(["published"])

# A run with this tag publishes even when the same is published already.
AGAIN = "musterhouse/publish_again"


def build(settings: Settings, models: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Depends on every mart, and on the exports where a run has them."""
    marts = sorted(key for key in models.keys if key.path[0] in MARTS)

    @dg.asset(
        key=PUBLISHED,
        deps=[*marts, *reference.KEYS, invoices.EXPORTS],
        group_name="published",
        kinds={"duckdb", "parquet"},
        pool=writer.POOL,
        required_resource_keys={writer.RESOURCE},
        description="The marts as a read-only DuckDB file and as Parquet, swapped in by a rename.",
    )
    def published(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with writer.told_in_words():
            rebuilt = _rebuild_after_issue(settings, context)
            again = AGAIN in context.run.tags
            told = dbt.descriptions(settings)
            done = publish.publish(
                settings,
                context.run_id[:8],
                told,
                again=again,
                pages=lambda: (documentation.write(settings), operations.write(settings)),
            )
        rows = [(mart.schema, mart.table, mart.rows) for mart in done.marts]
        return dg.MaterializeResult(
            metadata={
                "tables": len(done.marts),
                "rows": sum(mart.rows for mart in done.marts),
                "new": done.is_new,
                "models rebuilt after issuing": rebuilt,
                "page": dg.MetadataValue.path(str(settings.published / operations.PAGE)),
                "database": dg.MetadataValue.path(str(done.database)),
                "marts": dg.MetadataValue.md(charts.table(["schema", "table", "rows"], rows)),
            }
        )

    return published


def _rebuild_after_issue(settings: Settings, context: dg.AssetExecutionContext) -> int:
    """Build again what reads the ledger, if invoices were issued since the models were built.

    Otherwise the publication would show an issued period as a draft until tomorrow's run, and a
    rebuild from archive and ledger would give other marts than the ones published.
    """
    from invoicing.ledger import Ledger

    with warehouse.connect(settings) as conn:
        before = warehouse.built_from(conn)
        Ledger(settings.ledger).load_into(conn)
        now = warehouse.inputs(conn, settings)
    only_the_ledger = (
        before is not None
        and before != now
        and before.version_set_sha256 == now.version_set_sha256
        and before.models_sha256 == now.models_sha256
    )
    if not only_the_ledger:
        return 0
    context.log.info("Invoices were issued: building again what reads the ledger")
    results = build_models(settings, context, select=["source:ledger+"], is_complete=True)
    raise_if_broken(results, settings)
    return sum(result.outcome == "built" for result in results)
