"""A home that was damaged: every command says what is amiss, and what makes it whole again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from house import House
from killing import Warm
from scenarios import Scenario, deliver_february

from ingest.journal import Journal


@pytest.fixture
def house(scenarios: dict[str, Scenario], tmp_path: Path) -> House:
    """January, closed but for the publication: its home as a person has it."""
    return scenarios["invoice taken back"].house(tmp_path)


def _flip(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(4100)
        (byte,) = file.read(1)
        file.seek(4100)
        file.write(bytes([byte ^ 1]))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cannot be read": _flip,
    "is missing": Path.unlink,
    "cannot be read (IO Error": lambda path: os.truncate(path, 0),
}


@pytest.mark.parametrize("told", DAMAGES)
def test_status_says_that_the_warehouse_has_to_be_made_again(
    warm: Warm, house: House, told: str
) -> None:
    whole = warm.does(house, "muster", "status")
    assert "rebuild` makes it again" not in whole.log
    warehouse = house.home / "warehouse.duckdb"
    DAMAGES[told](warehouse)
    said = warm.does(house, "muster", "status")
    assert said.code == 0
    assert f"{warehouse} {told}" in said.log
    assert "Nothing is lost with it: `muster rebuild` makes it again" in said.log


def test_a_load_on_a_damaged_warehouse_makes_it_again(warm: Warm, house: House) -> None:
    """Its headers are not the ones that were left."""
    assert warm.does(house, "muster", "load").code == 0
    marts = house.marts()
    _flip(house.home / "warehouse.duckdb")
    said = warm.does(house, "muster", "load")
    assert said.code == 0, said.log
    assert "is not as Musterhouse left it" in said.log
    assert "It is made again from archive and journal" in said.log
    assert house.marts() == marts


# What makes 47.35 of an invoice into something else, in every layer that leads to it.
STATEMENTS = (
    "delete from raw.usage where user_id = 'u-a'",
    "delete from intermediate.int_usage_activity where user_id = 'u-a'",
    "update billing.draft_invoice_customers set quantity = quantity - 1, amount = amount - 1",
    "update billing.draft_invoice_lines set quantity = quantity - 1, amount = amount - 1",
    "update billing.draft_invoices set total_amount = total_amount - 1",
)


@pytest.mark.parametrize("statements", [STATEMENTS, STATEMENTS[:1]])
def test_what_somebody_writes_into_the_warehouse_is_not_issued(
    warm: Warm, scenarios: dict[str, Scenario], tmp_path: Path, statements: tuple[str, ...]
) -> None:
    """The document is the one that is issued without them, to the byte, and so is everything."""
    whole = scenarios["gate, ledger and exports"].house(tmp_path / "whole")
    assert warm.does(whole, "muster", "close", "2026-01").code == 0
    house = scenarios["gate, ledger and exports"].house(tmp_path / "house")
    with duckdb.connect(house.home / "warehouse.duckdb") as conn:
        for statement in statements:
            (changed,) = conn.execute(statement).fetchall()[0]
            assert changed, statement
    assert "is not as Musterhouse left it" in warm.does(house, "muster", "status").log
    assert "is not as Musterhouse left it" in warm.does(house, "month_end", "2026-01").log
    assert not list(house.home.glob("ledger/*/*.json"))
    closed = warm.does(house, "muster", "close", "2026-01")
    assert closed.code == 0, closed.log
    assert (house.ledger(), house.exports()) == (whole.ledger(), whole.exports())
    assert house.marts() == whole.marts()
    assert "is not as Musterhouse left it" not in warm.does(house, "muster", "status").log


def test_a_damaged_publication_is_named(warm: Warm, house: House) -> None:
    current = house.home / "published/current.duckdb"
    _flip(current)
    for command in (("status",), ("sql", "select 1")):
        said = warm.does(house, "muster", *command)
        assert said.code == 1
        assert f"{current} cannot be read" in said.log
        assert "`muster rebuild`" in said.log
        assert "Traceback" not in said.log


def test_a_half_created_warehouse_is_made_anew(
    warm: Warm, scenarios: dict[str, Scenario], tmp_path: Path
) -> None:
    """As a kill during its creation leaves it: a temporary name, and a log of one that is gone."""
    house = scenarios["files received"].house(tmp_path)
    (house.home / "warehouse.duckdb").unlink(missing_ok=True)
    for name in ("warehouse.duckdb.creating", "warehouse.duckdb.wal"):
        (house.home / name).write_bytes(b"half of one")
    assert warm.does(house, "receive").code == 0
    assert not (house.home / "warehouse.duckdb.creating").exists()


def test_status_names_exports_that_are_not_what_the_ledger_says(warm: Warm, house: House) -> None:
    """As after a kill between the document and its files."""
    assert "do not send it" not in warm.does(house, "muster", "status").log
    folder = house.home / "exports/2026-01/alpenland"
    (folder / "manifest.json").unlink()
    said = warm.does(house, "muster", "status").log
    assert f"{folder} does not hold what the ledger says for it, so do not send it" in said


@pytest.mark.long
def test_a_journal_from_a_backup_has_what_landed_since_taken_in_again(
    warm: Warm, house: House, tmp_path: Path
) -> None:
    """The repair of a damaged journal: journal and archive from one backup, and nothing else.

    January's backup is from before February landed. What is then issued is what was to be issued.
    """
    february = replace(house, landing=tmp_path / "landing")
    shutil.copytree(house.landing, february.landing, copy_function=shutil.copy2)
    backup = tmp_path / "backup"
    for name in ("journal", "archive"):
        copied = shutil.copytree if name == "archive" else shutil.copyfile
        backup.mkdir(exist_ok=True)
        copied(house.home / name, backup / name)
    deliver_february(february.landing)
    assert warm.does(february, "muster", "load").code == 0
    whole = replace(february, home=tmp_path / "whole")
    shutil.copytree(february.home, whole.home, symlinks=True)
    assert warm.does(whole, "muster", "close", "2026-02").code == 0

    (february.home / "journal").unlink()
    shutil.rmtree(february.home / "archive")
    shutil.copyfile(backup / "journal", february.home / "journal")
    shutil.copytree(backup / "archive", february.home / "archive")
    told = warm.does(february, "muster", "status").log
    assert "The journal was restored from before" in told
    # The step that issues refuses whoever asks, such as a run of the UI.
    refused = warm.does(february, "month_end", "2026-02").log
    assert "so nothing is issued. Run `muster load`" in refused
    closed = warm.does(february, "muster", "close", "2026-02")
    assert closed.code == 0, closed.log
    assert "was restored from a backup" in closed.log
    assert (february.exports(), february.marts()) == (whole.exports(), whole.marts())
    assert "was restored" not in warm.does(february, "muster", "status").log
    assert warm.does(february, "muster", "verify").code == 0


def test_nothing_is_made_of_an_archive_with_a_file_missing(warm: Warm, house: House) -> None:
    before = (house.ledger(), house.exports(), house.marts())
    (entry,) = [
        one
        for one in Journal(house.home / "journal").entries()
        if one.feed == "usage" and one.kind == "accepted"
    ]
    path = house.home / "archive" / entry.sha256
    path.unlink()
    assert f"{entry.file_name}: {path} is missing" in warm.does(house, "muster", "status").log
    for command in (("load",), ("close", "2026-01"), ("backup", "--to", f"{house.home}-backup")):
        refused = warm.does(house, "muster", *command)
        assert (refused.code, f"- {entry.file_name}: {path}" in refused.log) == (1, True), command
    assert warm.does(house, "muster", "verify").code == 1
    assert (house.ledger(), house.exports(), house.marts()) == before
