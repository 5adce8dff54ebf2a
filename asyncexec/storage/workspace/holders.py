"""The processes that hold places in object stores: which one has a lease, and whether it is gone."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The run that has a lease.

    Attributes
    ----------
    token : str
        Names the lease, and no other.
    run : str
    host : str
        The name of its machine, for messages.
    machine : str
        Its machine since that was started, and the part of it that sees the same process numbers.
    pid : int
    started : str
        When the process was started, as its system counts.
    since, at, until : float
        When it got the lease, when it renewed that last, and until when it holds, in seconds since the epoch as its own
        machine counts.
    """

    token: str = ""
    run: str = ""
    host: str = ""
    machine: str = ""
    pid: int = 0
    started: str = ""
    since: float = 0.0
    at: float = 0.0
    until: float = 0.0

    @classmethod
    def read(cls, data: bytes) -> Holder | None:
        """Return the holder that a lease names; None if it cannot be read, or has none."""
        try:
            found: Any = json.loads(data)
            return cls(
                token=str(found.get("token", "")),
                run=str(found.get("run", "")),
                host=str(found.get("host", "")),
                machine=str(found.get("machine", "")),
                pid=int(found.get("pid", 0)),
                started=str(found.get("started", "")),
                since=float(found.get("since", 0.0)),
                at=float(found.get("at", 0.0)),
                until=float(found.get("until", 0.0)),
            )
        except (ValueError, AttributeError, TypeError):
            return None

    def is_gone(self, age: Callable[[], float | None] = lambda: None) -> bool:
        """Return whether the lease has run out, or its process is known not to be there any more.

        ``age`` returns for how long the lease was not renewed, as its store counts: clocks of two machines may differ.
        """
        if not self.until:
            return True
        here = holding_process()
        if self.machine and self.machine == here["machine"]:
            return self.until <= time.time() or _started(self.pid) != self.started
        seconds = age() if self.at else None
        return self.until <= time.time() if seconds is None else self.until - self.at <= seconds

    def __str__(self) -> str:
        where = f"process {self.pid} on {self.host}" if self.pid else "another process"
        run = f"run {self.run} of {where}" if self.run else where
        since = f" since {_clock(self.since)}" if self.since else ""
        left = max(0, round(self.until - time.time()))
        return f"{run}{since}; if it has been killed, its lease runs out in {left} s"


def holding_process() -> dict[str, Any]:
    """Return what a lease says of this process."""
    return _process(os.getpid())


# By its number: a fork is another process.
@lru_cache(maxsize=1)
def _process(pid: int) -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": pid,
        "started": _started(pid),
    }


def _machine() -> str:
    # Containers of one machine count processes each on its own; elsewhere than on Linux nothing is known of that.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - what it leads to is no path
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when the process was started, as the system counts; empty if there is none (or a dead one)."""
    try:
        # After the last parenthesis, as the name of a program may have blanks and parentheses in it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
