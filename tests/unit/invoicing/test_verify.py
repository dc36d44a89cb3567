"""Whatever is done to one file of a ledger or its exports, verify names that file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from billing_marts import Warehouse, add_period, correct_january, fill_january

from invoicing import disputes, documents, gate, heads, notes
from invoicing.canonical import JsonObject, canonical_json, sha256
from invoicing.exports import folder as exports_folder
from invoicing.exports import render_period
from invoicing.heads import Anchor
from invoicing.ledger import FOLLOWS, Document, Ledger, LedgerError
from invoicing.verify import BrokenError, Check, checks_of, run

MARCH = date(2026, 3, 5)
# In each file of the ledger, and of the exports, whose files are compared whole.
POSITIONS = {"ledger": 18, "exports": 1}


def close(warehouse: Warehouse, ledger: Ledger, period: str) -> list[Document]:
    gate.decide(warehouse.conn, ledger, period, [])
    return documents.issue(warehouse.conn, ledger, period)


def count_user(warehouse: Warehouse, counts: bool) -> None:
    """Whether C001's second user of January counts: with it 2 users, as invoiced, without it 1."""
    warehouse.conn.execute(
        "update billing.draft_roster set is_counted = ?, reason = ? "
        "where unit_id = 'u-b' and period = '2026-01'",
        [counts, None if counts else "inactive"],
    )


def fill(home: Path) -> Ledger:
    """Eight documents: three of January, one of them nil; in February a credit note and two
    invoices; January cancelled and issued again. Two dispute notes and a held draft of March."""
    warehouse, ledger = Warehouse(), Ledger(home / "ledger")
    fill_january(warehouse)
    close(warehouse, ledger, "2026-01")
    disputes.record(ledger, "ALPENLAND-000001", 1, text="too many", by="A. Clerk", on=MARCH)
    correct_january(warehouse)
    count_user(warehouse, False)
    add_period(warehouse, "2026-02")
    add_period(warehouse, "2026-02", "sakura")
    close(warehouse, ledger, "2026-02")
    disputes.record(ledger, "ALPENLAND-000001", 1, text="right", by="A. Clerk", on=MARCH)
    notes.cancel(ledger, "ALPENLAND-000001", reason="wrong price list", by="Ada", on=MARCH)
    count_user(warehouse, True)
    close(warehouse, ledger, "2026-01")
    add_period(warehouse, "2026-03")
    warehouse.conn.execute(
        "update billing.draft_invoices set is_complete = false where period = '2026-03'"
    )
    (*_, held) = gate.decide(warehouse.conn, ledger, "2026-03", [])
    assert held.state == "held"
    for period in ("2026-01", "2026-02", "2026-03"):
        render_period(ledger, period, home / "exports")
    return ledger


@pytest.fixture(scope="module", autouse=True)
def _rendered_once() -> Iterator[None]:
    """What is rendered follows from the content alone, so a thousand looks at a home need it once.

    That it does is tested in test_workbooks and test_papers.
    """

    def once(make: Callable[..., Any]) -> Callable[..., Any]:
        made: dict[bytes, Any] = {}

        def of(content: JsonObject, *others: Any) -> Any:
            key = canonical_json(content) + repr(others).encode()
            if key not in made:
                made[key] = make(content, *others)
            return made[key]

        return of

    with pytest.MonkeyPatch.context() as patch:
        for name in ("invoice", "note", "statements"):
            for suffix in ("pdf", "xlsx"):
                function = f"{name}_{suffix}"
                patch.setattr(exports_folder, function, once(getattr(exports_folder, function)))
        yield


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("verified") / "home"
    fill(home)
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "home")
    return tmp_path / "home"


def checked(home: Path, *noted: str) -> list[Check]:
    return list(run(checks_of(Ledger(home / "ledger"), home / "exports", noted)))


def broken(home: Path, *noted: str) -> BrokenError | None:
    found = [check.broken for check in checked(home, *noted) if check.broken]
    assert len(found) <= 1
    return found[0] if found else None


def named(home: Path, path: Path) -> str:
    """How verify calls a file: by its place in the ledger, or below exports/."""
    return path.relative_to(home).as_posix().removeprefix("ledger/")


