"""The command line `muster`: the same Dagster jobs as in the UI, run and told in a terminal.

Asking and telling only; one module for each thing a person asks about.
"""

from dagster_project.cli import (
    backup,
    compare,
    dispute,
    expire,
    home,
    lines,
    months,
    release,
    reproduce,
    usage,
    validate,
    verify,
)
from dagster_project.cli.group import main

__all__ = [
    "backup",
    "compare",
    "dispute",
    "expire",
    "home",
    "lines",
    "main",
    "months",
    "release",
    "reproduce",
    "usage",
    "validate",
    "verify",
]
