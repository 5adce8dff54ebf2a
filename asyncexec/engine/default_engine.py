"""Plans and arrays in one line, in a coroutine: on engines that the calls of an event loop share.

``await ax.execute(plan)`` and ``await ax.compute(x, y)`` open an engine for their executor when the first call needs
it, and leave it open for the next. It is closed with the event loop, or at the end of the process.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from asyncexec.engine.call_threads import CallThreads
from asyncexec.engine.executor_choice import executor_for
from asyncexec.engine.run_options import RunOptions, check_run_options
from asyncexec.engine.shared_engines import SharedEngines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncexec.array.array import Array
    from asyncexec.engine import Result
    from asyncexec.plan import Plan, Plannable

_ENGINES = SharedEngines()
_OF_THE_ENGINE = ("executor", "executor_options")


async def execute(
    plan: Plan | Plannable,
    *,
    executor: Any = None,
    executor_options: Mapping[str, Any] | None = None,
    **options: Unpack[RunOptions],
) -> Result:
    """Run ``plan`` on the engine that this event loop shares, and return its result.

    Cancelling this call stops the work of this plan, and leaves the engine to the others. For an engine with a memory
    budget, limits or observers of its own, open an :class:`asyncexec.Engine`.

    >>> result = await ax.execute(ax.Plan.map(abs, [-1, 2]), retry=2)
    >>> result.value
    [1, 2]
    >>> x = xp.arange(4, chunks=2)
    >>> result = await ax.execute(xp.store([x], ["x.zarr"]), executor="serial")

    Parameters
    ----------
    plan : Plan, or anything with ``to_plan()``
        Such as an array, what :func:`asyncexec.array.store` returns, or a workflow with its inputs.
    executor, executor_options : optional
        As for :class:`asyncexec.Engine`; by default those of an array's ``Spec``, or ``"threads"``. Each executor with
        its options has an engine of its own.
    **options
        See :class:`asyncexec.engine.run_options.RunOptions`.

    Raises
    ------
    UnknownOptionError
        If there is no such option.
    AsyncexecError
        What :meth:`asyncexec.Engine.execute` raises.
    """
    check_run_options(options, "asyncexec.execute()", also=_OF_THE_ENGINE)
    engine = await _ENGINES.engine(*executor_for(plan, executor, executor_options))
    return await engine.execute(plan, **options)


async def compute(
    *arrays: Array,
    executor: Any = None,
    executor_options: Mapping[str, Any] | None = None,
    **options: Unpack[RunOptions],
) -> tuple[Any, ...]:
    """Compute arrays by one plan, and return them as NumPy arrays: always a tuple, with one for each.

    What the arrays have in common is computed once. Arguments are those of :func:`execute`, and so are errors.

    >>> x = xp.arange(1_000, chunks=100) / 999
    >>> low, high = await ax.compute(xp.min(x), xp.max(x))
    >>> low, high
    (array(0.), array(1.))
    >>> (total,) = await ax.compute(xp.sum(x), timeout=60.0)

    Parameters
    ----------
    *arrays : Array
        With equal specs, or none.
    executor, executor_options, **options
        As for :func:`execute`.

    Raises
    ------
    TypeError
        If one is no array; a plan goes to :func:`execute`.
    """
    from asyncexec.array.storing import computation_of  # noqa: PLC0415 - arrays are dear, and plans need none

    check_run_options(options, "asyncexec.compute()", also=_OF_THE_ENGINE)
    if not arrays:
        return ()
    result = await execute(
        computation_of(*arrays), executor=executor, executor_options=executor_options, **options
    )
    value: tuple[Any, ...] = result.value
    return value


async def store_icechunk(
    sources: Array | Sequence[Array],
    targets: Any,
    session: Any,
    /,
    *,
    commit: str | None = None,
    overwrite: bool = False,
    executor: Any = None,
    executor_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> str | None:
    """Store arrays into a writable session of Icechunk by one plan, and return the snapshot of its commit.

    It is :func:`asyncexec.array.store_icechunk` for coroutines, with the same arguments and errors; a cancelled call
    leaves the session as it was.

    >>> import icechunk
    >>> repo = icechunk.Repository.create(icechunk.in_memory_storage())
    >>> session = repo.writable_session("main")
    >>> await ax.store_icechunk(xp.arange(4, chunks=2), "x", session)
    >>> snapshot = await session.commit_async("one array")
    >>> (x,) = await ax.compute(xp.from_zarr(repo.readonly_session("main").store, path="x"))
    >>> x
    array([0, 1, 2, 3])

    Parameters
    ----------
    sources : Array or sequence of Array
    targets : str, zarr.Array, or sequence of these
    session : icechunk.Session
    commit : str, optional
        The message of a commit. Without one, the session has the changes, and nothing is committed.
    overwrite : bool
        Whether an array at a path may be replaced.
    executor, executor_options : optional
        As for :func:`execute`.
    **options
        Those of :func:`asyncexec.array.store_icechunk`, and of a run.

    Raises
    ------
    CommitConflictError
        If the branch has other commits by then; the session has all changes.
    """
    from asyncexec.array.storing_versions import COMPUTATION_OPTIONS, store_icechunk as storing  # noqa: PLC0415 - arrays are dear

    of_storing = {k: options.pop(k) for k in COMPUTATION_OPTIONS if k in options}
    check_run_options(options, "asyncexec.store_icechunk()", also=_OF_THE_ENGINE)
    computation = storing(
        sources, targets, session, commit=commit, overwrite=overwrite, compute=False, **of_storing
    )
    result = await execute(
        computation, executor=executor, executor_options=executor_options, **options
    )
    snapshot: str | None = result.value
    return snapshot


async def from_zarr(place: Any, /, **options: Any) -> Array:
    """Return the Zarr array at ``place``, opened without holding the event loop while the store answers.

    It is :func:`asyncexec.array.from_zarr` for coroutines, with the same arguments and errors. A cancelled call returns
    at once, also where the store never answers.

    >>> xp.to_zarr(xp.arange(4, chunks=2), "x.zarr")
    >>> await ax.from_zarr("x.zarr")
    <asyncexec.Array shape=(4,) dtype=int64 chunks=(2,) (32 B)>

    Parameters
    ----------
    place : path, URL, Zarr store, array or group, obstore's store, fsspec's mapping, or dictionary
    **options
        Those of :func:`asyncexec.array.from_zarr`: ``path``, ``spec``, ``storage_options``, ``unfinished``.

    Raises
    ------
    ArrayNotFoundError, UnfinishedArrayError, CorruptArrayError, TypeError
        Those of :func:`asyncexec.array.from_zarr`.
    """
    from asyncexec.array.reading import from_zarr as opening  # noqa: PLC0415 - arrays are dear

    threads = CallThreads()
    lane = threads.lane()
    call = lane.call(partial(opening, place, **options))
    try:
        await call.done.wait()
        return call.result("from_zarr()")
    finally:
        if not call.done.is_set():
            lane.abandon()
        threads.close()


async def close_shared_engines() -> None:
    """Close the engines that calls of :func:`execute` and :func:`compute` share in this event loop.

    They end with the loop anyway; this frees their workers earlier, such as at the end of a web service's lifespan.
    What runs on them is cancelled, and the next call opens an engine anew.

    >>> (total,) = await ax.compute(xp.sum(xp.arange(4)))
    >>> await ax.close_shared_engines()
    """
    await _ENGINES.close()
