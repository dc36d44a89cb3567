"""Every rule of the rulebook is cited by a test, and every mutant still fits its file."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
RULES = {f"R{number}" for number in range(1, 27)}
_CITED = re.compile(r"\bR([0-9]{1,2})\b(?:\s*(?:-|\u2013|to)\s*R([0-9]{1,2})\b)?")

sys.path.insert(0, str(REPOSITORY / "tests" / "mutation"))
from mutants import MUTANTS, Mutant  # noqa: E402


def cited(text: str) -> set[str]:
    """`R5` and ranges such as `R5-R8`, with a dash of either length."""
    found: set[str] = set()
    for first, last in _CITED.findall(text):
        found |= {f"R{number}" for number in range(int(first), int(last or first) + 1)}
    return found & RULES


def dbt_unit_tests() -> dict[str, str]:
    """Name and description of every dbt unit test."""
    return {
        test["name"]: test.get("description", "")
        for path in (REPOSITORY / "dbt" / "models").rglob("_unit_tests_*.yml")
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["unit_tests"]
    }


def python_tests() -> dict[str, str]:
    """Name and source of every test function, comments and docstring included."""
    found = {}
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[f"{path.name}::{node.name}"] = ast.get_source_segment(source, node) or ""
    return found


def test_ranges_of_rules_are_read() -> None:
    assert cited("R5\u2013R8 and (R21), not R270 or R0") == {"R5", "R6", "R7", "R8", "R21"}


def test_every_rule_is_cited_by_a_test() -> None:
    tests = dbt_unit_tests() | python_tests()
    not_cited = RULES - set().union(*(cited(text) for text in tests.values()))
    assert sorted(not_cited, key=lambda rule: int(rule[1:])) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.rule} {mutant.name}")
def test_a_mutant_fits_its_file(mutant: Mutant) -> None:
    source = (REPOSITORY / mutant.file).read_text(encoding="utf-8")
    assert source.count(mutant.before) == 1
    assert mutant.before != mutant.after


def test_the_table_of_mutants_is_the_last_run_of_all_of_them() -> None:
    table = (REPOSITORY / "docs" / "mutations.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| R")]
    assert [(row[0].removeprefix("| "), row[1]) for row in rows] == [
        (mutant.rule, mutant.name) for mutant in MUTANTS
    ]
    assert "**nothing**" not in table
