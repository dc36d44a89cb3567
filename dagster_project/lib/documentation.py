"""published/docs.html: every model, its columns, tests and SQL, in one file that asks for nothing.

dbt's own page of documentation, filled and closed off here; the descriptions are the YAML's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dagster_project.lib import dbt
from dagster_project.lib.settings import Settings
from invoicing import durable

PAGE = "docs.html"

# dbt's page can count its visitors elsewhere and fetch what it is not given. A browser that obeys
# this lets it do neither, whatever a later version of the page tries.
_CLOSED = (
    '<meta http-equiv="Content-Security-Policy" content="'
    "default-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "connect-src 'none'; form-action 'none'; base-uri 'none'\">"
)
# What changes with every parse, or says who made it.
_OF_THE_RUN = (
    "generated_at",
    "invocation_id",
    "invocation_started_at",
    "run_started_at",
    "user_id",
)


def write(settings: Settings) -> Path:
    """Make the page from the dbt project as it is, in one rename.

    The same project gives the same bytes. Raises DbtError when it cannot be parsed, OSError.
    """
    path = settings.published / PAGE
    body = page(json.loads(dbt.manifest(settings).read_bytes()))
    if not path.is_file() or path.read_bytes() != body:
        durable.write_file(path, body)
    return path


def page(manifest: dict[str, Any]) -> bytes:
    """dbt's page with this manifest in it; the warehouse is not asked, all is in the YAML."""
    from dbt.task.docs import DOCS_INDEX_FILE_PATH

    own = manifest["metadata"]["project_name"]
    shown = {
        **manifest,
        "metadata": {k: v for k, v in manifest["metadata"].items() if k not in _OF_THE_RUN},
        # dbt's own macros and made-up rows are half of it, and no answer to a question of data.
        "macros": {k: v for k, v in manifest["macros"].items() if v["package_name"] == own},
        "unit_tests": {},
    }
    text = Path(DOCS_INDEX_FILE_PATH).read_text(encoding="utf-8")
    for place, value in (
        ("<head>", "<head>" + _CLOSED),
        ('"MANIFEST.JSON INLINE DATA"', _json(_without_times(shown))),
        ('"CATALOG.JSON INLINE DATA"', _json(_catalog(manifest))),
    ):
        if text.count(place) != 1:
            raise dbt.DbtError(
                f"dbt's page of documentation has no place for {place}: install the pinned dbt-core"
            )
        text = text.replace(place, value)
    return text.encode("utf-8")


def _catalog(manifest: dict[str, Any]) -> dict[str, Any]:
    """The columns of the contracts with their types, in their order."""
    nodes = {
        name: {
            "unique_id": name,
            "metadata": {
                "type": node["config"]["materialized"],
                "schema": node["schema"],
                "name": node["name"],
                "database": node["database"],
                "owner": None,
                "comment": None,
            },
            "columns": {
                column["name"]: {
                    "name": column["name"],
                    "type": (column["data_type"] or "").upper(),
                    "index": place,
                    "comment": None,
                }
                for place, column in enumerate(node["columns"].values(), start=1)
            },
            "stats": {},
        }
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model"
    }
    return {"metadata": {}, "nodes": nodes, "sources": {}, "errors": None}


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(one) for name, one in value.items() if name != "created_at"}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def _json(value: Any) -> str:
    """JSON inside a script: no text in it can end the script."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c")
