"""Durations of earlier tasks of the same kind: in other stages of a run, and in earlier runs of an engine.

A stage of eight tasks completes too few to decide from before it ends; an earlier stage that called the same function
on chunks of the same size may have enough.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncexec.straggler.copy_ledger import CopyLedger
from asyncexec.straggler.statistics import DurationStatistics

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage

KEPT_KINDS = 256


class KindHistory(NamedTuple):
    """The durations of tasks of one kind, and the account of their backups."""

    durations: DurationStatistics
    copies: CopyLedger


class DurationHistory:
    """Durations, and how backups fared, by kind of task: the function, the operation, the size of its largest chunk.

    Safe to use from several threads, as runs are planned in. The kinds that were used least recently are dropped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kinds: OrderedDict[tuple[Any, ...], KindHistory] = OrderedDict()

    def of(self, stage: Stage) -> KindHistory:
        """Return what is known of all tasks like those of ``stage``; more is added to it."""
        kind = (stage.operation, _code_of(stage.kernel), stage.memory.chunk_bytes)
        with self._lock:
            known = self._kinds.get(kind)
            if known is None:
                known = self._kinds[kind] = KindHistory(DurationStatistics(), CopyLedger())
                if len(self._kinds) > KEPT_KINDS:
                    self._kinds.popitem(last=False)
            self._kinds.move_to_end(kind)
            return known


def _code_of(kernel: Any) -> tuple[Any, ...]:
    """Return a key for the function's code, whatever values it has captured."""
    # The function inside wrappers of ours and partial functions; bounded, as an object may return itself.
    for _ in range(8):
        inner = getattr(kernel, "function", None) or getattr(kernel, "func", None)
        if inner is None:
            break
        kernel = inner
    code = getattr(kernel, "__code__", None)
    if code is not None:
        return (code.co_filename, code.co_firstlineno, code.co_qualname)
    kind = kernel if hasattr(kernel, "__qualname__") else type(kernel)
    return (getattr(kind, "__module__", ""), kind.__qualname__)
