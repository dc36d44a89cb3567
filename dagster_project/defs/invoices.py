"""`invoices/*`: the month-end, period by period: release → documents → exports.

Deciding, committing and rendering is `invoicing`; here is the order, and what the UI shows of it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from dagster_project.defs import cancellation, checks, writer
from dagster_project.defs.partitions import months
from dagster_project.lib import (
    alerts,
    charts,
    checked,
    dbt,
    model_checks,
    truths,
    unused,
    warehouse,
)
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.gate import Release
    from invoicing.ledger import Document

GROUP = "invoices"
RELEASE = dg.AssetKey([GROUP, "release"])
DOCUMENTS = dg.AssetKey([GROUP, "documents"])
EXPORTS = dg.AssetKey([GROUP, "exports"])
NOBODY_HELD = "nobody_is_held"

# What the release reads: the billing marts of the draft.
_DRAFT = [
    dg.AssetKey(["billing", name])
    for name in (
        "draft_invoices",
        "draft_invoice_lines",
        "draft_invoice_customers",
        "draft_managed_customers",
        "draft_not_billed",
        "draft_psa_changes",
        "draft_roster",
        "draft_discrepancies",
    )
]


# The step of the release asset: where its configuration goes in a run.
RELEASE_STEP = RELEASE.to_python_identifier()


class ApprovalConfig(dg.Config):
    """One draft, released by a second person as it was seen."""

    period: str = Field(description="The period, such as 2026-01.")
    distributor_id: str = Field(description="Whose draft it is.")
    currency: str = Field(description="The draft's currency.")
    by: str = Field(
        description="The person who releases it; nobody who decided a waiver it rests on."
    )
    total_amount: str = Field(
        description="The total that person saw, such as 47.35; another one makes this void."
    )
    version_set_sha256: str = Field(
        description="The version set it was computed from, as the last run of this step shows it "
        "under `to approve`; another one makes this void."
    )


class ReleaseConfig(dg.Config):
    """Who releases what under policy `release` = `approved` (R22). Empty for a plain month-end.

    Only a command can say so (`muster release`): what the UI starts has no such configuration.
    """

    approvals: list[ApprovalConfig] = Field(
        default=[],
        description="Approvals of drafts that wait for a second person (policy release = approved, "
        "R22). One that cannot release its draft fails the run, and nothing changes.",
    )
    on: str = Field(
        default="",
        description="The date of what is issued, YYYY-MM-DD; empty: that of the cut-off and policy "
        "issue_days, or of the document before it (R20).",
    )


def build(settings: Settings, *, for_command: bool) -> list[dg.AssetsDefinition]:
    return [_release(settings, for_command), _documents(settings), _exports(settings)]


def _release(settings: Settings, for_command: bool) -> dg.AssetsDefinition:
    @dg.asset(
        key=RELEASE,
        deps=_DRAFT,
        partitions_def=months(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=GROUP,
        kinds={"python", "json"},
        pool=writer.POOL,
        required_resource_keys={writer.RESOURCE},
        # Without a schema any configuration would do, and an approval would be passed over unseen.
        config_schema=ReleaseConfig.to_fields_dict() if for_command else {},
        check_specs=[
            *checks.draft_specs(RELEASE),
            dg.AssetCheckSpec(
                NOBODY_HELD,
                asset=RELEASE,
                description="Every distributor of the period is released or issued.",
            ),
        ],
        description="The gate: a record per distributor, released or held with the reasons.",
    )
    def release(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        from invoicing.approval import Approval, ApprovalError
        from invoicing.einvoices import validate_drafts
        from invoicing.expectations import validate_draft
        from invoicing.gate import decide, records
        from invoicing.ledger import Ledger

        unused.leave_out()
        decisions: list[Release] = []
        found = {}
        config = context.op_execution_context.op_config if for_command else {}
        approvals = [Approval(**one) for one in config.get("approvals", [])]
        on = cancellation.date_of(config["on"]) if config.get("on") else None
        with writer.told_in_words(), warehouse.connect(settings) as conn:
            truths.check_issuable(settings, conn)
            for one in approvals:
                if one.period not in context.partition_keys:
                    raise ApprovalError(
                        f"An approval is for {one.period}, but this run closes "
                        f"{', '.join(context.partition_keys)}. Approve what this run closes."
                    )
            if warehouse.built_from(conn) is None:
                raise dbt.DbtError(
                    "The models were not all built and tested when a run ended, so no draft can be "
                    "judged. Run `muster load`, or materialise all models."
                )
            on_models = model_checks.kept(conn)
            for period in context.partition_keys:
                found[period] = validate_draft(conn, period)
                checked.keep(settings, period, found[period])
                of_period = [one for one in approvals if one.period == period]
                ledger = Ledger(settings.ledger)
                before = records(ledger, period)
                last = partial(validate_drafts, conn, ledger)
                checks_of_period = [*found[period], *on_models]
                decided = decide(conn, ledger, period, checks_of_period, of_period, last, on)
                _alert(settings, context, decided, before)
                decisions += decided
        held = [
            f"{one.period} {one.distributor_id}: {reason}"
            for one in decisions
            if one.state in ("held", "waiting")
            for reason in one.reasons
        ]
        for reason in held:
            context.log.warning(f"Held: {reason}")
        yield dg.MaterializeResult(
            metadata={
                **{
                    state: sum(one.state == state for one in decisions)
                    for state in ("issued", "released", "waiting", "held")
                },
                "decisions": dg.MetadataValue.md(_decisions(decisions)),
                "why held": dg.MetadataValue.md(
                    "\n".join(f"- {charts.literal(reason)}" for reason in held) or "nobody is"
                ),
                "to approve": dg.MetadataValue.md(_to_approve(decisions)),
            },
            check_results=[
                *checks.draft_results(RELEASE, found),
                dg.AssetCheckResult(
                    check_name=NOBODY_HELD,
                    passed=not held,
                    # A hold is a decision, not a fault: the run goes on for everybody else.
                    severity=dg.AssetCheckSeverity.WARN,
                    description="\n".join(held) or None,
                ),
            ],
        )

    return release


def _documents(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=DOCUMENTS,
        deps=[RELEASE],
        partitions_def=months(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=GROUP,
        kinds={"python", "json"},
        pool=writer.POOL,
        required_resource_keys={writer.RESOURCE},
        description="The ledger: an immutable document for everyone whose release record says so.",
    )
    def documents(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from invoicing.documents import issue
        from invoicing.ledger import Ledger

        ledger = Ledger(settings.ledger)
        written: list[Document] = []
        with writer.told_in_words():
            ledger.check()
            with warehouse.connect(settings) as conn:
                truths.check_issuable(settings, conn)
                for period in context.partition_keys:
                    written += issue(conn, ledger, period)
            ledger.check()
            issued = list(_of_periods(ledger.documents(), context.partition_keys))
        for document in written:
            context.log.info(f"Issued {document.name} for {document.period}")
        return dg.MaterializeResult(
            metadata={
                "written": len(written),
                "units": sum(_units(document) for document in issued),
                **{
                    f"amount {currency}": float(amount)
                    for currency, amount in _amounts(issued).items()
                },
                "invoices": dg.MetadataValue.md(_invoices(issued)),
                "units per product": dg.MetadataValue.md(
                    charts.bars("product", "units", _units_per_product(issued))
                ),
            }
        )

    return documents


def _exports(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=EXPORTS,
        deps=[DOCUMENTS],
        partitions_def=months(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=GROUP,
        kinds={"csv", "json", "parquet", "pdf", "xlsx"},
        pool=writer.POOL,
        required_resource_keys={writer.RESOURCE},
        description="A folder per distributor, rendered from the ledger without any arithmetic.",
    )
    def exports(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from invoicing.exports import render_period
        from invoicing.ledger import Ledger

        ledger = Ledger(settings.ledger)
        with writer.told_in_words():
            ledger.check()
            # A run that ended after its document has left it without its line of the heads.
            ledger.recover()
            rendered = [
                one
                for period in context.partition_keys
                for one in render_period(ledger, period, settings.exports)
            ]
        rows = [
            (str(one.folder), len(one.files), "written" if one.is_changed else "as before")
            for one in rendered
        ]
        return dg.MaterializeResult(
            metadata={
                "written": sum(one.is_changed for one in rendered),
                "folders": dg.MetadataValue.md(
                    charts.table(["folder", "files", "this time"], rows)
                ),
            }
        )

    return exports


def _of_periods(documents: Iterator["Document"], periods: Sequence[str]) -> Iterator["Document"]:
    wanted = set(periods)
    return (document for document in documents if document.period in wanted)


def _units(document: "Document") -> int:
    return sum(int(line["quantity"]) for line in document.content["lines"])


def _amounts(documents: Sequence["Document"]) -> dict[str, Decimal]:
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for document in documents:
        amounts[document.currency] += Decimal(document.content["totals"]["amount"])
    return dict(sorted(amounts.items()))


def _units_per_product(documents: Sequence["Document"]) -> dict[str, int]:
    units: Counter[str] = Counter()
    for document in documents:
        for line in document.content["lines"]:
            units[str(line["product_name"])] += int(line["quantity"])
    return dict(sorted(units.items(), key=lambda item: (-item[1], item[0])))


def _invoices(documents: Sequence["Document"]) -> str:
    return charts.table(
        ["number", "period", "distributor", "lines", "units", "amount", "currency"],
        [
            (
                document.number or "nil",
                document.period,
                document.distributor_id,
                len(document.content["lines"]),
                _units(document),
                document.content["totals"]["amount"],
                document.currency,
            )
            for document in documents
        ],
    )


def _alert(
    settings: Settings,
    context: dg.AssetExecutionContext,
    decisions: "Sequence[Release]",
    before: "Sequence[Release]",
) -> None:
    """Tell of each hold once: closing again and finding the same is no news."""
    told = {(one.distributor_id, one.currency, one.state, one.reasons) for one in before}
    for one in decisions:
        what = (one.distributor_id, one.currency, one.state, one.reasons)
        if one.state in ("held", "waiting") and what not in told:
            fault = alerts.send(
                settings,
                "hold",
                period=one.period,
                distributor=one.distributor_id,
                currency=one.currency,
                amount=one.total_amount,
                state=one.state,
                reasons=list(one.reasons),
            )
            if fault:
                context.log.warning(fault)


def _decisions(decisions: Sequence["Release"]) -> str:
    return charts.table(
        ["period", "distributor", "currency", "state", "amount"],
        [
            (
                one.period,
                one.distributor_id,
                one.currency,
                one.state,
                one.total_amount,
            )
            for one in decisions
        ],
    )


def _to_approve(decisions: Sequence["Release"]) -> str:
    """The commands that release what waits: each asks for a name."""
    waiting = [one for one in decisions if one.state == "waiting"]
    if not waiting:
        return "nothing"
    commands = [
        f"muster release {one.period} {one.distributor_id} --currency {one.currency} "
        f"--total {one.total_amount} --by NAME"
        for one in waiting
    ]
    return "\n".join(["```sh", *commands, "```"])
