"""Runs dbt inside this process and says what it built, in plain results.

No Dagster type and no business rule belongs here; dbt is imported inside the functions because
importing it takes longer than most commands that never need it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

from dagster_project.lib import parsed, seal
from dagster_project.lib.settings import MEMORY_LIMIT, Settings, environment_of
from invoicing import durable

Outcome = Literal["built", "failed", "passed", "skipped"]

# Tests that read every raw row (a day's load must not cost the history), and tests that hold one
# piece of code against another, which say nothing about tonight's data. `make test` runs them.
NOT_IN_PRODUCTION = "tag:full_scan tag:code_agreement"

# The models that are added to, with the views they read.
_STORES = ("+int_usage_activity", "+int_heartbeat_activity")

# Unit tests prove the SQL with made-up rows; they belong to the product's own test run and say
# nothing about tonight's data.
_PRODUCTION = ("--exclude-resource-type", "unit_test", "--exclude", *NOT_IN_PRODUCTION.split())

# Results come back as objects; nothing reads them from a file.
_NO_JSON = "--no-write-json"

_LOG = "dbt.log"
_LOGGED = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}

# The messages a person follows a build by; the rest is in home/dbt/logs.
_PROGRESS = {"LogModelResult", "LogTestResult", "LogHookEndLine"}


class DbtError(RuntimeError):
    """dbt could not do what it was asked; the message holds dbt's own reason."""


@dataclass(frozen=True)
class NodeResult:
    """What became of one dbt node.

    outcome   built (model), passed (test), failed (either), skipped
    failures  rows a test found, None for everything else and for a test that could not run
    seconds   how long it took
    message   dbt's own words; empty when there is nothing to say
    path      the node's file below the dbt project
    sql       the node's SQL as it was run; of a test, its result are the rows it found
    """

    unique_id: str
    outcome: Outcome
    failures: int | None
    seconds: float
    message: str
    path: str
    sql: str = ""

    @property
    def is_test(self) -> bool:
        return self.unique_id.startswith("test.")

    @property
    def name(self) -> str:
        return self.unique_id.split(".")[2]


def are_built(results: Sequence[NodeResult]) -> bool:
    """Whether every model was built. A test that found rows is for the gate to judge (R22)."""
    return not any(
        one.outcome == "skipped" or (one.outcome == "failed" and not one.is_test) for one in results
    )


# The project as dbt parsed it last in this process, by fingerprint. A command that is given it does
# not read it again, which takes dbt a second.
_in_memory: dict[str, Any] = {}

# Where the warehouse is and what it may use does not matter to a parse, only what it is called. A
# place that is the same for all homes lets one take what another one parsed; nothing can be made in
# this one.
_NOWHERE = "/dev/null"


def manifest(settings: Settings) -> Path:
    """The manifest of the dbt project as it is now; parsed only when something changed.

    Needs no database. Raises DbtError when the project cannot be parsed.
    """
    folder = settings.home / "dbt"
    key = fingerprint(settings)
    wanted = folder / f"manifest-{key[:16]}.json"
    if wanted.exists():
        return wanted
    settings.create_home()
    with _one_at_a_time(folder / "parse.lock"):
        if not wanted.exists():
            if not parsed.fetch(settings.cache, key, settings.dbt_target):
                _parse(settings, key)
                # Not when somebody edited the project meanwhile: it would be kept as another.
                if fingerprint(settings) == key:
                    parsed.keep(settings.cache, key, settings.dbt_target)
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


def _parse(settings: Settings, key: str, *flags: str) -> Any:
    """Let dbt parse what it does not find in the target folder as parsed before."""
    answer = _command(
        settings,
        ["parse", *flags],
        MUSTER_WAREHOUSE=str(Path(_NOWHERE, settings.warehouse.name)),
        MUSTER_MEMORY_LIMIT=MEMORY_LIMIT,
    )
    _in_memory.clear()
    _in_memory[key] = answer.result
    return answer.result


def _project(settings: Settings) -> Any:
    """The project as it is now, in the form that dbt's commands take."""
    key = fingerprint(settings)
    if key not in _in_memory:
        manifest(settings)
    return _in_memory.get(key) or _parse(settings, key, _NO_JSON)


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
    """SHA-256 of everything a parse depends on; not of where the home is."""
    read = [
        models_sha256(settings),
        str(settings.project),
        settings.warehouse.name,
        os.environ.get("DBT_TARGET", ""),
        *(f"{package} {version(package)}" for package in ("dbt-adapters", "dbt-common")),
    ]
    return hashlib.sha256("\n".join(read).encode()).hexdigest()


def build(
    settings: Settings,
    *,
    select: Sequence[str] = (),
    full_refresh: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    target: str = "duckdb",
) -> list[NodeResult]:
    """Build and test the selected nodes (all by default) and return one result per node.

    `full_refresh` computes incremental models from the beginning.

    A failing model or test is a result, not an exception: what was built before it is real and
    its results must be told. A test keeps no model from being built. Raises DbtError when dbt could
    not run at all.
    """
    again = ["--full-refresh"] if full_refresh else []
    command = ["build", *_PRODUCTION, *_selected(select), *again]
    results = invoke(settings, command, progress=progress, target=target)
    # dbt skips what comes after a test that could not run.
    while (skipped := [one.name for one in results if one.outcome == "skipped"]) and not any(
        one.outcome == "failed" and not one.is_test for one in results
    ):
        rest = ["build", "--indirect-selection", "empty", *_selected(skipped), *again]
        results = [one for one in results if one.outcome != "skipped"]
        results += invoke(settings, rest, progress=progress, target=target)
    return results


