"""Makes a vendor on which product and oracle differ as small as it gets, many attempts a home."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import rulebook
from product import Product, compare_drafts, differences
from rulebook import Policies
from vendors import PERIODS, Cut, Vendor, cuts, sound


def signature(text: str) -> str:
    """The kind of a difference, without the names and figures of its vendor."""
    text = re.sub(r"^\S+ \S+ ", "", text)
    return re.sub(r"'[^']*\d[^']*'|Decimal\([^)]*\)|\d+|[()\[\]{}, ]+", " ", text)[:160]


def size(vendor: Vendor) -> int:
    rows = sum(len(f.rows or ()) + 1 for f in vendor.files)
    return 10 * rows + 5 * len(vendor.distributors) + sum(len(p.bands) for p in vendor.prices)


@dataclass
class Job:
    vendor: Vendor
    wanted: str  # the signature that must stay
    done: bool = False


def run(folder: Path, vendors: Mapping[str, Vendor], policies: Policies) -> dict[str, set[str]]:
    """Load everything at once into a new home; the signatures of each vendor's differences."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    product = Product(folder, dict(vendors), policies)
    product.write_seeds()
    for number in range(PERIODS):
        product.deliver(number)
        if any(f.rows is None and f.round == number + 1 for v in vendors.values() for f in v.files):
            product.muster("load")
    product.muster("load")
    found = compare_drafts(product, PERIODS - 1, product.found())
    return {key: {signature(text) for text in said} for key, said in found.items()}


def reduce(folder: Path, jobs: Sequence[Job], policies: Policies, attempts: int = 240) -> None:
    """Cut the vendors of all jobs at once, until no single cut leaves the difference."""
    while open_jobs := [job for job in jobs if not job.done]:
        share = max(8, attempts // len(open_jobs))
        tried: dict[str, tuple[Job, list[Cut]]] = {}
        vendors: dict[str, Vendor] = {}
        for n, job in enumerate(open_jobs):
            for at, cut in enumerate(cuts(job.vendor)):
                smaller = sound(cut(job.vendor))
                if size(smaller) < size(job.vendor) and at < 10_000:
                    key = f"j{n}x{at}"
                    tried[key] = (job, [cut])
                    vendors[key] = smaller
                if sum(one is job for one, _ in tried.values()) >= share:
                    break
        found = run(folder, vendors, policies)
        good = {k: t for k, t in tried.items() if t[0].wanted in found.get(k, ())}
        # Together, then half of them, and so on: the largest that still differs is taken.
        together: dict[str, tuple[Job, Vendor]] = {}
        for n, job in enumerate(open_jobs):
            hits = [(k, t[1][0]) for k, t in good.items() if t[0] is job]
            if not hits:
                job.done = True
                continue
            count = len(hits)
            while count:
                vendor = job.vendor
                for _, cut in hits[:count]:
                    vendor = sound(cut(vendor))
                together[f"j{n}y{count}"] = (job, vendor)
                count //= 2
        if not together:
            return
        found = run(folder, {k: v for k, (_, v) in together.items()}, policies)
        for k, (job, vendor) in together.items():
            if job.wanted in found.get(k, ()) and size(vendor) < size(job.vendor):
                job.vendor = vendor


__all__ = ["Job", "differences", "reduce", "rulebook", "run", "signature", "size"]
