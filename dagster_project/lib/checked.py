"""What the checks found last, kept beside the run history so that page and status can show it.

Keeping and reading only: the run's own asset checks are the same results, and the gate decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dagster_project.lib.settings import Settings
from invoicing import durable


class Result(Protocol):
    """What a check of the landed volumes, of the models or of a draft returns."""

    @property
    def name(self) -> str: ...

    @property
    def success(self) -> bool: ...

    @property
    def detail(self) -> str: ...


@dataclass(frozen=True)
class Checked:
    """All results of one look: `passed` of `looked`, and the failed ones with their reasons."""

    what: str
    looked: int
    passed: int
    failed: list[tuple[str, str]]


def keep(settings: Settings, what: str, results: Iterable[Result]) -> None:
    """Replace what was found of `what`: `volumes`, `models`, or the period of a draft."""
    found = [
        {"name": one.name, "success": bool(one.success), "detail": one.detail} for one in results
    ]
    durable.write_file(
        _folder(settings) / f"{what}.json", (json.dumps(found, indent=1) + "\n").encode()
    )


def read(settings: Settings) -> list[Checked]:
    """What was found last: of the volumes, of the models, then of drafts, latest period first."""
    paths = sorted(_folder(settings).glob("*.json"), key=lambda path: path.stem, reverse=True)
    return [_read(path) for path in paths]


def failed_on_models(settings: Settings) -> list[str]:
    """The failed checks on models and landed files that will hold somebody, a sentence each."""
    return [
        f"{name}: {detail}"
        for one in read(settings)
        if one.what == "models"
        for name, detail in one.failed
    ]


def _read(path: Path) -> Checked:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return Checked(
        what=path.stem,
        looked=len(found),
        passed=sum(one["success"] for one in found),
        failed=[(one["name"], one["detail"]) for one in found if not one["success"]],
    )


def _folder(settings: Settings) -> Path:
    return settings.dagster_home / "checked"