def run_models(
    settings: Settings,
    *,
    select: Sequence[str] = (),
    full_refresh: bool = False,
    variables: Mapping[str, int] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[NodeResult]:
    """Build the selected models without their tests; results and errors as in `build`.

    `variables` are the project's for this run alone.
    """
    again = ["--full-refresh"] if full_refresh else []
    values = ["--vars", json.dumps(variables)] if variables else []
    return invoke(settings, ["run", *again, *values, *_selected(select)], progress=progress)


def fold(
    settings: Settings,
    batches: Sequence[int],
    *,
    full_refresh: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> list[NodeResult]:
    """Fold files into the activity stores up to each of these load_ids, one run after the other.

    The results of the last run, which are failures when one failed; empty without batches.
    """
    results: list[NodeResult] = []
    for number, through in enumerate(batches):
        results = run_models(
            settings,
            select=_STORES,
            full_refresh=full_refresh and number == 0,
            variables={"folded_through": through},
            progress=progress,
        )
        if not are_built(results):
            break
    return results


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
    **environment: str,
) -> list[NodeResult]:
    """One dbt command in this process on the project as it is, and what became of each node.

    `target` is one of `dbt/profiles.yml`; the home's environment is used but for `environment`.
    Raises DbtError, and SealError for a warehouse that is not as it was left.
    """
    # What is kept was parsed for DuckDB; another target's configuration differs.
    project = _project(settings) if target == "duckdb" else None
    seal.check(settings)
    with seal.writing(settings):
        answer = _command(
            settings,
            [*arguments, _NO_JSON],
            project=project,
            progress=progress,
            target=target,
            **environment,
        )
    return [
        NodeResult(
            unique_id=result.node.unique_id,
            outcome=_OUTCOMES[str(result.status)],
            failures=result.failures,
            seconds=result.execution_time,
            message=(result.message or "").strip(),
            path=result.node.original_file_path,
            sql=getattr(result.node, "compiled_code", None) or "",
        )
        for result in answer.result.results
    ]


def _command(
    settings: Settings,
    arguments: Sequence[str],
    *,
    project: Any = None,
    progress: Callable[[str], None] = lambda _: None,
    target: str = "duckdb",
    **environment: str,
) -> Any:
    """dbt's answer to one command, always with absolute paths and without telemetry."""
    # Imported here: 1.2 s that a person asking for help need not wait for.
    from click import Abort
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    log = _log(settings)

    def report(event: Any) -> None:  # a generated message class without types
        if event.info.level in _LOGGED:
            log.log(_LOGGED[event.info.level], "%s", event.info.msg)
        if event.info.name in _PROGRESS:
            progress(str(event.info.msg))

    flags = [
        *("--project-dir", str(settings.project)),
        *("--profiles-dir", str(settings.project)),
        *("--target", target),
        *("--target-path", str(settings.dbt_target_of(target))),
        *("--log-path", str(settings.dbt_logs)),
        *("--log-level", "none"),
        # dbt's own file costs a tenth of a build: it words every debug event before leaving it out.
        *("--log-level-file", "none"),
        "--no-send-anonymous-usage-stats",
        "--no-version-check",
        "--no-use-colors",
    ]
    try:
        with environment_of(settings, **environment):
            answer = dbtRunner(project, callbacks=[report]).invoke([*arguments, *flags])
    finally:
        # The profile keeps the connection for the whole command; the next writer needs the file.
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
        log.handlers[0].close()
    if answer.success or getattr(answer.result, "results", None) is not None:
        return answer
    if isinstance(answer.exception, KeyboardInterrupt | Abort):
        raise KeyboardInterrupt from answer.exception
    where = f"Its log is {settings.dbt_logs / _LOG}"
    if answer.exception is not None:
        raise DbtError(
            f"dbt {arguments[0]} failed: {answer.exception}\n{where}."
        ) from answer.exception
    raise DbtError(f"dbt {arguments[0]} failed, and did not say why. {where}.")


class _LogFile(RotatingFileHandler):
    """What dbt says above debug: ten megabytes of it, and as much from before."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=10_000_000, backupCount=1, encoding="utf-8", delay=True)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging names it
        """A disk that does not take it is told by what cannot do without."""

    def close(self) -> None:
        with suppress(OSError):  # what could not be written is tried once more
            super().close()


def _log(settings: Settings) -> logging.Logger:
    log = logging.Logger("dbt")
    log.addHandler(_LogFile(settings.dbt_logs / _LOG))
    return log


_OUTCOMES: dict[str, Outcome] = {
    "success": "built",
    "no-op": "built",
    "pass": "passed",
    # Tests have this severity (dbt_project.yml), so that dbt builds on after one that found rows.
    "warn": "failed",
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
