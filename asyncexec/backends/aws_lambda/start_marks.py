"""Log lines that mark the start of attempts, so that the end of a log shows which one ended the sandbox."""

from __future__ import annotations

import re
from typing import NamedTuple

_MARK = re.compile(r"^asyncexec: attempt (\d+) starts at (\d+\.\d+) on (.+?)\s*$", re.MULTILINE)
_REPORT = re.compile(r"Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB")


class StartMark(NamedTuple):
    """The start of an attempt."""

    attempt: int
    at: float
    worker: str


def start_line(mark: StartMark) -> str:
    """Return the line that a worker writes to its log."""
    return f"asyncexec: attempt {mark.attempt} starts at {mark.at:.6f} on {mark.worker}\n"


def last_start_mark(log: str) -> StartMark | None:
    """Return the last start in the end of a log; None if there is none."""
    found = _MARK.findall(log)
    if not found:
        return None
    attempt, at, worker = found[-1]
    return StartMark(int(attempt), float(at), worker)


def out_of_memory(log: str) -> bool:
    """Return whether Lambda's report at the end of a log shows that the sandbox used all of its memory."""
    found = _REPORT.search(log)
    return found is not None and int(found[2]) >= int(found[1])
