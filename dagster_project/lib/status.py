"""How a home stands: what is loaded, what is quarantined, which periods are where.

Reads the journal, the ledger and the publication, and imports nothing that takes time: a person
asks this often.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dagster_project.lib import backup, checked, lock, receiving, running, truths
from dagster_project.lib.settings import Settings
from dagster_project.lib.space import Space, space

if TYPE_CHECKING:
    import duckdb

    from dagster_project.lib.flagged import Flagged
    from ingest.journal import State
    from invoicing.disputes import Dispute
    from invoicing.gate import Release
    from invoicing.ledger import Document, Ledger


class PublicationError(RuntimeError):
    """The publication is there and cannot be read."""


@dataclass(frozen=True)
class FeedStatus:
    """What is in force of one feed.

    refused   files refused whole, with the reason, that no good delivery has followed
    retracted files a person took back, with who and why, that no other has followed
    missing   days a source was expected and has nothing for, those that hold a period first
    healed    of those the ones that a later file makes up for in time (R3)
    """

    feed: str
    first_day: str | None
    last_day: str | None
    files: int
    rows: int
    rows_quarantined: int
    refused: list[str]
    retracted: list[str]
    missing: list[str]
    healed: list[str]


@dataclass(frozen=True)
class PeriodStatus:
    """One period of one distributor.

    state   open (not over), draft (over, not closed), held (closing it was refused), waiting (for
            a second person to release it), issued, cancelled (taken back and not issued again yet)
    reasons why it is held or what it waits for
    command what releases a waiting one, as it was shown, once a name is put in
    """

    period: str
    distributor_id: str
    currency: str
    state: str
    number: str | None
    amount: str
    reasons: list[str]
    command: str | None = None


@dataclass(frozen=True)
class CorrectionStatus:
    """What was billed wrongly for a period, as it turned out later (R25), or taken back (R24).

    state   issued, pending (goes out with the next run), unbilled (too old for a note)
    run     the period it was or will be issued with; None for unbilled
    amount  positive adds to the bill
    """

    period: str
    distributor_id: str
    currency: str
    state: str
    kind: str
    run: str | None
    number: str | None
    amount: str


@dataclass(frozen=True)
class Status:
    """`disputes` are the open ones, `not_backed_up` counts documents that are in no backup.

    `failed_checks` hold the distributors whose rows they found. `next` says what a person could do
    now, most urgent first.
    """

    home: str
    feeds: list[FeedStatus]
    periods: list[PeriodStatus]
    corrections: list[CorrectionStatus]
    flagged: list[Flagged]
    disputes: list[Dispute]
    failed_checks: list[str]
    pending_folders: int
    ignored_folders: int
    unrecognised: list[str]
    writing: str | None
    space: Space
    not_backed_up: int
    next: list[str]


# More lines of the same kind say less.
_LISTED = 10

# Below this a month-end and the time to buy a disk do not both fit any more.
_FEW_DAYS = 60


def status(settings: Settings) -> Status:
    """Raises JournalError, LedgerError or DisputeError when one of them cannot be read."""
    from ingest.contracts import FEEDS
    from ingest.journal import Journal
    from invoicing import disputes
    from invoicing.ledger import Ledger

    # Each is read once: journal and ledger grow for years, and opening a database takes its time.
    state, ledger = Journal(settings.journal).state(), Ledger(settings.ledger)
    conn = published(settings)
    with conn or nullcontext():
        documents = list(ledger.documents())
        feeds = _feeds(state, conn)
        periods = _periods(ledger, documents, conn, state)
        pending = receiving.pending(settings, FEEDS, state)
        ignored = receiving.without_partition(settings, FEEDS, state)
        seeds_changed = receiving.seeds_changed(settings, state)
        taken = space(settings.home, days=len({slot.snapshot_date for slot in state.in_force}))
        unsafe = backup.documents_since_last(settings)
        return Status(
            home=str(settings.home),
            feeds=feeds,
            periods=periods,
            corrections=_corrections(documents, conn),
            flagged=_flagged(conn),
            disputes=[one for one in disputes.every(ledger) if one.is_open],
            failed_checks=checked.failed_on_models(settings),
            pending_folders=len(pending),
            ignored_folders=len(ignored),
            unrecognised=_unrecognised(settings),
            writing=lock.holder(settings.lock),
            space=taken,
            not_backed_up=unsafe,
            next=[
                *_damage(settings, state, ledger),
                *_to_repair(settings, ledger),
                *_standing_still(settings),
                *_next(settings, feeds, periods, len(pending), seeds_changed, state),
                *_unused_waivers(settings, documents, conn),
                *_precautions(taken, unsafe),
                *_past_retention(settings, state),
            ],
        )


def _precautions(taken: Space, unsafe: int) -> list[str]:
    steps = []
    if taken.days_left is not None and taken.a_day is not None and taken.days_left < _FEW_DAYS:
        steps.append(
            f"The disk is full in about {taken.days_left} days, at {taken.a_day / 1e6:,.1f} MB a "
            "day: make room, or move the home to a larger disk."
        )
    if unsafe:
        steps.append(f"{unsafe} documents are in no backup: `muster backup --to FOLDER`.")
    return steps


def _past_retention(settings: Settings, state: State) -> list[str]:
    from dagster_project.lib.retention import kept_from

    since = kept_from(settings, state)
    old = [one for one in state.in_force if one.is_before(since)]
    if not old:
        return []
    return [f"{len(old)} files are older than the retention policy keeps: `muster expire`."]


def periods(settings: Settings, period: str | None = None) -> list[PeriodStatus]:
    """The periods of all distributors, or one period of them."""
    from ingest.journal import Journal
    from invoicing.ledger import Ledger

    state, ledger = Journal(settings.journal).state(), Ledger(settings.ledger)
    conn = published(settings)
    with conn or nullcontext():
        found = _periods(ledger, list(ledger.documents()), conn, state)
    return [one for one in found if period in (None, one.period)]


def published(settings: Settings) -> duckdb.DuckDBPyConnection | None:
    """The publication, open for reading, None when nothing was published yet.

    Raises PublicationError when it is damaged.
    """
    import duckdb

    path = settings.published / "current.duckdb"
    if not path.exists():
        return None
    try:
        conn = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        said = str(error).rstrip("!.")
        if "Permission denied" in said:
            raise PublicationError(
                f"{path} may not be read: {said}. Ask for the group of its folder."
            ) from error
        raise PublicationError(
            f"{path} cannot be read: {said}. Nothing is lost with it: `muster rebuild` publishes "
            "again."
        ) from error
    conn.execute("set timezone = 'UTC'")
    return conn


def _feeds(state: State, conn: duckdb.DuckDBPyConnection | None) -> list[FeedStatus]:
    from ingest.contracts import FEEDS
    from ingest.journal import Kind
    from ingest.reasons import told

    found = []
    not_received = _not_received(conn)
    for feed in FEEDS:
        entries = [entry for slot, entry in state.in_force.items() if slot.feed == feed]
        every = sorted({slot.snapshot_date for slot in state.in_force if slot.feed == feed})
        found.append(
            FeedStatus(
                feed=feed,
                first_day=every[0].isoformat() if every else None,
                last_day=every[-1].isoformat() if every else None,
                files=len(entries),
                rows=sum(entry.rows_accepted for entry in entries),
                rows_quarantined=sum(entry.rows_quarantined for entry in entries),
                refused=[
                    f"{entry.file_name}: {told(entry.reason, entry.detail)}"
                    for slot, files in sorted(state.refused.items())
                    if slot.feed == feed
                    for entry in files.values()
                ],
                retracted=[
                    f"{entry.file_name}: {entry.detail}"
                    for _, entry in sorted(state.latest.items())
                    if entry.kind is Kind.RETRACTED
                    and entry.feed == feed
                    and entry.slot not in state.in_force
                ],
                missing=not_received[feed, False],
                healed=not_received[feed, True],
            )
        )
    return found


def _not_received(
    conn: duckdb.DuckDBPyConnection | None,
) -> dict[tuple[str, bool], list[str]]:
    """Days and sources by feed and whether a later file heals them: what was expected is decided
    by the reference data, what it means by the models."""
    found: dict[tuple[str, bool], list[str]] = defaultdict(list)
    if conn is None:
        return found
    import duckdb

    try:
        rows = conn.execute(
            """
            select feed, source, snapshot_date, state = 'healed', hole_in_period
            from quality.feed_calendar
            where state <> 'received'
            order by hole_in_period is null, snapshot_date, source
            """
        ).fetchall()
    except (duckdb.BinderException, duckdb.CatalogException):
        # Published by an earlier version: the next load publishes anew.
        return found
    for feed, source, day, is_healed, hole_in_period in rows:
        holds = f", holds {hole_in_period}" if hole_in_period else ""
        found[feed, is_healed].append(f"{day} {source}{holds}")
    return found


def _flagged(conn: duckdb.DuckDBPyConnection | None) -> list[Flagged]:
    from dagster_project.lib.flagged import flagged

    return [] if conn is None else flagged(conn)


def in_words(reasons: Sequence[str], settings: Settings) -> list[str]:
    """The gate's reasons, which begin with a discrepancy's kind, beginning with what it is."""
    from dagster_project.lib.flagged import kinds_in_words

    conn = published(settings)
    if conn is None:
        return list(reasons)
    with conn:
        words = kinds_in_words(conn)
    told = []
    for reason in reasons:
        kind, colon, rest = reason.partition(": ")
        what = words.get(kind)
        told.append(f"{what[0].upper()}{what[1:]} ({kind}){colon}{rest}" if what else reason)
    return told


def _unrecognised(settings: Settings) -> list[str]:
    from ingest.landing import find

    try:
        found = find(settings.landing)
    except FileNotFoundError:
        return []
    return [f"{one.file_name}: {one.why}" for one in found.unrecognised]


def _periods(
    ledger: Ledger,
    documents: Sequence[Document],
    conn: duckdb.DuckDBPyConnection | None,
    state: State,
) -> list[PeriodStatus]:
    from invoicing.gate import records

    found: dict[tuple[str, str, str], PeriodStatus] = {}
    for draft in _drafts(conn):
        found[draft.period, draft.distributor_id, draft.currency] = draft
    decided = records(ledger)
    waits = any(record.state == "waiting" for record in decided)
    in_force = _version_set(state) if waits else ""
    held = {
        (record.period, record.distributor_id, record.currency): _held(record, in_force)
        for record in decided
        if record.state in ("held", "waiting")
    }
    found |= held
    for document in documents:
        key = (document.period, document.distributor_id, document.currency)
        if document.cancels:
            found[key] = held.get(key) or _cancelled(document, found[key])
        elif not document.is_note:
            found[key] = _issued(document)
    return [found[key] for key in sorted(found)]


def corrections(settings: Settings) -> list[CorrectionStatus]:
    """Notes issued, notes that go out with the next run, and differences too old for one."""
    from invoicing.ledger import Ledger

    conn = published(settings)
    with conn or nullcontext():
        return _corrections(list(Ledger(settings.ledger).documents()), conn)


def _corrections(
    documents: Sequence[Document], conn: duckdb.DuckDBPyConnection | None
) -> list[CorrectionStatus]:
    issued = [
        CorrectionStatus(
            period=document.billed_period,
            distributor_id=document.distributor_id,
            currency=document.currency,
            state="issued",
            kind=document.kind,
            run=document.period,
            number=document.number,
            amount=str(document.content["totals"]["amount"]),
        )
        for document in documents
        if document.is_note
    ]
    if conn is None:
        return issued
    rows: list[tuple[Any, ...]] = conn.execute(_OPEN_CORRECTIONS).fetchall()
    drafted = [
        CorrectionStatus(
            period=period,
            distributor_id=distributor_id,
            currency=currency,
            state=state,
            kind=kind,
            run=run,
            number=None,
            amount=f"{amount:.{minor_units}f}",
        )
        for period, distributor_id, currency, state, kind, run, amount, minor_units in rows
    ]
    return sorted(
        [*issued, *drafted], key=lambda one: (one.period, one.distributor_id, one.currency)
    )


_OPEN_CORRECTIONS = """
    select period, distributor_id, currency, 'pending' as state, kind, run_period, total_amount,
        minor_units
    from billing.draft_notes
    union all
    select period, distributor_id, currency, 'unbilled', if(sum(amount) > 0, 'debit', 'credit'),
        null, sum(amount), any_value(minor_units)
    from billing.unbilled_corrections
    inner join reference.currencies using (currency)
    group by period, distributor_id, currency
    order by period, distributor_id, currency, state
