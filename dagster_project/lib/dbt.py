"""Runs dbt inside this process and says what it built, in plain results.

No Dagster type and no business rule belongs here; dbt is imported inside the functions because
importing it takes longer than most commands that never need it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from dagster_project.lib.settings import Settings, environment_of
from invoicing import durable

Outcome = Literal["built", "failed", "passed", "warned", "skipped"]

# Tests that read every raw row: a day's load must not cost the history.
FULL_SCAN = "tag:full_scan"

# Unit tests prove the SQL with made-up rows; they belong to the product's own test run and say
# nothing about tonight's data.
_PRODUCTION = ("--exclude-resource-type", "unit_test", "--exclude", FULL_SCAN)

# The messages a person follows a build by; the rest is in home/dbt/logs.
_PROGRESS = {"LogModelResult", "LogTestResult", "LogHookEndLine"}


class DbtError(RuntimeError):
    """dbt could not do what it was asked; the message holds dbt's own reason."""


@dataclass(frozen=True)
class NodeResult:
    """What became of one dbt node.

    outcome   built (model), passed, warned or failed (test; failed also: model), skipped
    failures  rows a test found, None for everything else
    seconds   how long it took
    message   dbt's own words; empty when there is nothing to say
    path      the node's file below the dbt project
    """

    unique_id: str
    outcome: Outcome
    failures: int | None
    seconds: float
    message: str
    path: str


def manifest(settings: Settings) -> Path:
    """The manifest of the dbt project as it is now; parsed only when something changed.

    Needs no database. Raises DbtError when the project cannot be parsed.
    """
    folder = settings.home / "dbt"
    wanted = folder / f"manifest-{fingerprint(settings)[:16]}.json"
    if wanted.exists():
        return wanted
    settings.create_home()
    with _one_at_a_time(folder / "parse.lock"):
        if not wanted.exists():
            invoke(settings, ["parse"])
            fresh = (settings.dbt_target / "manifest.json").read_bytes()
            temporary = wanted.with_suffix(f".{os.getpid()}")
            with durable.needing(wanted, len(fresh)):
                try:
                    temporary.write_bytes(fresh)
                    temporary.replace(wanted)
                finally:
                    temporary.unlink(missing_ok=True)
            for old in folder.glob("manifest-*.json"):
                if old != wanted:
                    old.unlink(missing_ok=True)
    return wanted


def descriptions(settings: Settings) -> dict[str, str]:
    """What each table and function (`schema.name`) and column (`schema.name.column`) means."""
    told: dict[str, str] = {}
    parsed = json.loads(manifest(settings).read_bytes())
    for node in (*parsed["nodes"].values(), *parsed["sources"].values()):
        if node["resource_type"] in ("model", "source"):
            name = f"{node['schema']}.{node['name']}"
            told[name] = node["description"]
            for column in node["columns"].values():
                told[f"{name}.{column['name']}"] = column["description"]
    return told


def models_sha256(settings: Settings) -> str:
    """SHA-256 of the SQL and YAML of the dbt project and of the versions that compile it."""
    digest = hashlib.sha256()
    for package in ("dbt-core", "dbt-duckdb", "duckdb"):
        digest.update(f"{package} {version(package)}\n".encode())
    for path in sorted(settings.project.rglob("*")):
        if path.suffix in {".sql", ".yml", ".yaml", ".md", ".csv"} and path.is_file():
            digest.update(f"{path.relative_to(settings.project)}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def fingerprint(settings: Settings) -> str:
    """SHA-256 of everything a parse reads: the models, and where the warehouse is."""
    read = [models_sha256(settings), str(settings.warehouse)]
    return hashlib.sha256("\n".join(read).encode()).hexdigest()


def build(
    settings: Settings,
    *,
    select: Sequence[str] = (),
    full_refresh: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> list[NodeResult]:
    """Build and test the selected nodes (all by default) and return one result per node.

    `full_refresh` computes incremental models from the beginning.

    A failing model or test is a result, not an exception: what was built before it is real and
    its results must be told. Raises DbtError when dbt could not run at all.
    """
    again = ["--full-refresh"] if full_refresh else []
    return invoke(settings, [*build_command(select), *again], progress=progress)


def build_command(select: Sequence[str]) -> list[str]:
    """What to ask dbt for to build and test the selected nodes, all when there are none."""
    return ["build", *_PRODUCTION, *_selected(select)]


def run_models(
    settings: Settings,
    *,
    select: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> list[NodeResult]:
    """Build the selected models without their tests; results and errors as in `build`."""
    return invoke(settings, ["run", *_selected(select)], progress=progress)


def run_tests(
    settings: Settings,
    *,
    select: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> list[NodeResult]:
    """Run the tests that `build` would run with the selected nodes, and build nothing."""
    return invoke(settings, ["test", *_PRODUCTION, *_selected(select)], progress=progress)


def _selected(select: Sequence[str]) -> list[str]:
    return ["--select", *select] if select else []


def invoke(
    settings: Settings,
    arguments: Sequence[str],
    *,
    progress: Callable[[str], None] = lambda _: None,
    target: str = "duckdb",
    also: Mapping[str, str] | None = None,
) -> list[NodeResult]:
    """One dbt command in this process, always with absolute paths and without telemetry.

    `target` is one of `dbt/profiles.yml`; `also` is added to the environment meanwhile.
    """
    # Imported here: 1.2 s that a person asking for help need not wait for.
    from click import Abort
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    def report(event: Any) -> None:  # a generated message class without types
        if event.info.name in _PROGRESS:
            progress(str(event.info.msg))

    flags = [
        *("--project-dir", str(settings.project)),
        *("--profiles-dir", str(settings.project)),
        *("--target", target),
        *("--target-path", str(settings.dbt_target_of(target))),
        *("--log-path", str(settings.dbt_logs)),
        *("--log-level", "none"),
        *("--log-level-file", "info"),
        "--no-send-anonymous-usage-stats",
        "--no-version-check",
        "--no-use-colors",
    ]
    if arguments[0] != "parse":  # results come back as objects; nothing reads them from a file
        flags.append("--no-write-json")
    try:
        with environment_of(settings, also):
            answer = dbtRunner(callbacks=[report]).invoke([*arguments, *flags])
    finally:
        # The profile keeps the connection for the whole command; the next writer needs the file.
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    results = getattr(answer.result, "results", None)
    if results is None:
        if isinstance(answer.exception, KeyboardInterrupt | Abort):
            raise KeyboardInterrupt from answer.exception
        log = f"Its log is {settings.dbt_logs}/dbt.log"
        if answer.exception is not None:
            raise DbtError(
                f"dbt {arguments[0]} failed: {answer.exception}\n{log}."
            ) from answer.exception
        if not answer.success:
            raise DbtError(f"dbt {arguments[0]} failed, and did not say why. {log}.")
        return []
    return [
        NodeResult(
            unique_id=result.node.unique_id,
            outcome=_OUTCOMES[str(result.status)],
            failures=result.failures,
            seconds=result.execution_time,
            message=(result.message or "").strip(),
            path=result.node.original_file_path,
        )
        for result in results
    ]


_OUTCOMES: dict[str, Outcome] = {
    "success": "built",
    "no-op": "built",
    "pass": "passed",
    "warn": "warned",
    "fail": "failed",
    "error": "failed",
    "runtime error": "failed",
    "skipped": "skipped",
    "partial success": "failed",
}


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Two processes that load the definitions at once must not parse into the same folder."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
