"""Where Musterhouse's files are, and the environment that dbt and Dagster need.

Paths and names only; nothing here opens a database or imports a heavy library.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ingest.contracts import LARGEST_FILE_BYTES

# The dbt project, the seeds and dagster.yaml are files of the repository, so Musterhouse is
# installed editable and finds them beside this package.
REPOSITORY = Path(__file__).resolve().parents[2]

# The first day a landing file can be for. Partitions are counted from it; an earlier day lists
# days nobody has in every partition picker, a later one hides files that are there.
FIRST_DAY = date(2026, 1, 1)

# DuckDB's own default: a machine that does nothing else.
MEMORY_LIMIT = "80%"

# Both build the same marts; what else there is, is DuckDB's.
ENGINES = ("duckdb", "spark")


_HISTORY = """
event_log_storage:
  module: dagster_project.lib.history
  class: RunHistory
  config:
    base_dir: {folder}
"""


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message says which and what to do."""


@dataclass(frozen=True)
class Settings:
    """The settings of one Musterhouse home. Every path is absolute.

    home      what Musterhouse keeps: archive, journal, ledger, warehouse, exports, published
    landing   the folder feeds are dropped in
    seeds     reference data that people review
    project   the dbt project's folder
    first_day the first day that has a partition
    alert     the command that is told of holds, failures and missing feeds; empty for none
    largest_file_bytes  a landing file that unpacks to more is refused
    memory_limit  what DuckDB may hold in memory before it spills to disk, such as 8GiB or 50%
    cache     where dbt's parse of the project is kept for other homes; None for nowhere
    engine    what builds the models: one of ENGINES
    """

    home: Path
    landing: Path
    seeds: Path
    project: Path = REPOSITORY / "dbt"
    first_day: date = FIRST_DAY
    alert: tuple[str, ...] = ()
    largest_file_bytes: int = LARGEST_FILE_BYTES
    memory_limit: str = MEMORY_LIMIT
    cache: Path | None = None
    engine: str = ENGINES[0]

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        home: str | Path | None = None,
        landing: str | Path | None = None,
        seeds: str | Path | None = None,
    ) -> Settings:
        """Arguments first, then MUSTER_HOME, MUSTER_LANDING, MUSTER_SEEDS, then the defaults.

        Raises SettingsError when MUSTER_FIRST_DAY is not a date, MUSTER_LARGEST_FILE_BYTES is not
        a number, MUSTER_MEMORY_LIMIT is not a size, MUSTER_ENGINE is none of ENGINES, MUSTER_ALERT
        is not a command, a folder is none or its path not UTF-8, or two folders overlap so that one
        would be read as the other.
        """
        values = os.environ if environment is None else environment
        settings = cls(
            home=_absolute(home or values.get("MUSTER_HOME") or "home"),
            landing=_absolute(landing or values.get("MUSTER_LANDING") or "landing"),
            seeds=_absolute(seeds or values.get("MUSTER_SEEDS") or REPOSITORY / "seeds"),
            first_day=_first_day(values.get("MUSTER_FIRST_DAY") or FIRST_DAY.isoformat()),
            alert=_command(values.get("MUSTER_ALERT") or ""),
            largest_file_bytes=_bytes(
                values.get("MUSTER_LARGEST_FILE_BYTES") or LARGEST_FILE_BYTES
            ),
            memory_limit=_memory(values.get("MUSTER_MEMORY_LIMIT") or MEMORY_LIMIT),
            cache=_cache(values),
            engine=_engine(values.get("MUSTER_ENGINE") or ENGINES[0]),
        )
        if settings.landing == settings.home or settings.home in settings.landing.parents:
            raise SettingsError(
                f"landing ({settings.landing}) lies inside home ({settings.home}), where "
                "Musterhouse writes. Give the landing folder a place of its own: "
                "--landing or MUSTER_LANDING."
            )
        for name in ("home", "landing", "seeds"):
            _check_folder(name, getattr(settings, name))
        return settings

    @property
    def warehouse(self) -> Path:
        # The name is the catalogue's name in every query dbt compiles: keep it the same everywhere.
        return self.home / "warehouse.duckdb"

    @property
    def reference(self) -> Path:
        return self.home / "reference"

    @property
    def ledger(self) -> Path:
        return self.home / "ledger"

    @property
    def journal(self) -> Path:
        return self.home / "journal"

    @property
    def exports(self) -> Path:
        return self.home / "exports"

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def served(self) -> Path:
        """The lock that `muster ui` holds."""
        return self.dagster_home / "lock"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def dbt_target(self) -> Path:
        return self.home / "dbt" / "target"

    @property
    def spark(self) -> Path:
        return self.home / "spark"

    def dbt_target_of(self, target: str) -> Path:
        """Where dbt compiles to: parsed for one target, a project is not parsed for another."""
        return self.spark / "dbt" if target == "spark" else self.dbt_target

    @property
    def dbt_logs(self) -> Path:
        return self.home / "dbt" / "logs"

    def environment(self) -> dict[str, str]:
        """The variables that make any dbt or Dagster process of this home behave the same."""
        return {
            "MUSTER_HOME": str(self.home),
            "MUSTER_LANDING": str(self.landing),
            "MUSTER_SEEDS": str(self.seeds),
            "MUSTER_FIRST_DAY": self.first_day.isoformat(),
            "MUSTER_ALERT": shlex.join(self.alert),
            "MUSTER_LARGEST_FILE_BYTES": str(self.largest_file_bytes),
            "MUSTER_MEMORY_LIMIT": self.memory_limit,
            "MUSTER_CACHE": str(self.cache or ""),
            "MUSTER_ENGINE": self.engine,
            "MUSTER_WAREHOUSE": str(self.warehouse),
            "MUSTER_SPARK_HOME": str(self.spark),
            "DBT_PROJECT_DIR": str(self.project),
            "DBT_PROFILES_DIR": str(self.project),
            "DBT_TARGET_PATH": str(self.dbt_target),
            "DBT_LOG_PATH": str(self.dbt_logs),
            "DAGSTER_HOME": str(self.dagster_home),
            "DO_NOT_TRACK": "1",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }

    def create_home(self) -> None:
        """Make the folders that every run needs, and give Dagster its instance settings."""
        for folder in (self.home, self.dagster_home, self.dbt_target, self.dbt_logs):
            folder.mkdir(parents=True, exist_ok=True)
        wanted = (REPOSITORY / "dagster.yaml").read_text(encoding="utf-8") + _HISTORY.format(
            # A JSON string is a YAML string too, whatever the folder is called.
            folder=json.dumps(str(self.dagster_home / "history" / "runs"))
        )
        instance = self.dagster_home / "dagster.yaml"
        if not instance.exists() or instance.read_text(encoding="utf-8") != wanted:
            instance.write_text(wanted, encoding="utf-8")


