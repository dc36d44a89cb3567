"""Homes that released versions left behind live on: nothing in them changes, all can be rebuilt.

Run as a program it writes the home of the present version to tests/releases, once for a release:
invoices, a credit note for late data, a cancelled invoice and the one issued in its place.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from house import REPOSITORY, House, tree
from tiny import month_end, seeds, usage, write

RELEASES = REPOSITORY / "tests/releases"
VERSIONS = sorted(path.name for path in RELEASES.glob("[0-9]*"))


@pytest.fixture(scope="module", params=VERSIONS)
def lived_on(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("release")
    house = House(root / "home", root / "landing", root / "no-seeds")
    house.muster("restore", "--from", str(RELEASES / request.param / "backup"))
    shutil.copyfile(RELEASES / request.param / "exports.json", root / "exports.json")
    house.muster("rebuild")
    return house


def test_its_documents_verify_and_render_to_the_bytes_that_were_sent(lived_on: House) -> None:
    sent = json.loads((lived_on.home.parent / "exports.json").read_text())
    rendered = lived_on.exports()
    # A later version may add renderings to a folder, and has to name them in its manifest.
    assert {name: rendered.get(name) for name in sent if not name.endswith("manifest.json")} == {
        name: sha for name, sha in sent.items() if not name.endswith("manifest.json")
    }
    told = lived_on.ask("status")
    assert {one["state"] for one in told["periods"]} == {"issued"}


@pytest.mark.long
def test_each_of_its_documents_can_be_made_again(lived_on: House) -> None:
    ledger = lived_on.home / "ledger/alpenland"
    numbers = [
        json.loads(path.read_bytes())["content"]["number"]
        for path in sorted(ledger.glob("[0-9]*.json"))
    ]
    assert len(numbers) == 5
    for number in numbers:
        assert "Identical, byte for byte." in lived_on.muster("reproduce", number)


def _write_present_version() -> Path:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    target = RELEASES / version
    if target.exists():
        raise SystemExit(f"{target} is there: what a version left behind is never written again.")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        house = House(root / "home", root / "landing", seeds(root / "seeds"))
        users = usage("C1", ["a1", "a2", "a3"], "2026-01-31")
        month_end(house.landing, "2026-01-31", users + usage("C2", ["b1"], "2026-01-31"))
        house.muster("close", "2026-01")
        late = usage("C2", ["b2"], "2026-01-20")
        write(house.landing, "usage", "2026-01-30", "eu-central", late)
        month_end(house.landing, "2026-02-28", usage("C1", ["a1", "a4"], "2026-02-27"))
        house.muster("close", "2026-02")
        cancel = ["--reason", "wrong cut-off", "--by", "Ada", "--on", "2026-03-02"]
        house.muster("cancel", "ALPENLAND-000003", *cancel)
        house.muster("close", "2026-02")
        house.muster("backup", "--to", str(target / "backup"))
        (target / "exports.json").write_text(json.dumps(house.exports(), indent=1) + "\n")
        assert tree(house.home / "exports")
    return target


if __name__ == "__main__":
    sys.stdout.write(f"{_write_present_version()} written\n")
