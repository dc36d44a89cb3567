"""A day's usage rows, and how many users and devices the vendor's portal counts on it.

The count follows R5 and R6 from the lives themselves, not from the rows: it is the second leg of
the match and shares no code with the models.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from ingest.simulate.activity import last_active_day, microseconds
from ingest.simulate.devices import NONE, Chunk, DeviceFleet
from ingest.simulate.hashing import Flags, Ints
from ingest.simulate.world import PRODUCTS, World
from ingest.simulate.writer import schema

WINDOW = 30  # days the portal counts back, the snapshot's own day included (R2)
_LISTED_AFTER_LEAVING = 45  # days a device that left is still listed as idle
_CODES = pl.Series("product_code", PRODUCTS, dtype=pl.String)


@dataclass
class Moved:
    """A device that belongs to another customer from a day on (planted)."""

    device: int
    day: int
    product: str
    from_customer: int
    to_customer: int


@dataclass(frozen=True)
class _Listing:
    """The devices of a chunk that a snapshot lists, with their last active day."""

    place: Ints
    last: Ints
    second_user: Flags  # the last active day belongs to `after`


def _list(chunk: Chunk, day: int, moved: Moved | None) -> _Listing:
    lives = chunk.lives
    left = lives.left
    if moved is not None and 0 <= moved.device - chunk.first < left.size:
        left = left.copy()
        left[moved.device - chunk.first] = moved.day - 1
    known = (lives.joined <= day) & (lives.joined <= left)
    place = np.flatnonzero(known & (day <= left + _LISTED_AFTER_LEAVING))
    until = np.minimum(left[place], day)
    last = last_active_day(lives.take(place), until)
    return _Listing(place, last, last >= chunk.changed_on[place])


def _frame(chunk: Chunk, day: int, place: Ints, last: Ints, second_user: Flags) -> pl.DataFrame:
    """Rows of the devices at `place`: all main products, then all second ones."""
    second = np.flatnonzero(chunk.second_product[place] != NONE)
    order = np.concatenate([np.arange(place.size), second])
    product = np.concatenate([chunk.product[place], chunk.second_product[place[second]]])
    name = np.where(second_user, chunk.after_name[place], place)
    times = microseconds(chunk.lives.take(place), last)
    rows = place[order]
    return pl.DataFrame(
        {
            "snapshot_date": pl.Series(np.full(order.size, day, dtype=np.int32)),
            "customer_id": chunk.customer_ids.gather(rows),
            "product_code": _CODES.gather(product),
            "device_id": chunk.device_ids.gather(rows),
            "user_id": chunk.names.gather(name[order]),
            "last_active_at": pl.Series(times[order]),
        }
    ).with_columns(
        pl.col("snapshot_date").cast(pl.Date),
        pl.col("last_active_at").cast(pl.Datetime("us", "UTC")),
    )


def _rows(chunk: Chunk, day: int, listing: _Listing) -> Iterator[pl.DataFrame]:
    yield _frame(chunk, day, listing.place, listing.last, listing.second_user)
    # Devices that list both their users: the first one's row keeps its own last time.
    both = chunk.twice[listing.place] & listing.second_user
    place = listing.place[both]
    if place.size:
        until = _last_of_first_user(chunk, place)
        first = last_active_day(chunk.lives.take(place), until)
        yield _frame(chunk, day, place, first, np.zeros(place.size, dtype=np.bool_))


def _last_of_first_user(chunk: Chunk, place: Ints) -> Ints:
    """Latest day on which `before` may have been active: a shared device has both on the day."""
    shared = chunk.after[place] != NONE
    return np.where(shared, chunk.changed_on[place], chunk.changed_on[place] - 1)


class UsageDay:
    """One snapshot day: rows on demand, counts gathered while the rows stream by."""

    def __init__(self, world: World, fleet: DeviceFleet, day: int, moved: Moved | None) -> None:
        self._fleet = fleet
        self._day = day
        self._moved = moved
        units = world.seeds.billing_units
        self._per_user = [units[product] == "user" for product in PRODUCTS[:7]]
        # counts[customer, product]: units of the window that ends on this day
        self.counts = np.zeros((len(world.customers), len(PRODUCTS)), dtype=np.int64)

    def frames(self, distributors: list[int]) -> Iterator[pl.DataFrame]:
        """The usage rows of some distributors' customers, at least one (maybe empty) frame."""
        yield pl.DataFrame(schema=schema("usage"))
        for distributor in distributors:
            for chunk in self._fleet.chunks(distributor):
                listing = _list(chunk, self._day, self._moved)
                self._count(chunk, listing)
                yield from _rows(chunk, self._day, listing)

    def count_moved(self) -> None:
        """Count a moved device where it is now (R8); where it was, `_count` left it out."""
        moved = self._moved
        if moved is not None and self._day >= moved.day:
            self.counts[moved.to_customer, PRODUCTS.index(moved.product)] += 1

    def _count(self, chunk: Chunk, listing: _Listing) -> None:
        since = self._day - WINDOW + 1
        active = listing.last >= since
        moved = self._moved
        if moved is not None and self._day >= moved.day:
            active &= listing.place != moved.device - chunk.first
        place, last = listing.place[active], listing.last[active]
        second_user = listing.second_user[active]
        person = np.where(second_user, chunk.after[place], chunk.before[place])
        twice = chunk.twice[place] & second_user
        # Two users on one last day: the smallest name counts (R6).
        tied = twice & (last == chunk.changed_on[place]) & (chunk.after[place] != NONE)
        smaller = chunk.before_words[place] < chunk.after_words[place]
        person = np.where(tied & smaller, chunk.before[place], person)
        # A device that lost its user: whoever used it in the window still counts (R6).
        lost = np.flatnonzero(twice & (chunk.after[place] == NONE))
        if lost.size:
            spots = place[lost]
            named = last_active_day(chunk.lives.take(spots), chunk.changed_on[spots] - 1)
            person[lost] = np.where(named >= since, chunk.before[spots], NONE)
        for product, per_user in enumerate(self._per_user):
            has = chunk.product[place] == product
            has |= chunk.second_product[place] == product
            self._add(chunk, place[has], person[has], product, per_user)

    def _add(self, chunk: Chunk, place: Ints, person: Ints, product: int, per_user: bool) -> None:
        single = place
        if per_user:
            single = place[person == NONE]
            seen = np.zeros(chunk.customer.size, dtype=np.bool_)
            named = person != NONE
            seen[chunk.first_of_customer[place[named]] + person[named]] = True
            single = np.concatenate([single, np.flatnonzero(seen)])
        np.add.at(self.counts[:, product], chunk.customer[single], 1)