def files(home: Path) -> list[Path]:
    return sorted(path for path in home.rglob("*") if path.is_file())


def one_of_each(home: Path) -> list[Path]:
    """All of the ledger, and of the exports a file of each kind: they are compared as bytes."""
    exports = {path.suffix: path for path in reversed(files(home / "exports"))}
    manifests = [path for path in files(home / "exports") if path.name == "manifest.json"]
    return sorted({*files(home / "ledger"), *exports.values(), *manifests})


@contextmanager
def put_back(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    path.write_bytes(data)


LAST = "alpenland/000005.json"


def test_an_unharmed_home_is_good_and_says_how_much_was_looked_at(home: Path) -> None:
    found = {check.name: check.looked_at or "" for check in checked(home)}
    assert broken(home) is None
    # Lines: 3 + 1 + 0 of January, 1 of the note, 1 + 1 of February, 3 taken back, 3 anew.
    # Customers: 6 + 1 + 1, of the note 2, 1 + 1; C001 with two products, C002 and C004 taken back
    # (C003 and Server Advanced were 0), and 6 again.
    # Units: 9 + 2 + 0, of the note 8, 1 + 3, none, 9.
    assert found["figures"] == "13 lines, 22 customers, 32 units counted in the rosters"
    # Eight documents (3 of Alpenland's four numbers would be 3: 1, note 2, 3, credit 4, 5) and the
    # two notes of the dispute.
    assert found["heads"].startswith("10 lines")
    assert found["documents"].startswith("8 of 3 distributors, 8 as the heads have them")
    assert found["chains"].startswith("8 sequences and 7 numbers")
    assert found["disputes"] == "1 with 2 notes"
    assert found["releases"].startswith("6 records, 5 of them")


def test_any_bit_of_any_file(home: Path) -> None:
    """Every file, and in each the first, the last and, of the ledger's, positions all over it."""
    paths = files(home)
    tried = 0
    for path in paths:
        with put_back(path) as data:
            step = max(1, len(data) // POSITIONS[path.relative_to(home).parts[0]])
            for position in {*range(0, len(data), step), len(data) - 1}:
                flipped = bytearray(data)
                flipped[position] ^= 1 << (position % 8)
                path.write_bytes(flipped)
                found = broken(home)
                assert found, (path, position, data[position : position + 20])
                assert found.file == named(home, path), (position, str(found))
                tried += 1
    assert tried > 500
    assert broken(home) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data + b"x",
        lambda data: data + b"\n",
        lambda data: b" " + data,
    ],
    ids=["half", "last byte", "empty", "a byte more", "a line more", "a byte before"],
)
def test_any_file_cut_or_grown(home: Path, change: Callable[[bytes], bytes]) -> None:
    for path in one_of_each(home):
        with put_back(path) as data:
            path.write_bytes(change(data))
            found = broken(home)
            assert found, path
            assert found.file == named(home, path), str(found)
    assert broken(home) is None


def test_any_file_removed(home: Path) -> None:
    for path in files(home):
        with put_back(path):
            path.unlink()
            found = broken(home)
            if path.name == "alpenland.EUR.json" and path.parent.name == "2026-03":
                # A held draft is decided on again by every close: no record of it is evidence.
                assert found is None
            else:
                assert found, path
                assert found.file == named(home, path), str(found)


def test_any_file_added(home: Path) -> None:
    for folder in sorted({path.parent for path in files(home)} | {home / "ledger/nobody"}):
        for name in ("notes.txt", "000099.json", "000099.roster.parquet", ".hidden", ".a.tmp"):
            path = folder / name
            folder.mkdir(exist_ok=True)
            path.write_bytes(b"{}")
            found = broken(home)
            assert found, path
            assert found.file == named(home, path), str(found)
            path.unlink()
    assert broken(home) is None


def test_documents_swapped_or_copied(home: Path) -> None:
    folder = home / "ledger/alpenland"
    one, two = folder / "000001.json", folder / "000003.json"
    with put_back(one) as first, put_back(two) as second:
        one.write_bytes(second)
        two.write_bytes(first)
        assert (found := broken(home))
        assert found.file == "alpenland/000001.json"
        assert sha256(first) in found.what
        assert sha256(second) in found.what
    for suffix in (".json", ".roster.parquet"):
        shutil.copy(folder / f"000005{suffix}", folder / f"000006{suffix}")
    assert (found := broken(home))
    assert found.file == "alpenland/000006.json"
    assert "does not match its sequence 5" in found.what


