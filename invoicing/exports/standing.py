"""How the folders of a ledger stand: which are not there yet, or speak of too few documents.

Looking only, without what renders them; `folder` puts them in place.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from invoicing.exports.exported import ExportedFile
from invoicing.exports.ledger_journal import ledger_journal_csv
from invoicing.ledger import Document, Ledger

MANIFEST = "manifest.json"
# The vendor's own files of a period, sent to nobody. No distributor's id begins like this.
OWN = "_vendor"


def unfinished(ledger: Ledger, exports_root: Path) -> list[Path]:
    """Folders that are missing, without a manifest, or of fewer documents than were issued.

    Reads the manifests only, so it costs little; a file that was edited since is not noticed.
    """
    wanted: dict[Path, list[str]] = {}
    of_period: dict[Path, list[Document]] = defaultdict(list)
    for document in ledger.documents():
        folder = exports_root / document.period / document.distributor_id
        wanted.setdefault(folder, []).append(document.provenance["content_sha256"])
        of_period[folder.parent / OWN].append(document)
    folders = [one for one, contents in sorted(wanted.items()) if _spoken_of(one) != contents]
    own = sorted(of_period.items())
    return [*folders, *(one for one, documents in own if not is_own(own_file(documents), one))]


def own_file(documents: Iterable[Document]) -> ExportedFile:
    """What the vendor keeps of the documents of a period, all distributors together."""
    return ledger_journal_csv(document.content for document in documents)


def is_own(file: ExportedFile, folder: Path) -> bool:
    """Whether the vendor's folder of a period holds this very file."""
    try:
        return (folder / file.path).read_bytes() == file.body
    except FileNotFoundError:
        return False


def _spoken_of(folder: Path) -> list[str]:
    """The hashes of the documents that the folder's manifest names."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        return [document["content_sha256"] for document in manifest["documents"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
