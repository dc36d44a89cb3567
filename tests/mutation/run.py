"""Breaks the rulebook on purpose, one change at a time, and shows which test notices.

    python tests/mutation/run.py [WORD ...]

Without words every mutant runs and docs/mutations.md is written; ends with 1 when one survives.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mutants import MUTANTS, Mutant

REPOSITORY = Path(__file__).parents[2]
TABLE = REPOSITORY / "docs" / "mutations.md"
_COPIED = ("dbt", "ingest", "invoicing", "dagster_project", "seeds", "tests")

_HEAD = """# What happens when a rule is broken on purpose

Each row is one change to one place of the code: a policy, a boundary, a precedence. It is made in a
copy, the tests that should notice are run, and the first one that goes red is named. A test checks
that every change here still fits its file.

`python tests/mutation/run.py` makes all of them and writes this table; words after it choose by
rule or name.

| rule | change | file | noticed by |
| --- | --- | --- | --- |
"""


def main(words: Sequence[str]) -> int:
    chosen = [
        mutant
        for mutant in MUTANTS
        if not words or any(word in (mutant.rule, *mutant.name.split()) for word in words)
    ]
    rows, survivors = [], []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        for name in _COPIED:
            shutil.copytree(
                REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("pyproject.toml", "dagster.yaml"):
            shutil.copy(REPOSITORY / name, copy)
        warehouse = _empty_warehouse(copy, Path(folder) / "home")
        for done, mutant in enumerate(chosen, start=1):
            with _broken(copy, mutant):
                red = _red(copy, mutant, warehouse)
            print(f"{done}/{len(chosen)} {mutant.rule} {mutant.name}: {red[:1] or 'SURVIVED'}")
            sys.stdout.flush()
            if not red:
                survivors.append(mutant)
            rows.append(
                f"| {mutant.rule} | {mutant.name} | `{mutant.file}` | "
                f"{f'`{red[0]}`' if red else '**nothing**'} |"
            )
    if not words:
        TABLE.write_text(_HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} changes were noticed.")
    return 1 if survivors else 0


@contextlib.contextmanager
def _broken(copy: Path, mutant: Mutant) -> Iterator[None]:
    path = copy / mutant.file
    whole = path.read_text(encoding="utf-8")
    if whole.count(mutant.before) != 1:
        raise SystemExit(f"{mutant.name}: its text occurs {whole.count(mutant.before)} times")
    path.write_text(whole.replace(mutant.before, mutant.after), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(whole, encoding="utf-8")


def _red(copy: Path, mutant: Mutant, warehouse: Path) -> list[str]:
    """The tests that failed; a change that cannot even be compiled counts as noticed."""
    if mutant.tests[0].endswith(".py"):
        return _red_pytest(copy, mutant.tests)
    select = [f"{model},test_type:unit" for model in mutant.tests]
    result = _dbt(copy, warehouse, ["test", "--select", *select])
    if result.result is None:
        return ["does not compile"]
    return [str(one.node.name) for one in result.result if str(one.status) in ("fail", "error")]


def _red_pytest(copy: Path, files: Sequence[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-rf", "-p", "no:cacheprovider", *files],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return [line.split("::")[1].split(" ")[0] for line in failed]


def _empty_warehouse(copy: Path, home: Path) -> Path:
    from ingest.load import open_warehouse
    from ingest.reference import load_reference, receive_reference
    from invoicing.ledger import Ledger

    home.mkdir()
    receive_reference(home, REPOSITORY / "seeds")
    warehouse = home / "warehouse.duckdb"
    conn = open_warehouse(warehouse)
    load_reference(conn, home)
    Ledger(home / "ledger").load_into(conn)
    conn.close()
    result = _dbt(copy, warehouse, ["run"])
    if not result.success:
        raise SystemExit("The models do not build unbroken.")
    return warehouse


def _dbt(copy: Path, warehouse: Path, arguments: Sequence[str]) -> Any:
    from dbt.cli.main import dbtRunner

    os.environ |= {"MUSTER_WAREHOUSE": str(warehouse), "DO_NOT_TRACK": "1"}
    flags = ["--project-dir", str(copy / "dbt"), "--profiles-dir", str(copy / "dbt")]
    flags += ["--target-path", str(warehouse.parent / "target")]
    flags += ["--log-path", str(warehouse.parent / "log"), "--quiet"]
    with contextlib.redirect_stdout(io.StringIO()):
        return dbtRunner().invoke([*arguments, *flags])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
