"""Every error a person can meet says what to do, and the documents have it.

What is a person's: whatever is raised as one of the project's own error classes, as click's or as
Dagster's Failure; the reasons of the gate and of approvals, which are returned; and the ValueErrors
of the simulator, which the command line passes on. What is not: any other built-in exception
(ValueError, AssertionError, RuntimeError, OSError, KeyError …) and classes that begin with an
underscore. Those are for the calling code, which catches them or is at fault; what then reaches a
person is told as `unexpected …`, or by `lib.oserrors`. The steps of `muster status` are left out:
they are nothing but what to do.

A message with what to do as an argument of its own (Problem, BrokenError, a refused file's Reason)
has to give it, and is documented by kind. Any other has to have a row in a table of DOCUMENTS: a
phrase of its first sentence, in quotes in the first cell with `…` for what varies, and something
in the last one, which says what to do.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.reasons import Reason

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("ingest", "invoicing", "dagster_project")
ERRORS = "docs/errors.md"
DOCUMENTS = (ERRORS, "docs/runbook.md", "docs/disputes.md")

# Errors of others that are told to a person as they are.
FOREIGN = {"ClickException", "UsageError", "Failure"}
# What to do is an argument of these: its position.
WITH_ACTION = {"Problem": 5, "BrokenError": 2}
# Their message is made of Problems, or of a Reason and a detail.
MADE_OF_OTHERS = {"ReferenceDataError", "Rejected"}
# Functions that return what a person is told.
REASONS = {
    "invoicing/gate.py": (
        "_incomplete",
        "_misdated",
        "_out_of_order",
        "_without_product",
        "_unapproved",
    ),
    "invoicing/approval.py": ("name_fault", "_changed", "_own_waivers"),
    "dagster_project/lib/whatif.py": ("_nothing_to_try",),
}
# Messages that are passed on, by file and class: their words are found where they are made.
PASSED_ON = {
    ("dagster_project/cli/home.py", "ClickException"): "a ValueError of the simulator",
    ("dagster_project/cli/release.py", "ApprovalError"): "approval.name_fault",
    ("dagster_project/cli/validate.py", "ClickException"): "an error of invoicing.validation",
    ("dagster_project/defs/warehouse.py", "Failure"): "the models that failed, in dbt's words",
    ("dagster_project/defs/writer.py", "Failure"): "whatever error of ours ended the step",
    ("ingest/archive.py", "UnreadError"): "a landing file's, told with its receipt",
    ("ingest/intake.py", "UnreadError"): "a landing file's, told with its receipt",
    ("ingest/simulate/plants.py", "ValueError"): "_NEED, which says how much is enough",
    ("dagster_project/lib/runs.py", "RunError"): "whatever ended the run",
    ("dagster_project/lib/whatif.py", "WhatIfError"): "_nothing_to_try",
    ("invoicing/gate.py", "ApprovalError"): "the reasons of the gate",
}
SIMULATOR = "ingest/simulate/"


@dataclass(frozen=True)
class Message:
    """`text` has `…` for what is only known when it is told."""

    where: str
    error: str
    text: str

    @property
    def first_sentence(self) -> str:
        return re.split(r"(?<=[.?!])\s", self.text, maxsplit=1)[0]


@dataclass(frozen=True)
class Row:
    document: str
    line: int
    phrases: tuple[str, ...]
    do: str


def test_every_message_is_documented_with_what_to_do() -> None:
    lacking = lacking_rows(messages(), rows())
    assert lacking == [], "Give each a row in docs/errors.md: what it says, and what to do."


def test_every_row_is_about_a_message() -> None:
    """A phrase of docs/errors.md that nothing says any more misleads."""
    said = [one.first_sentence for one in messages()]
    dead = [
        f"{row.document}:{row.line}: {phrase}"
        for row in rows()
        if row.document == ERRORS
        for phrase in row.phrases
        if not any(phrase in text for text in said)
    ]
    assert dead == []


def test_what_to_do_is_given_where_it_is_an_argument() -> None:
    empty = [
        f"{where}: {ast.unparse(call)}"
        for where, call in calls()
        if _name(call) in WITH_ACTION and not _is_given(call, WITH_ACTION[_name(call)])
    ]
    assert empty == []


def test_every_reason_for_not_taking_a_file_or_row_is_in_the_table() -> None:
    table = (REPOSITORY / "docs/intake.md").read_text(encoding="utf-8")
    assert [one for one in Reason if f"| `{one}` |" not in table] == []
    files = list(Reason)[list(Reason).index(Reason.EMPTY_FILE) :]
    assert [one for one in files if not one.remedy] == []


def test_the_walk_finds_what_it_should() -> None:
    found = messages()
    assert {one.error for one in found} >= {"LedgerError", "LockedError", "ClickException"}
    assert len(found) > 100


@pytest.mark.parametrize(
    ("source", "is_lacking"),
    [
        ('raise LedgerError(f"{path} ate the homework. Feed it.")', True),
        ('raise LedgerError(f"{path} was changed after it was issued: x. Restore it.")', False),
        ('raise ValueError("for the caller")', False),
        ('raise _Internal("for nobody")', False),
        ("raise LedgerError(text)", True),
    ],
)
def test_a_new_message_without_a_row_is_noticed(source: str, is_lacking: bool) -> None:
    found = list(_raised("invoicing/new.py", ast.parse(source)))
    assert bool(lacking_rows(found, rows())) == is_lacking


def lacking_rows(found: list[Message], documented: list[Row]) -> list[str]:
    return [
        f"{one.where} {one.error}: {one.text}"
        for one in found
        if not any(
            row.do and phrase in one.first_sentence for row in documented for phrase in row.phrases
        )
    ]


def rows() -> list[Row]:
    """The rows of all tables whose last column says what to do."""
    found = []
    for document in DOCUMENTS:
        is_told = False
        text = (REPOSITORY / document).read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), start=1):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not cells:
                is_told = False
            elif cells[-1] == "do":
                is_told = True
            elif is_told and not set(cells[-1]) <= {"-", " "}:
                phrases = tuple(_plain(one) for one in re.findall(r'"([^"]+)"', cells[0]))
                # A single word would be found in anything.
                assert all(len(one.replace("…", " ").split()) > 1 for one in phrases), line
                found.append(Row(document, number, phrases, cells[-1]))
    return found


def messages() -> list[Message]:
    found: list[Message] = []
    for where, tree in _modules():
        found += _raised(where, tree)
        found += _returned(where, tree)
    return found


def calls() -> Iterator[tuple[str, ast.Call]]:
    for where, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield f"{where}:{node.lineno}", node


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            yield path.relative_to(REPOSITORY).as_posix(), ast.parse(path.read_text("utf-8"))


def _own_errors() -> set[str]:
    """Public exception classes, by the rule that their name ends in Error (ruff N818)."""
    return {
        node.name
        for _, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and re.fullmatch(r"[A-Z]\w*Error", node.name)
    }


def _raised(where: str, tree: ast.Module) -> Iterator[Message]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
            continue
        error = _name(node.exc)
        is_simulator = error == "ValueError" and where.startswith(SIMULATOR)
        if error not in OWN_ERRORS | FOREIGN and not is_simulator:
            continue
        text = _text(_first(node.exc))
        if re.search(r"\w", text) is None and (where, error) in PASSED_ON:
            continue
        yield Message(f"{where}:{node.lineno}", error, text)


def _returned(where: str, tree: ast.Module) -> Iterator[Message]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in REASONS.get(where, ()):
            for one in ast.walk(node):
                value = one.value if isinstance(one, ast.Return) else None
                if isinstance(value, ast.List):
                    values: list[ast.expr] = value.elts
                else:
                    values = [value] if value is not None else []
                for each in values:
                    if re.search(r"\w", _text(each)):
                        yield Message(f"{where}:{each.lineno}", node.name, _text(each))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _first(call: ast.Call) -> ast.expr | None:
    if call.args:
        return call.args[0]
    return next((one.value for one in call.keywords if one.arg == "description"), None)


def _is_given(call: ast.Call, position: int) -> bool:
    if any(isinstance(one, ast.Starred) for one in call.args):
        return True  # made elsewhere, of the same three
    action = call.args[position] if len(call.args) > position else None
    return action is not None and not (isinstance(action, ast.Constant) and not action.value)


def _text(node: ast.expr | None) -> str:
    """The literal words, with `…` for the rest."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _plain(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [one.value if isinstance(one, ast.Constant) else "…" for one in node.values]
        return _plain("".join(map(str, parts)))
    if isinstance(node, ast.BinOp):
        return _plain(_text(node.left) + _text(node.right))
    if isinstance(node, ast.IfExp):
        return _text(node.body)
    if isinstance(node, ast.Call) and _name(node) == "join" and isinstance(node.args[0], ast.List):
        return _text(node.args[0].elts[0])
    return "…"


def _plain(text: str) -> str:
    """White space as one blank, and no quotes or code marks: a table writes those in its way."""
    return " ".join(text.replace("`", "").replace('"', "").split())


OWN_ERRORS = _own_errors() - set(WITH_ACTION) - MADE_OF_OTHERS
