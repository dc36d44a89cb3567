"""What a person sees in a real terminal: a line that changes, and never an escape in letters."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

MUSTER = "from dagster_project.cli import main; main()"
# What a step prints while the line changes, to a terminal or, with `2`, to standard error.
PRINTS = """
import sys, click
from dagster_project.cli.terminal import printable_output
from dagster_project.cli.working import progress
with printable_output(), progress() as tell:
    tell("raw__usage", "1 of 2")
    click.echo("[bold]a name with \\x1b]2;in it")
    click.echo("a warning", err=True)
    tell("raw__usage", "2 of 2")
"""


def on_a_terminal(*command: str, stdout: Path | None = None) -> str:
    """What the command sends to its terminal; its standard output goes to the file, if given."""
    ours, theirs = pty.openpty()
    with Path(os.devnull if stdout is None else stdout).open("w") as file:
        running = subprocess.Popen(
            [sys.executable, "-c", *command],
            stdin=theirs,
            stdout=theirs if stdout is None else file,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        )
    os.close(theirs)
    sent = b""
    with contextlib.suppress(OSError):  # how Linux says that nobody holds the other end
        while more := os.read(ours, 65_536):
            sent += more
    os.close(ours)
    assert running.wait() == 0, sent.decode()
    return sent.decode()


def left_on(sent: str) -> list[str]:
    """The lines that stay: what was erased is gone, colours and the cursor's state are left out."""
    lines = [""]
    for part in re.split(r"(\r?\n|\r|\x1b\[[0-9?;]*[A-Za-z])", sent):
        if part.endswith("\n"):
            lines.append("")
        elif part == "\x1b[2K":
            lines[-1] = ""
        elif part == "\x1b[1A":
            lines.pop()
        elif not part.startswith(("\r", "\x1b")):
            lines[-1] += part
    return [line.rstrip() for line in lines if line.strip()]


def test_progress_is_one_line_that_changes_and_goes(tmp_path: Path) -> None:
    days = ("--start", "2026-01-01", "--end", "2026-01-03", "--devices", "20", "--customers", "3")
    out = tmp_path / "landing"
    sent = on_a_terminal(MUSTER, "simulate", "--out", str(out), "--partners", "3", *days)
    assert "\\u" not in sent, sent
    # It was there, it was erased, and it left one sentence.
    assert "simulate · " in sent
    assert "\x1b[2K" in sent
    said = "".join(left_on(sent))
    assert said == f"Landing files for 2026-01-01 to 2026-01-03 are in {out}"


def test_what_is_printed_meanwhile_goes_above_and_steers_nothing() -> None:
    sent = on_a_terminal(PRINTS)
    assert left_on(sent) == ["[bold]a name with \\u001b]2;in it", "a warning"]
    assert "\x1b]2" not in sent


def test_what_goes_into_a_file_goes_there_while_progress_is_shown(tmp_path: Path) -> None:
    into = tmp_path / "out.txt"
    sent = on_a_terminal(PRINTS, stdout=into)
    assert left_on(sent) == ["a warning"]
    assert into.read_text() == "[bold]a name with \\u001b]2;in it\n"
