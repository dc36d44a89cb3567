"""Writing the simulated days: which file of which source holds what, day after day.

Orchestration only; every row comes from the module of its feed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from ingest.simulate.additions import HEARTBEAT_SOURCE, REGISTRY_SOURCE, SOURCES
from ingest.simulate.devices import DeviceFleet
from ingest.simulate.firewalls import FirewallFleet, FirewallRows
from ingest.simulate.paperwork import do_paperwork
from ingest.simulate.plants import Sowing, sow
from ingest.simulate.references import Seeds, day_number, read_seeds
from ingest.simulate.registry import Registry
from ingest.simulate.usage import UsageDay
from ingest.simulate.world import World, build_world
from ingest.simulate.writer import FORMATS, Format, Landing

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Stage:
    """A decided world with its fleets, ready to write any day."""

    seeds: Seeds
    world: World
    devices: DeviceFleet
    firewalls: FirewallRows
    registry: Registry
    sowing: Sowing | None


def set_stage(
    start: date,
    *,
    partners: int,
    customers: int,
    devices: int,
    seed: int,
    seeds: Path,
    plant: str | None,
) -> Stage:
    """Decide everything that does not depend on the day being written."""
    reference = read_seeds(seeds)
    if plant is not None:
        # So that the copy with the plants' reference data gives the same files as its original.
        sources = tuple(source for source in reference.sources if source[:2] not in SOURCES)
        reference = replace(reference, sources=sources)
    world = build_world(
        reference, start, partners=partners, customers=customers, devices=devices, seed=seed
    )
    do_paperwork(world)
    boxes = FirewallFleet(world)
    fleet = DeviceFleet(world)
    sowing = sow(world, fleet, boxes, plant) if plant is not None else None
    return Stage(reference, world, fleet, boxes.ready(), Registry(world), sowing)


def simulate(
    out: Path,
    start: date,
    end: date,
    *,
    partners: int,
    customers: int,
    devices: int,
    seed: int,
    format: Format,
    seeds: Path,
    plant: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write all eight feeds' landing files for every day from `start` to `end`, both included.

    `devices` counts endpoints, servers and mobiles (firewalls come on top, about one a customer);
    `plant` names the distributor whose data goes bad as listed in PLANTS; some of that shows only
    with the reference data that `plant_references` makes of `seeds`. The same arguments give the
    same bytes; a later `end` only adds days. Files of other days or formats already in `out` are
    left alone. `progress(done, total, day)` is called after every day.

    Raises ValueError when arguments or seeds cannot carry the world; OSError on a full disk.
    """
    if end < start:
        raise ValueError(f"The last day {end} is before the first day {start}: swap them.")
    if format not in FORMATS:
        raise ValueError(f"Unknown format {format!r}: choose one of {', '.join(FORMATS)}.")
    stage = set_stage(
        start,
        partners=partners,
        customers=customers,
        devices=devices,
        seed=seed,
        seeds=seeds,
        plant=plant,
    )
    landing = Landing(out, format)
    total = (end - start).days + 1
    for done in range(total):
        day = start + timedelta(days=done)
        write_day(stage, landing, day)
        if progress is not None:
            progress(done + 1, total, day.isoformat())


def case_ids(
    start: date,
    *,
    partners: int,
    customers: int,
    devices: int,
    seed: int,
    seeds: Path,
    plant: str | None = None,
) -> dict[str, str]:
    """Which ids carry what: `role@distributor` for the lives, a plant's name for the plants."""
    stage = set_stage(
        start,
        partners=partners,
        customers=customers,
        devices=devices,
        seed=seed,
        seeds=seeds,
        plant=plant,
    )
    cases: dict[str, str] = {}
    for customer in stage.world.customers:
        if customer.role != "regular":
            name = stage.seeds.distributors[customer.distributor].distributor_id
            key = f"{customer.role}@{name}"
            cases[key] = f"{cases.get(key, '')} {customer.customer_id}".strip()
    return cases | (stage.sowing.cases if stage.sowing else {})


