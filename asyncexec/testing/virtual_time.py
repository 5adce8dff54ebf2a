"""Run coroutines and tests on virtual time; see :mod:`asyncexec.testing.virtual_clock`."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, overload

from asyncexec.testing.virtual_clock import VirtualClockLoop

type _Test[**P] = Callable[P, Coroutine[Any, Any, None]]


def run[T](
    coroutine: Coroutine[Any, Any, T], *, seed: int | None = None, patience_seconds: float = 10.0
) -> T:
    """Run ``coroutine`` on a fresh virtual-clock loop, and return its result.

    >>> import asyncio
    >>> from asyncexec.testing.virtual_time import run
    >>> async def an_hour():
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> run(an_hour())
    3600.0

    Parameters
    ----------
    coroutine
        What to run.
    seed, patience_seconds
        See :class:`~asyncexec.testing.virtual_clock.VirtualClockLoop`.

    Raises
    ------
    DeadlockError
        If tasks are left that nothing can wake.
    """
    factory = functools.partial(VirtualClockLoop, seed=seed, patience_seconds=patience_seconds)
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(coroutine)


def explore(
    test: Callable[[], Coroutine[Any, Any, Any]], *, seeds: Iterable[int] = range(20)
) -> None:
    """Run ``test()`` once per seed, each with another interleaving of its tasks.

    The error of the first run that fails is raised, with a note that says the seed.

    >>> import asyncio
    >>> from asyncexec.testing.virtual_time import explore
    >>> firsts = set()
    >>> async def race():
    ...     order = []
    ...     async def finish(name):
    ...         order.append(name)
    ...     await asyncio.gather(finish("a"), finish("b"))
    ...     firsts.add(order[0])
    >>> explore(race)
    >>> sorted(firsts)
    ['a', 'b']
    """
    for seed in seeds:
        try:
            run(test(), seed=seed)
        except BaseException as error:
            error.add_note(
                f"interleaving: seed={seed} (repeat it with asyncexec.testing.run(…, seed={seed}))"
            )
            raise


@overload
def virtual_time[**P](test: _Test[P], /) -> Callable[P, None]: ...


@overload
def virtual_time[**P](
    *, seeds: Iterable[int] | None = None
) -> Callable[[_Test[P]], Callable[P, None]]: ...


def virtual_time(test: Any = None, /, *, seeds: Iterable[int] | None = None) -> Any:
    """Make a plain test of an ``async`` one, that runs on virtual time.

    pytest sees a function that is not a coroutine function, so no plugin touches it, whatever its mode. It may take
    fixtures, parameters and Hypothesis's arguments (``@given`` above ``@virtual_time``). Async fixtures would live
    in another loop; make what they make inside the test.

    >>> import asyncio
    >>> from asyncexec.testing.virtual_time import virtual_time
    >>> @virtual_time
    ... async def test_a_timeout():
    ...     try:
    ...         await asyncio.wait_for(asyncio.Event().wait(), 3600)
    ...     except TimeoutError:
    ...         print("after", asyncio.get_running_loop().time(), "s")
    >>> test_a_timeout()
    after 3600.0 s

    Parameters
    ----------
    test
        The test, where the decorator is written without brackets.
    seeds
        Run the test once for each of these, as :func:`explore` does.
    """
    if test is None:
        return functools.partial(_virtual, seeds=None if seeds is None else tuple(seeds))
    return _virtual(test, seeds=None)


def _virtual[**P](test: _Test[P], *, seeds: tuple[int, ...] | None) -> Callable[P, None]:
    @functools.wraps(test)
    def plain(*args: P.args, **kwargs: P.kwargs) -> None:
        if seeds is None:
            run(test(*args, **kwargs))
        else:
            explore(lambda: test(*args, **kwargs), seeds=seeds)

    return plain