"""


def _drafts(conn: duckdb.DuckDBPyConnection | None) -> list[PeriodStatus]:
    if conn is None:
        return []
    rows: list[tuple[Any, ...]] = conn.execute(
        """
        select period, distributor_id, currency, is_complete, total_amount, minor_units
        from billing.draft_invoices
        where not is_passed_over
        order by period, distributor_id, currency
        """
    ).fetchall()
    return [
        PeriodStatus(
            period=period,
            distributor_id=distributor_id,
            currency=currency,
            state="draft" if is_complete else "open",
            number=None,
            amount=f"{amount:.{minor_units}f}",
            reasons=[],
        )
        for period, distributor_id, currency, is_complete, amount, minor_units in rows
    ]


def _held(record: Release, in_force: str) -> PeriodStatus:
    reasons, command = list(record.reasons), None
    if record.state == "waiting":
        if record.version_set_sha256 == in_force:
            command = (
                f"muster release {record.period} {record.distributor_id} "
                f"--currency {record.currency} --total {record.total_amount} --by NAME"
            )
        else:
            reasons.append(
                "Files or reference data changed since it was closed, so this can no longer be "
                f"approved: `muster close {record.period}` shows what can."
            )
    return PeriodStatus(
        period=record.period,
        distributor_id=record.distributor_id,
        currency=record.currency,
        state=record.state,
        number=None,
        amount=record.total_amount,
        reasons=reasons,
        command=command,
    )


def _issued(document: Document) -> PeriodStatus:
    return PeriodStatus(
        document.period,
        document.distributor_id,
        document.currency,
        "issued",
        document.number,
        str(document.content["totals"]["amount"]),
        [],
    )


def _cancelled(note: Document, before: PeriodStatus) -> PeriodStatus:
    reason = f"{note.cancels} was taken back by {note.number}: {note.content['reason']}"
    return replace(before, state="cancelled", number=None, reasons=[reason])


def _is_published(settings: Settings, state: State) -> bool:
    """Whether the publication is of the very files and reference data in force."""
    try:
        manifest = json.loads((settings.published / "marts/manifest.json").read_text("utf-8"))
    except FileNotFoundError:
        return False
    return bool(manifest["made_from"]["version_set_sha256"] == _version_set(state))


def _version_set(state: State) -> str:
    """The hash of the files and reference data in force."""
    return hashlib.sha256(state.version_set()).hexdigest()


def _damage(settings: Settings, state: State, ledger: Ledger) -> list[str]:
    """What of the truth is not there; nothing is made, issued or published until it is."""
    from invoicing.ledger import LedgerError

    missing = truths.missing_files(settings.home, state)
    found = [
        f"{one} is missing from the archive: copy it back from objects/ of a backup, where it has "
        "the same name."
        for one in missing[:_LISTED]
    ]
    if len(missing) > _LISTED:
        found.append(f"{len(missing) - _LISTED} more archived files are missing.")
    try:
        ledger.check_committed()
    except LedgerError as error:
        return [*found, str(error)]
    without = ledger.without_anchor()
    if without and ledger.heads().anchors:
        found.append(
            f"heads.jsonl does not name {without[0].file}: a run was killed there, or the line was "
            "taken out. Closing its period again adds the line."
        )
    again = receiving.to_take_again(settings)
    if again:
        found.append(
            f"The journal was restored from before {len(again)} folders of {settings.landing} were "
            "received: `muster load` takes them in again."
        )
    return found


def _to_repair(settings: Settings, ledger: Ledger) -> list[str]:
    """What a crash, a full disk or a careless hand left amiss beside the truth."""
    from dagster_project.lib import warehouse
    from invoicing.exports.standing import unfinished

    fault = warehouse.fault(settings)
    return [
        *([fault] if fault else []),
        *(
            f"{folder} does not hold what the ledger says for it, so do not send it: run the last "
            "command again, or `muster rebuild`."
            for folder in unfinished(ledger, settings.exports)
        ),
    ]


def _standing_still(settings: Settings) -> list[str]:
    """What no run of the UI's queue will get past by itself."""
    runs = running.unfinished(settings.dagster_home)
    waiting = [run for run in runs if run.status in running.QUEUED]
    behind = f"; {len(waiting)} wait behind it since {waiting[0].since} UTC" if waiting else ""
    dead = [
        f"Run {run.name} has begun, but its process is gone{behind}: `muster ui` or the next "
        "`muster load` ends it."
        for run in runs
        if run.is_dead
    ]
    if dead or not waiting or lock.holder(settings.served):
        return dead
    return [
        f"{len(waiting)} runs wait since {waiting[0].since} UTC, the first of them "
        f"{waiting[0].name}, and nothing starts them: `muster ui` does."
    ]


