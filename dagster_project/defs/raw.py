"""`raw/*`: what was landed and accepted, one asset a feed and one partition a snapshot date.

Reading, checking and loading is `ingest`; here is only which days, and what the UI shows of them.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project.defs import reference, writer
from dagster_project.defs.partitions import days
from dagster_project.lib import charts, receiving, warehouse
from dagster_project.lib.settings import Settings
from ingest.contracts import FEEDS
from ingest.reasons import told

if TYPE_CHECKING:
    import duckdb

    from ingest.intake import Receipt

# A snapshot of yesterday lands in the morning. A day and a half leaves room for a late sender and
# still tells before the next one is due; longer hides a missing day until it needs healing (R3).
_WARN_AFTER = timedelta(hours=30)
_FAIL_AFTER = timedelta(hours=48)

# Tables that loading any feed keeps up to date, beside the feed's own.
_BOOKS = {
    "files": "Every file in force with its row counts.",
    "quarantined_rows": "Rows that were refused, with place, reason and raw text.",
    "rejected_files": "Files that were refused whole.",
    "withdrawn_activity": "Months of activity that a superseded or retracted file had rows in.",
    "version_set": "The hash of every file and seed version in force.",
}

_DESCRIPTIONS = {
    "usage": "Endpoint usage: a row a device and product, with the time it was last active.",
    "heartbeat": "Firewall heartbeats: a row a serial, with the time it was last heard of.",
    "customers": "The registry's customers, all of them, every day.",
    "partners": "The registry's partners, all of them, every day.",
    "licences": "The registry's licences, all of them, every day.",
    "transfers": "Customers that move from one partner to another, with the approvals.",
    "portal_usage": "The vendor portal's own count: one leg of the three-way match.",
    "psa_additions": "What partners bill their customers: another leg of the three-way match.",
}


def feed_key(feed: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", feed])


def is_feed(key: dg.AssetKey) -> bool:
    return key in {feed_key(feed) for feed in FEEDS}


def build(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """One asset a feed, and the books that loading any of them keeps."""
    return [
        *(_feed(settings, feed) for feed in FEEDS),
        *(
            dg.AssetSpec(
                ["raw", name],
                deps=[feed_key(feed) for feed in FEEDS],
                description=description,
                group_name="raw",
                kinds={"duckdb"},
            )
            for name, description in _BOOKS.items()
        ),
    ]


def _feed(settings: Settings, feed: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=feed_key(feed),
        # How far a sender's clock may be wrong.
        deps=[reference.key("policies")],
        partitions_def=days(settings),
        # Loading fifty days is one run with one model build after it, not fifty.
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=_FAIL_AFTER, warn_window=_WARN_AFTER
        ),
        group_name="raw",
        kinds={"polars", "duckdb"},
        pool=writer.POOL,
        required_resource_keys={writer.RESOURCE},
        description=_DESCRIPTIONS[feed],
    )
    def load(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from ingest.intake import receive
        from ingest.reference import policies

        wanted = [date.fromisoformat(key) for key in context.partition_keys]
        seen = receiving.folders(settings, {feed})
        with writer.told_in_words(), warehouse.connect(settings, makes_again=True) as conn:
            receipts = receive(
                conn,
                settings.home,
                settings.landing,
                feeds=[feed],
                dates=wanted,
                clock_skew_minutes=policies(settings.home).clock_skew_minutes,
                largest_file_bytes=settings.largest_file_bytes,
                progress=writer.progress(context.log),
            )
            files = _files(conn, feed, wanted)
        told = _by_day(receipts)
        receiving.mark_received(
            settings,
            {
                key: fingerprint
                for key, fingerprint in seen.items()
                if key[1] in wanted
                # What could not be read is still to be received.
                and not any(one.outcome == "unreadable" for one in told[key[1]])
            },
        )
        for day in wanted:
            context.add_asset_metadata(
                metadata=_of_day(files[day], told[day]), partition_key=day.isoformat()
            )
        return dg.MaterializeResult()

    return load


_File = tuple[str, int, int, int, int, bool]


def _files(
    conn: "duckdb.DuckDBPyConnection", feed: str, wanted: Sequence[date]
) -> dict[date, list[_File]]:
    """What is in force on each day: source, the four row counts, whether a manifest agreed."""
    found: dict[date, list[_File]] = defaultdict(list)
    rows = conn.execute(
        """
        select snapshot_date, source, rows_in_file, rows_accepted, rows_quarantined,
            rows_duplicate, is_verified
        from raw.files
        where feed = ? and snapshot_date between ? and ?
        order by snapshot_date, source
        """,
        [feed, min(wanted), max(wanted)],
    ).fetchall()
    for snapshot_date, *file in rows:
        found[snapshot_date].append(tuple(file))
    return found


def _by_day(receipts: Sequence["Receipt"]) -> dict[date, list["Receipt"]]:
    found: dict[date, list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        if receipt.slot is not None:
            found[receipt.slot.snapshot_date].append(receipt)
    return found


def _of_day(files: Sequence[_File], receipts: Sequence["Receipt"]) -> dict[str, Any]:
    rows = [(*file[:5], "yes" if file[5] else "no manifest") for file in files]
    headers = ["source", "rows in file", "accepted", "quarantined", "duplicates", "verified"]
    shown: dict[str, Any] = {
        "rows": sum(file[2] for file in files),
        "quarantined": sum(file[3] for file in files),
        "duplicates": sum(file[4] for file in files),
        "files": dg.MetadataValue.md(charts.table(headers, rows)),
    }
    notes = [f"{one.file_name}: {text}" for one in receipts for text in one.warnings]
    notes += [
        f"{one.file_name} {one.outcome}: {told(one.reason, one.detail)}"
        for one in receipts
        if one.detail or one.reason
    ]
    if notes:
        shown["notes"] = dg.MetadataValue.md(
            "\n".join(f"- {charts.literal(note)}" for note in notes)
        )
    return shown
