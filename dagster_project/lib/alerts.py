"""The alert hook: a command of the house's own, given an event as JSON on its standard input.

What is worth an alert is decided where it happens; a hook that fails never fails a run.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any, Literal

from dagster_project.lib.settings import Settings

Event = Literal["failure", "failed_check", "hold", "missing_feed"]

# A pager that hangs must not hang a month-end.
_SECONDS = 30


def send(settings: Settings, event: Event, **what: Any) -> str | None:
    """Run MUSTER_ALERT with {"event", "home", ...}; what went wrong with that, in words, or None.

    Does nothing when no command is set. Nothing in an event names a user, device or firewall.
    """
    if not settings.alert:
        return None
    text = json.dumps({"event": event, "home": str(settings.home), **what}, ensure_ascii=False)
    try:
        subprocess.run(
            settings.alert,
            input=f"{text}\n",
            text=True,
            capture_output=True,
            check=True,
            timeout=_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip() or "nothing"
        return f"The alert command ended with {error.returncode} and said: {said}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"The alert command could not be run: {error}"
    return None