def test_heads_moved_or_taken_out(home: Path) -> None:
    path = home / "ledger/heads.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for position in range(len(lines)):
        without = [*lines[:position], *lines[position + 1 :]]
        path.write_bytes(b"".join(without))
        assert (found := broken(home))
        assert found.file == "heads.jsonl"
        path.write_bytes(b"".join([*without, lines[position]]))
        assert position == len(lines) - 1 or (found := broken(home))
        assert found.file == "heads.jsonl"
    path.write_bytes(b"".join([*lines, lines[-1]]))
    assert (found := broken(home))
    assert found.file == "heads.jsonl"


def take_last_out(home: Path) -> None:
    """Alpenland's last document, its roster and its release: what nothing else points at."""
    for name in ("000005.json", "000005.roster.parquet"):
        (home / "ledger/alpenland" / name).unlink()


def test_the_last_document_removed_leaves_a_trace(home: Path) -> None:
    take_last_out(home)
    assert (found := broken(home))
    assert found.file == LAST
    assert "is missing, expected ALPENLAND-000005" in found.what
    # Nothing is issued on top of it either.
    ledger = Ledger(home / "ledger")
    with pytest.raises(LedgerError, match=r"alpenland/000005.json is missing"):
        ledger.check()
    with pytest.raises(LedgerError, match=r"alpenland/000005.json is missing"):
        ledger.recover()


def forge_last(home: Path) -> dict[str, Any]:
    """The last document with twice the firewalls' price, right in itself and in its chain.

    Alpha's firewalls were 46.00: now 3 x 20 + 2 x 16 = 92.00, and the total 93.35.
    """
    path = home / "ledger" / LAST
    value: dict[str, Any] = json.loads(path.read_bytes())
    line = value["content"]["lines"][1]
    for band, price in zip(line["bands"], ("20.00", "16.00"), strict=True):
        band["unit_price"] = price
    line["amount"] = line["customers"][0]["amount"] = "92.00"
    from invoicing.content import totals_of

    content = value["content"]
    content["totals"] = totals_of(Decimal("93.35"), 2, content["lines"], content["unused"])
    content["tax"]["taxable_amount"] = content["tax"]["payable_amount"] = "93.35"
    value["provenance"]["content_sha256"] = sha256(canonical_json(content))
    path.write_bytes(canonical_json(value))
    return value


def test_the_last_document_replaced_by_one_that_is_right_in_itself(home: Path) -> None:
    forge_last(home)
    assert (found := broken(home))
    assert found.file == LAST
    assert "heads.jsonl, line 10" in found.what
    with pytest.raises(LedgerError, match=r"000005.json is not what was issued"):
        Ledger(home / "ledger").check()


def test_who_rewrites_the_heads_too_is_found_by_a_head_noted_outside(home: Path) -> None:
    """A forger of everything: document, heads, release, exports. What a person noted remains."""
    head = Ledger(home / "ledger").heads().sha256
    sent = json.loads((home / "exports/2026-01/alpenland/manifest.json").read_bytes())
    content = sent["documents"][-1]["content_sha256"]
    assert head
    assert broken(home, head, content) is None
    forged = forge_last(home)
    release = home / "ledger/releases/2026-01/alpenland.EUR.json"
    record = json.loads(release.read_bytes())
    del record["sha256"]
    record["total_amount"] = "93.35"
    release.write_bytes(canonical_json({**record, "sha256": sha256(canonical_json(record))}))
    path = home / "ledger/heads.jsonl"
    *lines, last = path.read_bytes().splitlines(keepends=True)
    anchor = Anchor.from_line(last.rstrip(b"\n"))
    said = anchor.committed
    rewritten = Anchor(
        anchor.line,
        anchor.previous_sha256,
        type(said)(said.file, said.sequence, said.number, sha256(canonical_json(forged))),
    )
    path.write_bytes(b"".join([*lines, rewritten.to_line()]))
    for period in ("2026-01", "2026-02", "2026-03"):
        render_period(Ledger(home / "ledger"), period, home / "exports")
    assert broken(home) is None
    for noted in (head, content):
        assert (found := broken(home, noted))
        assert noted in found.what
    # An earlier head still holds: only the last line was rewritten.
    assert broken(home, Anchor.from_line(lines[-1].rstrip(b"\n")).sha256) is None


