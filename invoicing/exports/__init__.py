"""Renders ledger documents into the folder a distributor receives; formatting, no arithmetic.

One module per file of the folder. `folder` puts them in place; what they say is in the ledger.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invoicing.exports.folder import Rendered, render, render_period
    from invoicing.exports.standing import unfinished

__all__ = ["Rendered", "render", "render_period", "unfinished"]


def __getattr__(name: str) -> Any:
    """What renders pages and workbooks is not imported for whoever asks how folders stand."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "standing" if name == "unfinished" else "folder"
    return getattr(import_module(f"{__name__}.{module}"), name)
