"""Endpoints, servers and mobiles: whose they are, who uses them, when they come and go.

Streams in chunks of whole customers, so that memory is bounded and a chunk's distinct users are
the customers' distinct users. Rows and counts of a day are `usage`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from ingest.simulate.activity import ENDPOINT, MOBILE, SERVER, Lives
from ingest.simulate.hashing import Flags, Ints, Words, below, draws, hex_text, mix, salt
from ingest.simulate.references import FAR, day_of
from ingest.simulate.world import PRODUCTS, World

CHUNK = 250_000
# Chunks of a world this small are kept from day to day; a larger one is recomputed.
KEPT = 500_000
NONE = -1
_EDGE_AGES, _YOUNGEST_EDGE = 6, 28
FIRST_SERVER = 14  # of every twenty devices 14 are endpoints, then 3 servers, then 3 mobiles


@dataclass(frozen=True)
class Chunk:
    """Devices of consecutive customers; every array has one entry per device.

    `before` and `after` are users as places among the customer's own (-1: none), the latter from
    `changed_on` on; `twice` devices list a row for either from then on. `names` holds the text of
    every `before`, then of every `after` of the devices whose user changes, at `after_name`.
    """

    first: int
    customer: Ints
    lives: Lives
    product: Ints
    second_product: Ints
    before: Ints
    after: Ints
    changed_on: Ints
    twice: Flags
    before_words: Words
    after_words: Words
    first_of_customer: Ints  # place of the customer's first device in the chunk
    device_ids: pl.Series
    customer_ids: pl.Series
    names: pl.Series
    after_name: Ints


class DeviceFleet:
    """All devices of a world, in the order of distributors, then customers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: dict[int, Chunk] = {}
        ordered, self._offsets = world.device_offsets()
        self.total = int(self._offsets[-1])
        self._ordered = ordered
        self._distributor = np.array([c.distributor for c in ordered], dtype=np.int64)
        self._index = np.array([c.index for c in ordered], dtype=np.int64)
        self._service_from = np.array([c.service_from for c in ordered], dtype=np.int64)
        self._service_to = np.array([c.service_to for c in ordered], dtype=np.int64)
        self._tied = np.array([c.role == "shared_device" for c in ordered], dtype=np.bool_)
        full = [
            [c.index for c in ordered if c.role == "full" and c.distributor == d]
            for d in range(len(world.seeds.distributors))
        ]
        self._edge_month = np.array(
            [full[c.distributor].index(c.index) if c.role == "full" else NONE for c in ordered],
            dtype=np.int64,
        )
        self._ids = pl.Series([c.customer_id for c in ordered], dtype=pl.String)
        self._codes = np.array(
            [
                [PRODUCTS.index(p) if p in c.products else NONE for p in PRODUCTS[:7]]
                for c in ordered
            ],
            dtype=np.int64,
        ).reshape(len(ordered), 7)
        self._cutoffs = np.array(
            [
                [self._cutoff(distributor, month) for month in range(12)]
                for distributor in range(len(world.seeds.distributors))
            ],
            dtype=np.int64,
        )

    def _cutoff(self, distributor: int, month: int) -> int:
        first = self._world.month_day(month, 1)
        there = day_of(first)
        cutoff = self._world.seeds.distributors[distributor].cutoff(there.year, there.month)
        return first + cutoff.day - 1

    def chunks(self, distributor: int) -> Iterator[Chunk]:
        """The devices of one distributor's customers, whole customers at a time."""
        places = np.flatnonzero(self._distributor == distributor)
        if not places.size:
            return
        begin, end = int(places[0]), int(places[-1]) + 1
        while begin < end:
            limit = self._offsets[begin] + CHUNK
            stop = int(np.searchsorted(self._offsets, limit, side="right")) - 1
            stop = min(max(stop, begin + 1), end)
            chunk = self._kept.get(begin)
            if chunk is None:
                chunk = self._chunk(begin, stop)
                if self.total <= KEPT:
                    self._kept[begin] = chunk
            yield chunk
            begin = stop

    def device_id(self, device: int) -> str:
        words = np.array([device], dtype=np.uint64) + np.uint64(salt(self._world.seed, "device"))
        return str(hex_text("d-", mix(words))[0])

    def steady_server(self, customer: int) -> int | None:
        """The number of a full customer's first server, always there; None if it has none."""
        place = int(np.flatnonzero(self._index == customer)[0])
        server = int(self._offsets[place]) + FIRST_SERVER
        return server if server < self._offsets[place + 1] else None

    def _chunk(self, begin: int, stop: int) -> Chunk:
        world, seed = self._world, self._world.seed
        first, last = int(self._offsets[begin]), int(self._offsets[stop])
        device = np.arange(first, last, dtype=np.int64)
        owner = np.searchsorted(self._offsets, device, side="right") - 1
        local = device - self._offsets[owner]
        size = self._offsets[owner + 1] - self._offsets[owner]
        codes = self._codes[owner]

        place = local % 20
        kind = np.full(device.shape, ENDPOINT, dtype=np.int64)
        server = np.maximum(codes[:, 2], codes[:, 3])
        mobile = np.where(codes[:, 4] >= 0, codes[:, 4], codes[:, 5])
        kind[(place >= FIRST_SERVER) & (place < FIRST_SERVER + 3) & (server >= 0)] = SERVER
        kind[(place >= FIRST_SERVER + 3) & (mobile >= 0)] = MOBILE
        endpoint = np.maximum(codes[:, 0], codes[:, 1])
        product = np.where(kind == SERVER, server, np.where(kind == MOBILE, mobile, endpoint))
        also_web = below(draws(seed, "also web", device), 5) > 0
        second = np.where((kind == ENDPOINT) & also_web, codes[:, 6], NONE)
        both = (kind == MOBILE) & (codes[:, 4] >= 0)
        second = np.where(both, codes[:, 5], second)

        lives = self._lives(device, owner, kind)
        # Every seventh endpoint shares its user with the one before; a mobile belongs to the user
        # of the endpoint seventeen places before it. Servers have none.
        person = np.where(kind == MOBILE, local - 17, local)
        before = np.where(kind == SERVER, NONE, person - person // 7)
        mode = below(draws(seed, "user mode", device), 1000)
        mode[kind == SERVER] = 999
        changed_on = world.first_day - 10 + below(draws(seed, "user change", device), 180)
        changes, gets = mode < 30, (mode >= 30) & (mode < 50)
        never = (mode >= 50) & (mode < 70)
        shares, forgets = (mode >= 70) & (mode < 74), (mode >= 74) & (mode < 78)
        tied = self._tied[owner] & (local == 0)
        shares |= tied
        changes &= ~tied
        gets &= ~tied
        never &= ~tied
        forgets &= ~tied
        changed_on = np.where(tied, lives.idle_from - 1, changed_on)
        within = (changed_on > lives.joined) & (changed_on <= lives.left)
        within &= (changed_on < lives.idle_from) | (changed_on >= lives.idle_to)
        within &= changed_on > world.first_day
        twice = (shares | forgets) & within & (size > 1)
        changes &= size > 1
        lives.sure[twice & shares] = changed_on[twice & shares]
        changed_on = np.where(changes | gets | twice, changed_on, FAR)
        someone = (before + 1 + below(draws(seed, "next user", device), 5)) % np.maximum(size, 1)
        someone = np.where(someone == before, (before + 1) % np.maximum(size, 1), someone)
        after = np.where(changes | (twice & shares), someone, np.where(gets, before, NONE))
        before = np.where(gets | never, NONE, before)

        before_words = self._user_words(owner, before)
        after_words = self._user_words(owner, after)
        chosen = np.flatnonzero(changed_on < FAR)
        names = pl.concat(
            [_named(before_words, before), _named(after_words[chosen], after[chosen])]
        )
        after_name = np.zeros(device.shape, dtype=np.int64)
        after_name[chosen] = device.size + np.arange(chosen.size)
        words = device.astype(np.uint64) + np.uint64(salt(seed, "device"))
        return Chunk(
            first=first,
            customer=self._index[owner],
            lives=lives,
            product=product,
            second_product=second,
            before=before,
            after=after,
            changed_on=changed_on,
            twice=twice,
            before_words=before_words,
            after_words=after_words,
            first_of_customer=self._offsets[owner] - first,
            device_ids=hex_text("d-", mix(words)),
            customer_ids=self._ids.gather(owner),
            names=names,
            after_name=after_name,
        )

    def _user_words(self, owner: Ints, person: Ints) -> Words:
        key = (self._index[owner].astype(np.uint64) << np.uint64(32)) | person.astype(np.uint64)
        return mix(key + np.uint64(salt(self._world.seed, "user")))

    def _lives(self, device: Ints, owner: Ints, kind: Ints) -> Lives:
        seed, start = self._world.seed, self._world.first_day
        when = draws(seed, "device joins", device)
        established = start - 60 - below(when >> np.uint64(8), 340)
        recent = start - 40 + below(when >> np.uint64(8), 400)
        joined = np.where(below(when, 10) < 7, established, recent)
        arrives = self._service_from[owner] + below(when >> np.uint64(40), 8)
        joined = np.maximum(joined, arrives)
        when = draws(seed, "device leaves", device)
        left = np.where(below(when, 4) == 0, start - 45 + below(when >> np.uint64(8), 400), FAR)

        when = draws(seed, "device idles", device)
        what, word = below(when, 1000), when >> np.uint64(16)
        idle_from = np.where(what < 60, start - 100 + below(word, 300), FAR)
        idle_to = np.where(what < 60, idle_from + 10 + below(word >> np.uint64(16), 80), FAR)
        # Last active exactly 28 to 33 days before a cut-off: both sides of the window's edge (R2).
        # The n-th full customer has one device of each age for the n-th month, others a few.
        local = device - self._offsets[owner]
        steady = (self._edge_month[owner] != NONE) & (local == FIRST_SERVER)
        cast = (self._edge_month[owner] != NONE) & (local >= 1) & (local <= _EDGE_AGES)
        edge = cast | ((what >= 60) & (what < 75))
        month = np.where(cast, self._edge_month[owner], below(word, _EDGE_AGES))
        age = np.where(cast, local - 1, below(word >> np.uint64(8), _EDGE_AGES))
        last = self._cutoffs[self._distributor[owner], month] - _YOUNGEST_EDGE - age
        idle_from = np.where(edge, last + 1, idle_from)
        idle_to = np.where(edge, last + 45 + below(word >> np.uint64(16), 30), idle_to)

        tied = self._tied[owner] & (local == 0)
        tied_on = self._world.month_day(1, 10)
        joined = np.where(tied | cast | steady, start - 100, joined)
        idle_from, idle_to = np.where(tied, tied_on + 1, idle_from), np.where(tied, FAR, idle_to)
        idle_from = np.where(steady, FAR, idle_from)
        left = np.where(tied | cast | steady, FAR, left)
        left = np.minimum(left, self._service_to[owner])
        spoilt = idle_from <= joined
        return Lives(
            words=draws(seed, "device activity", device),
            kind=kind,
            joined=joined,
            left=left,
            idle_from=np.where(spoilt, FAR, idle_from),
            idle_to=np.where(spoilt, FAR, idle_to),
            sure=np.full(device.shape, FAR, dtype=np.int64),
        )


def _named(words: Words, person: Ints) -> pl.Series:
    frame = pl.DataFrame({"user": hex_text("u-", words), "named": person >= 0})
    return frame.select(pl.when("named").then("user")).to_series()
