"""`reference/*`: what people review, one asset a seed, accepted all together or not at all.

Checking and loading is `ingest.reference`; the seeds are in `seeds/`.
"""

from collections.abc import Iterator

import dagster as dg

from dagster_project.defs import writer
from dagster_project.lib import warehouse
from dagster_project.lib.settings import Settings
from ingest.reference_contracts import SEEDS

GROUP = "reference"


def key(seed: str) -> dg.AssetKey:
    return dg.AssetKey([GROUP, seed])


KEYS = [key(seed) for seed in SEEDS]


def build(settings: Settings) -> dg.AssetsDefinition:
    """One step for all seeds: they refer to each other, so they are checked as a whole."""

    @dg.multi_asset(
        name="reference",
        specs=[dg.AssetSpec(one, group_name=GROUP, kinds={"csv", "duckdb"}) for one in KEYS],
        pool=writer.POOL,
        required_resource_keys={writer.RESOURCE},
    )
    def reference(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        from ingest.reference import receive_reference

        with writer.told_in_words():
            receipt = receive_reference(settings.home, settings.seeds)
            with warehouse.connect(settings, makes_again=True) as conn:
                # The version set covers the seeds too.
                warehouse.bring_up_to_date(conn, settings, writer.progress(context.log))
                counts = warehouse.row_counts(conn, (GROUP,))
        if receipt.changed:
            context.log.info(f"Changed: {', '.join(receipt.changed)}")
        for seed in SEEDS:
            yield dg.MaterializeResult(
                asset_key=key(seed),
                metadata={
                    "dagster/row_count": counts[f"{GROUP}.{seed}"],
                    "version": receipt.versions[seed][:12],
                    "changed": seed in receipt.changed,
                },
            )

    return reference