def _unused_waivers(
    settings: Settings, documents: Sequence[Document], conn: duckdb.DuckDBPyConnection | None
) -> list[str]:
    """Waivers whose id is no discrepancy's and in no document: mistyped, or the figure changed."""
    if conn is None:
        return []
    waivers = conn.execute(
        """
        select discrepancy_id from reference.waivers
        except
        select discrepancy_id from billing.draft_discrepancies
        """
    ).fetchall()
    used = {
        waiver["discrepancy_id"]
        for document in documents
        for waiver in document.provenance["waivers"]
    }
    return [
        f"Waiver {one} in {settings.seeds}/waivers.csv matches no discrepancy: correct its id, or "
        "remove it. A changed figure has a new id."
        for one in sorted({row[0] for row in waivers} - used)
    ]


def _next(
    settings: Settings,
    feeds: list[FeedStatus],
    periods: list[PeriodStatus],
    pending: int,
    seeds_changed: bool,
    state: State,
) -> list[str]:
    steps: list[str] = []
    if pending:
        steps.append(f"{pending} folders of {settings.landing} are new or changed: `muster load`.")
    elif seeds_changed and any(feed.files for feed in feeds):
        steps.append("Reference data changed: `muster load`.")
    elif any(feed.files for feed in feeds) and not _is_published(settings, state):
        steps.append("The last run did not finish, so the publication is behind: `muster load`.")
    held = sorted({one.period for one in periods if one.state == "held"})
    for period in held:
        steps.append(
            f"{period} has holds: correct the data or decide in {settings.seeds}/waivers.csv, "
            f"then `muster close {period}`."
        )
    cancelled = sorted({one.period for one in periods if one.state == "cancelled"})
    for period in cancelled:
        steps.append(
            f"An invoice of {period} was cancelled: once its data are right, `muster close "
            f"{period}` issues it anew."
        )
    for period in sorted({one.period for one in periods if one.state == "waiting"}):
        steps.append(_approval_step(period, periods))
    ready = sorted({one.period for one in periods if one.state == "draft"} - set(held))
    if ready:
        steps.append(f"{ready[0]} is over and not closed: `muster close {ready[0]}`.")
    if not steps and not any(feed.files for feed in feeds):
        steps.append(
            f"Nothing is loaded into {settings.home}. Put landing files into {settings.landing} "
            "and run `muster load`, or see it work with `muster demo`."
        )
    return steps


def _approval_step(period: str, periods: list[PeriodStatus]) -> str:
    waiting = [one for one in periods if (one.period, one.state) == (period, "waiting")]
    who = ", ".join(one.distributor_id for one in waiting)
    if not any(one.command for one in waiting):
        return f"{period} waits for approval of {who}, but data changed: `muster close {period}`."
    return (
        f"{period} waits for approval of {who}: a second person looks at `muster draft {period}`, "
        f"then `muster release {period} DISTRIBUTOR --by NAME`."
    )
