"""Renders ledger documents into the folder a distributor receives; formatting, no arithmetic.

One module per file of the folder. `folder` puts them in place; what they say is in the ledger.
"""

from invoicing.exports.folder import Rendered, render, render_period, unfinished

__all__ = ["Rendered", "render", "render_period", "unfinished"]