def write_day(stage: Stage, landing: Landing, day: date) -> None:
    """Write the files of one day."""
    number = day_number(day)
    sowing = stage.sowing
    usage = UsageDay(stage.world, stage.devices, number, sowing.moved if sowing else None)
    _write_usage(stage, landing, day, usage)
    sources = stage.seeds.sources_on("heartbeat", day)
    for source in sources:
        mine = stage.seeds.distributors_of(sources, source)
        frame = stage.firewalls.frame(number, mine)
        if sowing and sowing.distributor in mine:
            frame = pl.concat([frame, sowing.extra_heartbeat(number)])
        landing.write("heartbeat", day, source, [frame])
    registry = stage.registry
    registries = {
        "customers": registry.customers,
        "partners": registry.partners,
        "licences": registry.licences,
        "transfers": registry.transfers,
    }
    for feed, snapshot in registries.items():
        frames = [snapshot(number)]
        if sowing and feed != "transfers":
            frames.append(getattr(sowing.additions, feed)(number))
        for source in stage.seeds.sources_on(feed, day)[:1]:
            landing.write(feed, day, source, frames)
    _write_counts(stage, landing, day, usage)
    if sowing:
        _write_own_sources(sowing, landing, day)


def _write_own_sources(sowing: Sowing, landing: Landing, day: date) -> None:
    """The files of the sources that only the planted reference data expect."""
    number = day_number(day)
    if number != sowing.hole_on:
        frame = sowing.additions.heartbeat(number)
        landing.write("heartbeat", day, HEARTBEAT_SOURCE, [frame])
    if number == sowing.retracted_on:
        landing.retract("heartbeat", day, HEARTBEAT_SOURCE)
    if number != sowing.gap_on:
        frame = sowing.additions.second_registry(number)
        landing.write("customers", day, REGISTRY_SOURCE, [frame])


def _write_usage(stage: Stage, landing: Landing, day: date, usage: UsageDay) -> None:
    number, sowing = day_number(day), stage.sowing
    sources = stage.seeds.sources_on("usage", day)
    for source in sources:
        mine = stage.seeds.distributors_of(sources, source)
        if sowing is None or sowing.distributor not in mine:
            landing.write("usage", day, source, usage.frames(mine))
        elif number == sowing.missing_on:
            for _ in usage.frames(mine):  # counted, not written
                pass
        else:
            landing.write(
                "usage",
                day,
                source,
                _with_extras(usage.frames(mine), sowing, number),
                raw_lines=sowing.bad_usage_lines(number),
                truncated=number == sowing.corrupt_on,
            )
            if number == sowing.refused_on:
                landing.retract("usage", day, source, sha256="0" * 64)


def _with_extras(
    frames: Iterator[pl.DataFrame], sowing: Sowing, day: int
) -> Iterator[pl.DataFrame]:
    for frame in frames:
        yield sowing.thinned(frame, day)
    yield sowing.extra_usage(day)
    yield sowing.additions.usage(day)
    yield sowing.bad_usage_frame(day)


def _write_counts(stage: Stage, landing: Landing, day: date, usage: UsageDay) -> None:
    number, sowing = day_number(day), stage.sowing
    counts = usage.counts
    stage.firewalls.count(number, counts)
    usage.count_moved()

    def portal_off(customer: str, product: str) -> int:
        return sowing.deviations.get((customer, product), 0) if sowing else 0

    def psa_off(customer: str, product: str) -> int:
        return sowing.psa_deviations.get((customer, product), 0) if sowing else 0

    for source in stage.seeds.sources_on("portal_usage", day)[:1]:
        frame = stage.registry.portal(number, counts, portal_off)
        frames = [frame, sowing.additions.portal(number)] if sowing else [frame]
        lines = sowing.bad_portal_lines(number) if sowing else []
        landing.write("portal_usage", day, source, frames, raw_lines=lines)
    truth = stage.registry.portal(number, counts, lambda customer, product: 0)
    for source in stage.seeds.sources_on("psa_additions", day):
        frames = [stage.registry.psa(number, source, truth, psa_off)]
        if sowing:
            products = {
                code: theirs for psa, theirs, code in stage.seeds.psa_products if psa == source
            }
            frames.append(sowing.additions.psa(number, source, products))
        # The PSA sends no manifests, so that "unverified" is seen too.
        landing.write("psa_additions", day, source, frames, manifest=False)
