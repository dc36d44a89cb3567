"""What README tells a person to type works as it is printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from house import REPOSITORY, House

# Those that serve, take minutes or change the home that other tests look at; each has tests.
_NOT_RUN = ("ui", "rebuild", "load", "close")


def _commands() -> list[str]:
    """Whole commands of README, without the options; those with a placeholder are not whole."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    fenced = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    lines = re.findall(r"^muster (.+?)(?: +# .*)?$", fenced, re.MULTILINE)
    # In a sentence a word or two name a command; one that can be typed has arguments.
    inline = [one for one in re.findall(r"`muster ([^`]+)`", text) if "--" in one]
    return [
        one
        for one in dict.fromkeys([*lines, *inline])
        if one.split()[0] not in _NOT_RUN and not re.search(r"(?<= )[A-Z]+(?= |$)", one)
    ]


def test_the_commands_are_found() -> None:
    found = _commands()
    assert "status" in found
    assert "draft 2026-03 --partner P0002" in found
    assert len(found) > 10


@pytest.mark.parametrize("command", _commands())
def test_a_command_of_the_readme_works(closed_house: House, command: str, tmp_path: Path) -> None:
    done = subprocess.run(
        closed_house.command(*shlex.split(command)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **closed_house.environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout
