"""The kinds of pools, by the package that they come from; none is imported."""

from __future__ import annotations

import concurrent.futures
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field

from asyncexec.backends.contract import Capabilities
from asyncexec.plan.locality import Locality

# Of Python 3.14; it derives from ThreadPoolExecutor, but its workers do not share memory.
_INTERPRETERS: type | None = getattr(concurrent.futures, "InterpreterPoolExecutor", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolKind:
    """A kind of pool."""

    locality: Locality = Locality.ELSEWHERE
    """The nearest that its workers certainly are."""
    isolated: bool = True
    """Whether a task that ends its process leaves the driver alive."""
    loss_seconds: float | None = None
    """Within how long it notices that a worker died; None where it may never."""
    native_retry: str = ""
    """What it would do again by itself, and how that is switched off."""
    call_seconds: float = 0.001
    """About what one call costs."""
    own_processes: bool = True
    """Whether each worker has a process of its own, whose memory can be limited."""
    lost: tuple[str, ...] = ()
    """Names of the errors, in full, that say that the worker of one call is gone and no other."""
    overlaps: bool = True
    """Whether its workers can have threads of their own beside the one that runs a call."""
    tells_running: bool = True
    """Whether its futures know when their calls start."""
    starter: str = ""
    """The program by which it starts workers, without which it ends this program."""
    started_by: tuple[str, ...] = ()
    """Environment variables that say that its workers have been started with this program."""
    shutdown: Mapping[str, bool] = field(default_factory=lambda: {"cancel_futures": True})
    """What its ``shutdown`` takes, beside ``wait``, so that nothing more is started."""

    @property
    def marks_starts(self) -> bool:
        """True if its workers are processes of this machine, which can mark the starts of calls by files."""
        return self is PROCESSES and sys.platform != "win32"

    def missing_starter(self, variables: Mapping[str, str]) -> str:
        """Return the program that is missing, or nothing, given this program's environment."""
        if not self.starter or any(name in variables for name in self.started_by):
            return ""
        return "" if shutil.which(self.starter, path=variables.get("PATH")) else self.starter

    def capabilities(self, *, batch_limit: int, memory_bytes: int | None = None) -> Capabilities:
        """Return what a backend on such a pool can do."""
        return Capabilities(
            name="futures",
            locality=self.locality,
            isolated=self.isolated,
            batch_limit=batch_limit,
            tells_progress=self.locality is Locality.SAME_PROCESS or batch_limit == 1,
            loss_seconds=self.loss_seconds,
            native_retry=self.native_retry,
            call_seconds=self.call_seconds,
            worker_bytes=memory_bytes,
            guarantees_memory=memory_bytes is not None,
            overlaps=self.overlaps and batch_limit > 1,
        )


UNKNOWN = PoolKind()
NOT_MADE = PoolKind(locality=Locality.SAME_HOST)
"""Of a pool that is still to be made: the most careful guess."""

THREADS = PoolKind(
    locality=Locality.SAME_PROCESS, isolated=False, call_seconds=0.0, own_processes=False
)
INTERPRETERS = PoolKind(
    locality=Locality.SAME_HOST, isolated=False, own_processes=False, overlaps=False
)
PROCESSES = PoolKind(locality=Locality.SAME_HOST, loss_seconds=1.0)

_BY_PACKAGE: Mapping[str, PoolKind] = {
    "loky": PROCESSES,
    # With MPICH a rank that dies takes the others along, and the driver with them, unless mpiexec is told otherwise
    # (-disable-auto-cleanup): then it is waited for for ever.
    "mpi4py": PoolKind(
        isolated=False,
        starter="mpiexec",
        started_by=("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK"),
    ),
    "parsl": PoolKind(
        loss_seconds=30.0,
        native_retry="Config(retries=...), 0 unless it is set",
        lost=(
            "parsl.executors.high_throughput.errors.WorkerLost",
            "parsl.executors.high_throughput.errors.ManagerLost",
        ),
        tells_running=False,
        # It warns that it cannot cancel when it is asked to.
        shutdown={},
    ),
    "lithops": PoolKind(loss_seconds=3.0, call_seconds=0.4),
}


def kind_of(pool: type[Executor]) -> PoolKind:
    """Return what is known of a class of pools; the one that it derives from counts as well."""
    if _INTERPRETERS is not None and issubclass(pool, _INTERPRETERS):
        return INTERPRETERS
    if issubclass(pool, ThreadPoolExecutor):
        return THREADS
    if issubclass(pool, ProcessPoolExecutor):
        return PROCESSES
    for base in pool.__mro__:
        known = _BY_PACKAGE.get(base.__module__.partition(".")[0])
        if known is not None:
            return known
    return UNKNOWN