def test_a_figure_wrong_in_document_and_chain_is_named(home: Path) -> None:
    """A fault from before it was signed: everything agrees, but the roster says otherwise."""
    ledger = Ledger(home / "ledger")
    path = ledger.document_path("sakura", 2)
    value = json.loads(path.read_bytes())
    value["content"]["roster"]["counted"] = 4
    value["provenance"]["content_sha256"] = sha256(canonical_json(value["content"]))
    data = canonical_json(value)
    path.write_bytes(data)
    resign(home, path)
    assert (found := broken(home))
    assert found.file == "sakura/000002.json"
    assert "3 rows and 4 counted, found 3 and 3" in found.what


def resign(home: Path, path: Path) -> None:
    """Give the heads and every document after `path` the hashes they would have with it."""
    root = home / "ledger"
    before_forgery = Ledger(root).heads()
    made: list[Anchor] = []
    before: str | None = None
    ends: dict[str, str] = {}
    for anchor in before_forgery.anchors:
        said = anchor.committed
        digest = said.file_sha256
        if said.file != disputes.FILE:
            file = root / said.file
            value = json.loads(file.read_bytes())
            owner = said.file.split("/")[0]
            value["provenance"][FOLLOWS] = before
            value["provenance"]["previous_document_sha256"] = ends.get(owner)
            file.write_bytes(canonical_json(value))
            before = ends[owner] = digest = sha256(file.read_bytes())
        last = made[-1].sha256 if made else None
        committed = type(said)(said.file, said.sequence, said.number, digest)
        made.append(Anchor(anchor.line, last, committed))
    (root / "heads.jsonl").write_bytes(b"".join(anchor.to_line() for anchor in made))


def rechain(home: Path, note: dict[str, Any]) -> None:
    """Alpenland's second document replaced, and the chains of content after it renewed as well."""
    digest = ""
    for sequence in range(2, 6):
        file = home / f"ledger/alpenland/{sequence:06d}.json"
        one = note if sequence == 2 else json.loads(file.read_bytes())
        if sequence > 2:
            one["content"]["previous_content_sha256"] = digest
        digest = sha256(canonical_json(one["content"]))
        one["provenance"]["content_sha256"] = digest
        file.write_bytes(canonical_json(one))
    resign(home, home / "ledger/alpenland/000002.json")


def change_price(content: dict[str, Any]) -> None:
    content["lines"][0]["bands"][0]["unit_price"] = "99"


def change_total(content: dict[str, Any]) -> None:
    content["totals"]["products"][0]["units"] = 4


def change_money(content: dict[str, Any]) -> None:
    content["lines"][0]["amount"] = content["lines"][0]["customers"][0]["amount"] = "300.0"


def change_customer(content: dict[str, Any]) -> None:
    content["lines"][0]["customers"][0]["customer_id"] = "C701"


def change_rate(content: dict[str, Any]) -> None:
    content["tax"]["rate"] = "10.00"


def drop_tax(content: dict[str, Any]) -> None:
    content["tax"] = None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        # Three users at 99 yen are 297, not 300.
        (change_price, "line 1: its bands give 3 units and 297, expected 3 and 300"),
        (change_total, "total products is"),
        (change_money, "300.0 is not an amount in JPY"),
        (change_rate, "tax_amount is 0, expected 30"),
        (drop_tax, "tax is None, but it is taxed"),
        (change_customer, "bills 0 of P0021 EPSTD C700, its roster counts 3"),
    ],
)
def test_each_figure_is_worked_out_again(
    home: Path, change: Callable[[dict[str, Any]], None], fault: str
) -> None:
    path = home / "ledger/sakura/000002.json"
    value = json.loads(path.read_bytes())
    change(value["content"])
    value["provenance"]["content_sha256"] = sha256(canonical_json(value["content"]))
    path.write_bytes(canonical_json(value))
    resign(home, path)
    assert (found := broken(home))
    assert found.file == "sakura/000002.json"
    assert fault in found.what


