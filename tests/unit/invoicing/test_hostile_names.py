"""Names and ids written to do harm, through every export: shown to the letter, run by nobody."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from billing_marts import Warehouse
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dagster_project import cli
from dagster_project.lib.charts import literal, table
from invoicing.exports import render
from invoicing.exports.exported import csv_bytes
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]
HOSTILE = (
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    "x;=1+1",
    "x\n=1+1",
    '";=1+1',
    "\uff1d1+1",
    "'=1+1",
    "<img src=x onerror=alert(1)>",
    "'; DROP TABLE billing.draft_invoices; --",
    '#import "/etc/passwd" $ * _ `',
    "[x](javascript:alert(1)) | **b**",
    "[red]x[/red][/]",
    "../../etc/passwd",
    "\x1b]0;x\x07\x1b[31mred\x1b[2J",
    "\x9b31mred",
    "good\x08\x08\x08\x08evil",
    "\u202egnp.exe",
    "Z\u0351\u036b\u0343\u036aalgo",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
)
# What docs/intake.md tells machines to do with a cell of ours.
_APOSTROPHE = re.compile(
    r"(?:\A|(?<=[;\t\r\n]))'(?='* *[=+\-@\uff1d\uff0b\uff0d\uff20])|\A'(?='*[\t\r\n])"
)
_LIVE = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def cells(text: str, separator: str) -> list[str]:
    """As a spreadsheet splits a file that it takes for one with this separator."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return [cell for row in reader for cell in row]


def as_it_was(cell: str) -> str:
    return cell if _NUMBER.fullmatch(cell) else _APOSTROPHE.sub("", cell)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_does_no_harm_in_any_file_of_a_folder(
    ledger: Ledger, january: Warehouse, close: Close, tmp_path: Path, name: str
) -> None:
    for mart in ("draft_invoice_lines", "draft_invoice_customers", "draft_managed_customers"):
        january.conn.execute(f"update billing.{mart} set partner_name = ?", [name])
    for mart in ("draft_invoice_customers", "draft_managed_customers"):
        january.conn.execute(f"update billing.{mart} set customer_name = ?", [name])
    january.conn.execute("update billing.draft_roster set unit_id = ? || unit_id", [name])
    january.discrepancy("d1", "alpenland", severity="info", evidence=name, found=name)
    close(january, ledger, "2026-01")
    exports = tmp_path / "exports"
    found = False
    for document in ledger.documents():
        folder = render(ledger, document, exports).folder
        assert folder.resolve().is_relative_to(exports.resolve())
        for path in folder.rglob("*.csv"):
            text = path.read_bytes().decode("utf-8")
            for separator in (",", ";", "\t"):
                for cell in cells(text, separator):
                    assert not _LIVE.match(cell) or _NUMBER.fullmatch(cell), (path, cell)
            if not path.name.startswith(("discrepancies", "focus_")):
                rows = list(csv.DictReader(io.StringIO(text, newline="")))
                named = [row.get("partner_name") or row.get("partnerAccountName") for row in rows]
                assert {as_it_was(one or "") for one in named} <= {name}
                found |= bool(named)
        # JSON and Parquet hold the very text.
        lines = json.loads((folder / "invoice.json").read_bytes())["lines"]
        assert {line["partner_name"] for line in lines} <= {name}
        units = pl.read_parquet(folder / "roster.parquet")["unit_id"]
        assert units.str.starts_with(name).all()
    assert found
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert written == {"ledger", "exports"}


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_cannot_steer_the_terminal(
    january: Warehouse, close: Close, tmp_path: Path, name: str
) -> None:
    ledger = Ledger(tmp_path / "home" / "ledger")
    for mart in ("draft_invoice_lines", "draft_invoice_customers"):
        january.conn.execute(f"update billing.{mart} set partner_name = ?", [name])
    january.conn.execute("update billing.draft_roster set unit_id = ? || unit_id", [name])
    close(january, ledger, "2026-01")
    options = ["--home", str(tmp_path / "home"), "--landing", str(tmp_path / "landing")]
    for command in (
        ["explain", "ALPENLAND-000001", "1"],
        ["explain", "ALPENLAND-000001", "1", "--json"],
        ["dispute", "ALPENLAND-000001", "1", "--note", name, "--by", name],
        ["dispute"],
        ["dispute", "--json"],
        ["status"],
        # An error repeats what was asked for.
        ["explain", name, "1"],
        ["close", name],
    ):
        result = CliRunner().invoke(cli.main, [*options, *command])
        assert not CONTROL.search(result.output), (command, ascii(result.output))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        if command[-1] == "--json" and command[0] == "explain":
            # Escaped for the terminal, and the very text for whoever reads the JSON.
            assert json.loads(result.output)["line"]["partner_name"] == name


@given(st.text(st.sampled_from("=+-@';\t\r\n a,\"1.\uff1d"), max_size=12))
def test_what_was_written_can_be_read_back(text: str) -> None:
    """The apostrophes that make a cell harmless can be told from its own, always."""
    body = csv_bytes(["h"], [[text]]).decode("utf-8")
    _, (cell, *rest) = _rows(body)
    assert not rest
    assert as_it_was(cell) == text
    for separator in (",", ";", "\t"):
        for one in cells(body, separator):
            assert not _LIVE.match(one) or _NUMBER.fullmatch(one), one


def _rows(body: str) -> tuple[list[str], list[str]]:
    header, *rows = csv.reader(io.StringIO(body, newline=""))
    return header, rows[0] if rows and rows[0] else [""]


def test_markdown_shows_a_name_and_does_nothing_else() -> None:
    assert literal("[x](javascript:1)") == r"\[x\](javascript:1)"
    assert literal("<b>|`_em_`") == r"\<b\>\|\`\_em\_\`"
    assert literal("a\n# b") == r"a \# b"
    assert literal("\x1b[2J\u202e") == r"\\u001b\[2J\\u202e"
    # An ordinary id stays as it is.
    assert literal("usage/2026-01-15/eu-central_1.csv.gz") == "usage/2026-01-15/eu-central_1.csv.gz"
    assert table(["name"], [["a|b"]]).splitlines()[-1] == r"| a\|b |"


@pytest.mark.parametrize("text", ["../../x", "..", "/etc/passwd", "a/b", "nul\0", "..\\x", ""])
def test_an_argument_never_becomes_a_path(tmp_path: Path, text: str) -> None:
    home = tmp_path / "home"
    options = ["--home", str(home), "--landing", str(tmp_path / "landing")]
    for command in (
        ["explain", text, "1"],
        ["reproduce", text],
        ["reproduce", text, "alpenland"],
        ["draft", text],
        ["close", text],
        ["cancel", text, "--reason", "r", "--by", "b"],
        ["release", "2026-01", text, "--by", "b"],
        ["dispute", text, "1", "--note", "n", "--by", "b"],
    ):
        result = CliRunner().invoke(cli.main, [*options, *command])
        assert result.exit_code in (1, 2), (command, result.output)
        assert isinstance(result.exception, SystemExit), command
        assert "unexpected" not in result.output, result.output
    assert [path for path in tmp_path.rglob("*") if not path.is_relative_to(home)] == []
