"""Errors of the operating system in words: what failed, at which path, and what to do.

Only what no step can know better belongs here.
"""

from __future__ import annotations

import errno

_PLACE = (
    "A file is where a folder has to be, or the other way round: move it away, or give another path"
)
_ADVICE = {
    errno.EACCES: "Run it as a user who may, or give this one the right",
    errno.EPERM: "Run it as a user who may, or give this one the right",
    errno.EROFS: "It can only be read there: make it writable, or use another folder",
    errno.ENOENT: "Check the path; --home, --landing and --seeds say where things are",
    errno.ENOTDIR: _PLACE,
    errno.EISDIR: _PLACE,
    errno.EEXIST: _PLACE,
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
    errno.EIO: "The disk may be failing: look at the system's log before anything is run again",
    errno.ESTALE: "Mount the disk again, then run the same command again",
}


def in_words(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    said = f"{error.strerror or error}{where}"
    advice = _ADVICE.get(error.errno or 0)
    return f"{said}. {advice}." if advice else said