def test_a_note_is_taxed_as_its_invoice(home: Path) -> None:
    # The credit note's category alone, in its own document and in the chain after it.
    path = home / "ledger/alpenland/000002.json"
    value = json.loads(path.read_bytes())
    value["content"]["tax"]["category"] = "Z"
    rechain(home, value)
    assert (found := broken(home))
    assert "tax category is Z, the corrected invoice has AE" in found.what


def test_a_note_says_what_was_billed_and_what_it_leaves(home: Path) -> None:
    path = home / "ledger/alpenland/000002.json"
    value = json.loads(path.read_bytes())
    customer = value["content"]["lines"][0]["customers"][0]
    # C001 was billed 0.67; a note that says 0.68 and leaves 0.35 is the same difference.
    customer["billed_amount"], customer["known_amount"] = "0.68", "0.35"
    rechain(home, value)
    assert (found := broken(home))
    assert found.file == "alpenland/000002.json"
    assert "line 1, C001: says 0.68 amount was billed" in found.what


# A run that was killed ------------------------------------------------------------------------


def strip_last_line(home: Path) -> bytes:
    path = home / "ledger/heads.jsonl"
    data = path.read_bytes()
    *lines, _ = data.splitlines(keepends=True)
    path.write_bytes(b"".join(lines))
    return data


@pytest.mark.parametrize("torn", [0, 1, 40, 200])
def test_a_kill_between_document_and_head_is_healed_by_the_next_run(home: Path, torn: int) -> None:
    path = home / "ledger/heads.jsonl"
    whole = strip_last_line(home)
    before = path.read_bytes()
    path.write_bytes(whole[: len(before) + torn])
    assert (found := broken(home))
    assert found.file == "heads.jsonl"
    assert "muster close" in found.action
    ledger = Ledger(home / "ledger")
    ledger.check()  # a killed run is no damage: nobody has to restore anything
    ledger.recover()
    assert path.read_bytes() == whole
    assert broken(home) is None
    ledger.recover()
    assert path.read_bytes() == whole


def test_two_documents_without_a_head_are_no_killed_run(home: Path) -> None:
    path = home / "ledger/heads.jsonl"
    strip_last_line(home)
    strip_last_line(home)
    with pytest.raises(LedgerError, match=r"heads.jsonl does not name alpenland/000004.json"):
        Ledger(home / "ledger").recover()
    assert len(path.read_bytes().splitlines()) == 8


def test_two_documents_after_the_same_one_are_no_killed_run(tmp_path: Path) -> None:
    """Each alone is what a killed run leaves: it fits its chain and follows the last line."""
    warehouse, roots = Warehouse(), (tmp_path / "one", tmp_path / "two")
    fill_january(warehouse)
    close(warehouse, Ledger(roots[0]), "2026-01")
    of_january = (roots[0] / "heads.jsonl").read_bytes()
    shutil.copytree(roots[0], roots[1])
    for root, distributor_id in zip(roots, ("alpenland", "sakura"), strict=True):
        february = Warehouse()
        add_period(february, "2026-02", distributor_id)
        close(february, Ledger(root), "2026-02")
        (root / "heads.jsonl").write_bytes(of_january)
        assert Ledger(root).verify() is None
    for path in (roots[1] / "sakura").glob("000002.*"):
        shutil.copy(path, roots[0] / "sakura" / path.name)
    assert Ledger(roots[0]).verify() == (
        "heads.jsonl does not name alpenland/000002.json: lines are missing"
    )


def test_heads_made_anew_in_another_order_are_noticed(home: Path) -> None:
    """Well formed, and every file as named: but the documents say which came before which."""
    root = home / "ledger"
    said = [anchor.committed for anchor in Ledger(root).heads().anchors]
    (root / "heads.jsonl").unlink()
    heads.append(root, heads.Heads(), sorted(said, key=lambda one: (one.file, one.sequence)))
    assert (found := broken(home))
    # Alpenland's second document followed Sakura's first, and now comes right after its own.
    assert found.file == "alpenland/000002.json"
    assert "was issued after" in found.what