def keep_private() -> None:
    """Let nobody but owner and group read what this process writes: a home says who used what."""
    os.umask(os.umask(0o077) | 0o027)


@contextmanager
def environment_of(settings: Settings, **other: str) -> Iterator[None]:
    """The process environment of this home, but for `other`, and the previous one afterwards."""
    wanted = {**settings.environment(), **other}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _cache(values: Mapping[str, str]) -> Path | None:
    """MUSTER_CACHE, where an empty one means none; else the folder the desktop's rules name."""
    named = values.get("MUSTER_CACHE")
    if named is not None:
        return _absolute(named) if named else None
    try:
        return _absolute(values.get("XDG_CACHE_HOME") or "~/.cache") / "musterhouse"
    except RuntimeError:  # a user without a home directory
        return None


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().absolute()


def _check_folder(name: str, path: Path) -> None:
    if any("\ud800" <= character <= "\udfff" for character in str(path)):
        raise SettingsError(
            f"{name} is {str(path)!r}, which is not UTF-8. Rename the folder, or give another with "
            f"--{name} or MUSTER_{name.upper()}."
        )
    if path.exists() and not path.is_dir():
        raise SettingsError(
            f"{name} is {path}, which is a file. Give a folder with --{name} or "
            f"MUSTER_{name.upper()}."
        )


def _command(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise SettingsError(
            f"MUSTER_ALERT is {text!r}, which is no command: {error}. Quote it as in a shell."
        ) from error


def _bytes(text: str | int) -> int:
    number = str(text)
    if not (number.isascii() and number.isdigit() and int(number)):
        raise SettingsError(
            f"MUSTER_LARGEST_FILE_BYTES is {text!r}; it must be a number of bytes such as "
            f"{LARGEST_FILE_BYTES}."
        )
    return int(number)


def _memory(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,8}(\.[0-9]{1,3})? ?[KMGT]i?B|[1-9][0-9]?%", text):
        raise SettingsError(
            f"MUSTER_MEMORY_LIMIT is {text!r}; it must be a size such as 8GiB, or a part of the "
            f"machine's memory such as {MEMORY_LIMIT}."
        )
    return text


def _engine(text: str) -> str:
    if text not in ENGINES:
        raise SettingsError(f"MUSTER_ENGINE is {text!r}; it must be one of {', '.join(ENGINES)}.")
    return text


def _first_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"MUSTER_FIRST_DAY is {text!r}; it must be a date such as 2026-01-01."
        ) from error
