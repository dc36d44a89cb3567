"""The dbt models and tests as assets and asset checks.

The mapping from dbt to Dagster only; the SQL is in `dbt/`, running it in `lib/dbt.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets

from dagster_project.defs import writer
from dagster_project.lib import alerts, checked, dbt, model_checks, spark, warehouse
from dagster_project.lib.dbt import NodeResult
from dagster_project.lib.settings import Settings

MARTS = ("activity", "billing", "quality")
LAYERS = ("staging", "intermediate", *MARTS)

# Where dagster-dbt keeps a node's id on the asset or check made from it.
_UNIQUE_ID = "dagster_dbt/unique_id"

_Event = dg.Output[None] | dg.AssetCheckResult


class Translator(DagsterDbtTranslator):
    """Key = schema and table, group = schema."""

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(group_name=spec.key.path[0])

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["alias"]])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        # Without the SQL, which the file named in the metadata shows better.
        return str(dbt_resource_props.get("description") or "")


def build(settings: Settings) -> dg.AssetsDefinition:
    """All dbt nodes as one step, as dbt orders them better than a run could."""

    @dbt_assets(
        manifest=dbt.manifest(settings),
        exclude=dbt.NOT_IN_PRODUCTION,
        name="models",
        dagster_dbt_translator=Translator(),
        pool=writer.POOL,
        required_resource_keys={writer.RESOURCE},
    )
    def models(context: dg.AssetExecutionContext) -> Iterator[_Event]:
        with writer.told_in_words():
            results = build_models(settings, context, select=_selection(context))
            with warehouse.connect(settings) as conn:
                counts = warehouse.row_counts(conn, MARTS)
        yield from _events(context, results, counts)
        raise_if_broken(results, settings)

    return models


def build_models(
    settings: Settings,
    context: dg.AssetExecutionContext,
    *,
    select: Sequence[str] = (),
    is_complete: bool | None = None,
) -> list[NodeResult]:
    """Give SQL the ledger as it is, build and test, and stamp what a complete build was made of.

    `is_complete` says whether everything stale is in the selection; by default that is when
    nothing was selected. What the tests found is kept for the gate.
    """
    from ingest.journal import Journal

    if not Journal(settings.journal).state().reference:
        raise dbt.DbtError(
            "Nothing has been received yet, so there is nothing to build from. "
            "Run `muster load`, or materialise reference/* and raw/* first."
        )
    with warehouse.connect(settings, makes_again=True) as conn:
        warehouse.bring_up_to_date(conn, settings, writer.progress(context.log))
        if not warehouse.is_built_by(conn, settings.engine):
            # What a selection reads is with the engine that built it: here all of it is built.
            select = ()
        complete = not select if is_complete is None else is_complete
        inputs = warehouse.inputs(conn, settings)
        if complete or warehouse.built_from(conn) != inputs:
            warehouse.stamp(conn, None)
        # After an upgrade, what is only ever added to would keep what the old SQL made of it.
        again = complete and not select and warehouse.needs_full_refresh(conn, inputs)
        if not select:
            warehouse.mark_built_by(conn, settings.engine)
        waiting = [] if select else warehouse.batches(conn, from_the_beginning=again)
    progress = writer.now_and_then(context.log)
    find: Callable[[str], model_checks.Rows] | None = None
    if settings.engine == "spark":
        results = spark.build(settings, select=select, complete=complete, progress=progress)
        find = spark.rows_found
    else:
        if again:
            context.log.info("Computing the whole history with the models as they are now")
        results = dbt.fold(settings, waiting, full_refresh=again, progress=progress)
        if dbt.are_built(results):
            if again and waiting:
                # From here on it is only added to: what ends the build costs no folding again.
                with warehouse.connect(settings) as conn:
                    warehouse.mark_refreshed(conn, inputs)
            results = dbt.build(
                settings,
                select=select,
                # The batches have begun from the beginning already.
                full_refresh=again and not waiting,
                progress=progress,
            )
    if not dbt.are_built(results):
        return results
    with warehouse.connect(settings) as conn:
        declared = [] if select else _declared(context)
        find = find or partial(model_checks.rows_found, conn)
        found = model_checks.judge(conn, results, declared, find)
        model_checks.keep(conn, "models", found, every=not select)
        checked.keep(settings, "models", model_checks.kept(conn))
        if complete:
            warehouse.stamp(conn, inputs)
            if again and settings.engine != "spark":
                warehouse.mark_refreshed(conn, inputs)
    for one in [one for one in found if not one.success]:
        context.log.warning(f"Check {one.name} failed: {one.detail}")
        fault = alerts.send(
            settings,
            "failed_check",
            check=one.name,
            distributors=list(one.distributors),
            detail=one.detail,
        )
        if fault:
            context.log.warning(fault)
    return results


def _declared(context: dg.AssetExecutionContext) -> list[str]:
    """The tests that this step shows as checks; empty where another step builds models."""
    specs = context.assets_def.check_specs
    return [
        spec.metadata[_UNIQUE_ID].split(".")[2]
        for spec in specs
        if spec.metadata and _UNIQUE_ID in spec.metadata
    ]


def raise_if_broken(results: Sequence[NodeResult], settings: Settings) -> None:
    """End the step with the models that could not be built, each with its file and dbt's words."""
    if dbt.are_built(results):
        return
    failed = [result for result in results if result.outcome == "failed" and not result.is_test]
    skipped = sum(result.outcome == "skipped" for result in results)
    lines = [f"{len(failed)} of {len(results)} dbt nodes failed, {skipped} were skipped:"]
    for result in failed:
        reason = " ".join(result.message.split())
        lines.append(f"- {result.name} ({result.path}): {reason}")
    lines.append(f"The compiled SQL is in {settings.dbt_target}/compiled.")
    raise dg.Failure(description="\n".join(lines), allow_retries=False)