def test_what_a_killed_run_left_is_cleared_away(home: Path) -> None:
    root = home / "ledger"
    left = [
        root / "alpenland/.000006.json.tmp",
        root / "alpenland/000006.roster.parquet",
        root / "releases/2026-03/.alpenland.EUR.json.tmp",
    ]
    for path in left:
        path.write_bytes(b"half")
    with (root / "disputes.jsonl").open("ab") as file:
        file.write(b'{"sequence":3,')
    assert broken(home) is not None
    Ledger(root).recover()
    assert not any(path.exists() for path in left)
    assert broken(home) is None


def test_a_note_of_a_dispute_without_its_head_is_healed(home: Path) -> None:
    ledger = Ledger(home / "ledger")
    path = ledger.root / "heads.jsonl"
    before = path.read_bytes()
    disputes.record(ledger, "ALPENLAND-000005", 1, text="x", by="A. Clerk", on=MARCH)
    whole = path.read_bytes()
    path.write_bytes(before)
    assert (found := broken(home))
    assert found.file == "heads.jsonl"
    Ledger(home / "ledger").recover()
    assert path.read_bytes() == whole
    assert broken(home) is None


# A ledger from before there were heads ----------------------------------------------------------


def older_ledger(home: Path) -> Ledger:
    """January as an earlier version wrote it: no heads, and no document names one."""
    warehouse, ledger = Warehouse(), Ledger(home / "ledger")
    fill_january(warehouse)
    close(warehouse, ledger, "2026-01")
    (ledger.root / "heads.jsonl").unlink()
    for path in ledger.root.glob("*/000001.json"):
        value = json.loads(path.read_bytes())
        del value["provenance"][FOLLOWS]
        path.write_bytes(canonical_json(value))
    for path in ledger.root.glob("releases/*/*.json"):
        value = json.loads(path.read_bytes())
        del value["sha256"]
        path.write_bytes(canonical_json(value))
    for period in ("2026-01", "2026-02", "2026-03"):
        render_period(Ledger(home / "ledger"), period, home / "exports")
    return Ledger(home / "ledger")


def test_an_older_ledger_is_good_and_gets_its_heads_with_the_next_issue(tmp_path: Path) -> None:
    ledger = older_ledger(tmp_path)
    ledger.check()
    assert broken(tmp_path) is None
    told = {check.name: check.looked_at or "" for check in checked(tmp_path)}
    assert told["heads"].startswith("0 lines")
    assert told["documents"].endswith(
        "0 as the heads have them, 3 of them from before heads were kept"
    )

    warehouse = Warehouse()
    add_period(warehouse, "2026-02", "sakura")
    (issued,) = close(warehouse, ledger, "2026-02")
    render_period(ledger, issued.period, tmp_path / "exports")
    files = [anchor.committed.file for anchor in Ledger(ledger.root).heads().anchors]
    assert files == [
        "alpenland/000001.json",
        "cascadia/000001.json",
        "sakura/000001.json",
        "sakura/000002.json",
    ]
    assert issued.provenance[FOLLOWS] == sha256(ledger.document_path("sakura", 1).read_bytes())
    assert broken(tmp_path) is None
    # From now on the heads cannot be lost unnoticed, nor can any of their lines.
    (ledger.root / "heads.jsonl").unlink()
    assert (found := broken(tmp_path))
    assert found.file == "heads.jsonl"
    with pytest.raises(LedgerError, match=r"heads.jsonl does not name"):
        Ledger(ledger.root).check()


def test_a_migration_killed_halfway_goes_on(tmp_path: Path) -> None:
    ledger = older_ledger(tmp_path)
    ledger.recover()
    path = ledger.root / "heads.jsonl"
    whole = path.read_bytes()
    for kept in range(0, len(whole), 37):
        path.write_bytes(whole[:kept])
        Ledger(ledger.root).recover()
        assert path.read_bytes() == whole


def test_nothing_is_verified_in_an_empty_home(tmp_path: Path) -> None:
    assert broken(tmp_path) is None
    assert {check.looked_at for check in checked(tmp_path)} >= {"0, none too many"}
    assert list(tmp_path.iterdir()) == []
