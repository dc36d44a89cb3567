"""Coverage-guided fuzzing of the parser, with Atheris: any bytes, any manifest, no crash.

    make fuzz                       two minutes in each format
    make fuzz FUZZ="csv -runs=1000" one format, libFuzzer's own options

What is found stands in tests/unit/ingest/corpus.py as a row, not here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ingest"]):
    from ingest.contracts import FEEDS
    from ingest.landing import Format
    from ingest.parse import parse
    from ingest.reasons import Rejected, printable

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "ingest"))
import corpus
from landing_site import DAY

_FEEDS = tuple(FEEDS)
# Between a file and its manifest; neither holds it otherwise.
_SPLIT = b"\x00MANIFEST\x00"
_folder = Path(tempfile.mkdtemp(prefix="fuzz-"))


def run(format: Format, data: bytes) -> None:
    """First byte: the feed. Then the file, and perhaps a manifest."""
    content, has_manifest, manifest = data[1:].partition(_SPLIT)
    path = _folder / "file"
    path.write_bytes(content)
    feed = _FEEDS[(data[0] if data else 0) % len(_FEEDS)]
    try:
        parsed = parse(path, format, FEEDS[feed], DAY, 10, manifest if has_manifest else None)
    except Rejected as error:
        refusal = error.detail
    else:
        refusal = None
    if refusal is not None:
        assert refusal == printable(refusal, longest=None), ascii(refusal)
        return
    # Every row is accounted for once, and every place can be told.
    numbers = [*parsed.accepted["row_number"], *parsed.quarantined["row_number"]]
    assert len(numbers) == len(set(numbers))
    assert len(numbers) + parsed.duplicates == parsed.rows_in_file
    assert parsed.quarantined["line_number"].null_count() == 0


def seeds(format: Format) -> Path:
    """The corpus's own files, as a folder that libFuzzer starts from."""
    folder = _folder / "seeds"
    folder.mkdir()
    for number, case in enumerate(corpus.CASES):
        content = case.make(f"c{number:04d}")
        if case.format is format and len(content) < 4_000:
            note = _SPLIT + case.manifest(content) if case.manifest else b""
            name = folder / f"{number:04d}"
            name.write_bytes(bytes([_FEEDS.index(case.feed)]) + content + note)
    return folder


if __name__ == "__main__":
    wanted = Format(sys.argv[1])
    arguments = [sys.argv[0], *sys.argv[2:], str(seeds(wanted))]
    atheris.Setup(arguments, lambda data: run(wanted, data))
    atheris.Fuzz()
