"""The programs that a worker process keeps between batches: the last few, by the digest of what was sent."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from contextvars import Context

    from asyncexec.plan.box import Shape
    from asyncexec.plan.stage import Kernel, TaskIO
    from asyncexec.worker.run_scope import StageScope
    from asyncexec.worker.values import LargeValues


class LoadedProgram(NamedTuple):
    """All that a worker needs of a stage.

    Attributes
    ----------
    kernel, io, shape
        The kernel, how its inputs and outputs are read and written, and its index space.
    scope : StageScope or None
        The data of its run that tasks can ask for.
    context : Context or None
        The context of which each attempt runs in a copy, in the driver's process; None in others.
    values : LargeValues or None
        Where large values are kept; None where all values travel.
    """

    kernel: Kernel
    io: TaskIO | None
    shape: Shape
    scope: StageScope | None = None
    context: Context | None = None
    values: LargeValues | None = None


type ProgramSource = Callable[[], LoadedProgram]
"""Returns the program of a batch when its first attempt needs it; what it raises is why each attempt fails."""

KEPT_PROGRAMS = 32


class ProgramCache:
    """Keeps the programs that were used last, loaded.

    Parameters
    ----------
    limit : int
        How many.
    """

    def __init__(self, limit: int = KEPT_PROGRAMS) -> None:
        self._limit = limit
        self._programs: OrderedDict[bytes, LoadedProgram] = OrderedDict()

    def load(self, key: bytes, blob: bytes | None) -> LoadedProgram | None:
        """Return the program with this digest, loaded from ``blob`` if it is not kept; None without either."""
        program = self._programs.get(key)
        if program is None:
            if blob is None:
                return None
            program = self._programs[key] = pickle.loads(blob)  # noqa: S301 - from the driver
        self._programs.move_to_end(key)
        while len(self._programs) > self._limit:
            self._programs.popitem(last=False)
        return program


def digest(blob: bytes) -> bytes:
    """Return the key of a program: by content, since several engines may share a worker."""
    return blake2b(blob, digest_size=16).digest()


PROGRAMS = ProgramCache()
"""Of this process: workers of other systems are not ours, and keep nothing else for us between two batches."""
