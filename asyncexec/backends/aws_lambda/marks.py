"""Lines in a function's log that say which attempt runs, so that the end of the log tells who ended a sandbox."""

from __future__ import annotations

import re
from typing import NamedTuple

_MARK = re.compile(r"^asyncexec: attempt (\d+) starts at (\d+\.\d+) on (.+?)\s*$", re.MULTILINE)
_REPORT = re.compile(r"Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB")


class Mark(NamedTuple):
    """An attempt that started."""

    attempt: int
    at: float
    worker: str


def line_of(mark: Mark) -> str:
    """Return the line that a worker writes to its log."""
    return f"asyncexec: attempt {mark.attempt} starts at {mark.at:.6f} on {mark.worker}\n"


def last_mark(log: str) -> Mark | None:
    """Return the last attempt that started, by the end of a log; None where it does not tell."""
    found = _MARK.findall(log)
    if not found:
        return None
    attempt, at, worker = found[-1]
    return Mark(int(attempt), float(at), worker)


def out_of_memory(log: str) -> bool:
    """Whether Lambda's report at the end of a log says that the sandbox used all of its memory."""
    found = _REPORT.search(log)
    return found is not None and int(found[2]) >= int(found[1])
