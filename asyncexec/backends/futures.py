"""Any ``concurrent.futures.Executor`` as a backend: thread pools, process pools, loky, MPI pools."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import ClassVar

from asyncexec.backends.adapters.blocking import BlockingBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.options import seconds, whole_number
from asyncexec.backends.pools.kinds import NOT_YET
from asyncexec.backends.pools.system import PoolSource, PoolSystem
from asyncexec.errors import OptionError


class FuturesBackend(BlockingBackend):
    """Run tasks on an executor of the ``concurrent.futures`` kind.

    A running call of such a pool cannot be stopped: a task that is cancelled or times out while it runs is *given up*.
    Its worker stays taken until the kernel returns. In a thread pool it then does not save; in any other pool a late
    write cannot be prevented.

    Parameters
    ----------
    executor : concurrent.futures.Executor or callable
        A pool, which stays the caller's: it is not shut down, and when it breaks the run fails. Or a function that
        makes a pool, which is then shut down on leaving, and made anew when it breaks.
    max_workers : int, optional
        How many tasks to run at once; default: what the pool says.
    batch_limit : int
        How many tasks may go into one call: as many short ones as make up 100 ms of work. Their outcomes come together
        when the last has ended, and only the start of the first is known. Where one of them does not end, the call is
        given up, and the others are done by another; those of a broken pool all count as having run, and are tried
        again one by one. With 1, each task has a call of its own.
    patience : float
        Seconds that work waits while given-up tasks hold every worker, before the pool counts as broken.

    Raises
    ------
    OptionError
        If an option is not what it should be.
    """

    features: ClassVar[Capabilities] = NOT_YET.capabilities(batch_limit=256)

    def __init__(
        self,
        *,
        executor: PoolSource,
        max_workers: int | None = None,
        batch_limit: int = 256,
        patience: float = 30.0,
    ) -> None:
        system = PoolSystem(
            _checked_source(executor),
            None
            if max_workers is None
            else whole_number(max_workers, executor="futures", option="max_workers"),
            whole_number(batch_limit, executor="futures", option="batch_limit"),
        )
        super().__init__(system, patience=seconds(patience, executor="futures", option="patience"))


def _checked_source(source: PoolSource) -> PoolSource:
    if not isinstance(source, Executor) and not callable(source):
        raise OptionError(
            f"executor 'futures': executor must be a concurrent.futures.Executor or a function "
            f"that makes one (lambda: ProcessPoolExecutor(4)), not {source!r}"
        )
    return source