def _selection(context: dg.AssetExecutionContext) -> list[str]:
    """What to hand to `dbt --select`: nothing when the whole project is to be built."""
    definition = context.assets_def
    if len(context.selected_asset_keys) == len(definition.node_keys_by_output_name):
        return []
    assets = [
        spec.metadata[_UNIQUE_ID]
        for spec in definition.specs
        if spec.key in context.selected_asset_keys
    ]
    # dbt adds the tests of what it builds; without anything to build, a person wants the tests.
    checks = [
        (spec.metadata or {})[_UNIQUE_ID]
        for spec in definition.check_specs
        if spec.key in context.selected_asset_check_keys
    ]
    return sorted(unique_id.split(".")[2] for unique_id in assets or checks)


def _events(
    context: dg.AssetExecutionContext, results: Sequence[NodeResult], counts: Mapping[str, int]
) -> Iterator[_Event]:
    """One output a model that was built, one check result a test; one without a result failed."""
    definition = context.assets_def
    assets = {spec.metadata[_UNIQUE_ID]: spec.key for spec in definition.specs}
    checks = {(spec.metadata or {})[_UNIQUE_ID]: spec.key for spec in definition.check_specs}
    without_result = set(checks.values()) & set(context.selected_asset_check_keys)
    for result in results:
        metadata: dict[str, Any] = {"seconds": round(result.seconds, 2), "file": result.path}
        asset, check = assets.get(result.unique_id), checks.get(result.unique_id)
        if asset in context.selected_asset_keys and asset and result.outcome == "built":
            table = ".".join(asset.path)
            if table in counts:
                metadata["dagster/row_count"] = counts[table]
            yield dg.Output(None, output_name=asset.to_python_identifier(), metadata=metadata)
        if check in context.selected_asset_check_keys and check and result.outcome != "skipped":
            without_result.discard(check)
            yield dg.AssetCheckResult(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=result.outcome == "passed",
                description=result.message or None,
                metadata={**metadata, "failing rows": result.failures or 0},
            )
    for check in sorted(without_result if dbt.are_built(results) else ()):
        yield dg.AssetCheckResult(
            asset_key=check.asset_key,
            check_name=check.name,
            passed=False,
            description="It gave no result.",
        )
