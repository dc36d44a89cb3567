"""Libraries that our libraries import and that nothing here uses: run when somebody does.

Only which ones, and how; whoever imports their importer calls `leave_out` before.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

# Great Expectations draws and compares distributions with them: a third of its import.
_OF_GREAT_EXPECTATIONS = ("altair", "scipy.stats")
# Great Expectations looks for it beside PySpark. Without its own dependencies it ends the process,
# when that was started without a script.
_ENDS_THE_PROCESS = "pyspark.sql.connect"


def leave_out(names: tuple[str, ...] = _OF_GREAT_EXPECTATIONS) -> None:
    """Let `import` find these modules without running them until one of their names is wanted, and
    not find Spark's client for remote clusters."""
    sys.modules.setdefault(_ENDS_THE_PROCESS, None)  # type: ignore[arg-type]  # None: not there
    for name in names:
        if name not in sys.modules and (module := _not_run(name)) is not None:
            sys.modules[name] = module


def _not_run(name: str) -> ModuleType | None:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # its parent is not installed
        return None
    if spec is None or spec.loader is None:
        return None
    module, loader = module_from_spec(spec), spec.loader

    def wanted(attribute: str) -> Any:
        # The standard library's LazyLoader does this too, but is undone by the next `import`.
        module.__dict__.pop("__getattr__", None)
        loader.exec_module(module)
        return getattr(module, attribute)

    module.__dict__["__getattr__"] = wanted
    return module
