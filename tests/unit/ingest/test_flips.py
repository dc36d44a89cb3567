"""One bit of a landing file flipped, at 500 places a format: what is noticed and what is not.

With a manifest nothing passes; what passes without one is counted against a bound that is derived.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from landing_site import DAY, in_format, usage

from ingest.contracts import FEEDS
from ingest.landing import Format
from ingest.parse import Parsed, parse
from ingest.reasons import Rejected

PLACES = 500
ROWS = 60


def whole(folder: Path, format: Format) -> bytes:
    lines = [
        f"c{n % 7} EPADV device-{n:04} user-{n % 31:03} {n % 24:02}:00:00" for n in range(ROWS)
    ]
    in_format(usage(*lines), format, "usage", folder / "whole")
    return (folder / "whole").read_bytes()


def flips(content: bytes) -> list[bytes]:
    """500 copies, one bit of each flipped; of a smaller file some bytes more than once."""
    draw = random.Random(20260115)
    flipped = []
    for place in range(PLACES):
        damaged = bytearray(content)
        damaged[place * len(content) // PLACES] ^= 1 << draw.randrange(8)
        flipped.append(bytes(damaged))
    return flipped


def read(folder: Path, content: bytes, format: Format, manifest: bytes | None) -> Parsed | None:
    """None when it is refused."""
    path = folder / "file"
    path.write_bytes(content)
    try:
        return parse(path, format, FEEDS["usage"], DAY, 10, manifest)
    except Rejected:
        return None


@pytest.mark.parametrize("format", list(Format))
def test_with_a_manifest_no_flip_changes_a_value(tmp_path: Path, format: Format) -> None:
    content = whole(tmp_path, format)
    sha256 = hashlib.sha256(content).hexdigest()
    manifest = json.dumps({"rows": ROWS, "sha256": sha256}).encode()
    original = read(tmp_path, content, format, manifest)
    assert original is not None
    assert original.accepted.height == ROWS
    assert original.verified
    assert [read(tmp_path, one, format, manifest) for one in flips(content)] == [None] * PLACES
    # A flip of the manifest itself may cost the file, or its being verified, but no value.
    for one in flips(manifest):
        found = read(tmp_path, content, format, one)
        assert found is None or found.accepted.equals(original.accepted)


# The largest part of all flips that can pass unseen without a manifest.
BOUND = {
    # The highest bit of an ASCII character makes it invalid UTF-8, and the file is refused. Any
    # other bit may turn one letter of an id into another: seven of eight.
    Format.CSV: 7 / 8,
    # CRC-32 finds every single flipped bit of the text, and all but one in 2^32 of what the
    # unpacking makes of a flip; of the header's bytes none is a value.
    Format.CSV_GZ: 0.0,
    # Nothing protects a page. Four in ten were seen to pass in larger files; three standard
    # deviations of 500 draws are seven in a hundred (3 x sqrt(0.4 x 0.6 / 500) = 0.066).
    Format.PARQUET: 0.47,
}


@pytest.mark.parametrize("format", list(Format))
def test_without_a_manifest_no_more_passes_than_can(tmp_path: Path, format: Format) -> None:
    content = whole(tmp_path, format)
    original = read(tmp_path, content, format, None)
    assert original is not None
    seen: Counter[str] = Counter()
    for one in flips(content):
        found = read(tmp_path, one, format, None)
        if found is None:
            seen["refused"] += 1
        elif found.quarantined.height:
            seen["rows quarantined"] += 1
        elif found.accepted.equals(original.accepted):
            seen["nothing changed"] += 1
        else:
            seen["changed unseen"] += 1
    assert sum(seen.values()) == PLACES
    assert seen["changed unseen"] <= BOUND[format] * PLACES, seen
    print(f"{format}: {dict(sorted(seen.items()))}")
