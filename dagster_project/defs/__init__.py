"""One module per part of the flow, each a ``build(settings, …)`` that returns definitions.

Nothing is defined at import: every definition is made for one ``Settings``.
"""
