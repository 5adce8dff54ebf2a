"""What a module in here has: `bare`, and `OURS`.

`bare` is a context manager: entering it starts the system, with as many workers as `OURS` has; what it yields runs so
many no-ops in the simplest way that the system's own manual shows, and returns when all results are here. `OURS` is how
the same is done on our engine: an executor and its options (or a context manager like `bare`, where more is needed).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import asyncexec as ax
from asyncexec.sync import SyncEngine

type Run = Callable[[int], None]


class Contest(Protocol):
    OURS: tuple[Any, dict[str, Any]] | Callable[[], AbstractContextManager[Run]]

    def bare(self) -> AbstractContextManager[Run]: ...


def noop(item: int) -> int:
    return item


@contextmanager
def on_engine(executor: Any, options: dict[str, Any]) -> Iterator[Run]:
    """Yield what runs so many no-ops on an engine."""
    with SyncEngine(executor, executor_options=options) as engine:

        def run(tasks: int) -> None:
            # By value: a worker does not have this module.
            result = engine.execute(ax.Plan.map(lambda item: item, range(tasks)))
            assert result.value == list(range(tasks))

        yield run
