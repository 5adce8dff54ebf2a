"""The functions that are known, without calling them, to return a coroutine, and the check of stages that need one."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from asyncexec.errors import OptionError
from asyncexec.plan.function_call import FunctionCall
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.plan.stage import Stage


def is_coroutine_function(function: Any) -> bool:
    """Return whether calling ``function`` is known to return a coroutine.

    It is for what is defined by ``async def``, for callables whose ``__call__`` is, for partials of them, for kernels
    that call such a function, and for what ``inspect.markcoroutinefunction`` has marked.
    """
    while isinstance(function, FunctionCall | partial):
        function = function.function if isinstance(function, FunctionCall) else function.func
    if inspect.iscoroutinefunction(function):
        return True
    # Of a class, `__call__` is what its instances do, and calling it makes one.
    return not isinstance(function, type) and inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - not whether it can be called, but by what
    )


def check_concurrency(where: str, stage: Stage) -> None:
    """Raise unless ``stage``, which ``where`` names in words, can run as many tasks at once in a slot as it says.

    Raises
    ------
    OptionError
    """
    if stage.concurrency is None:
        return
    at_once = as_whole_number(stage.concurrency)
    if at_once is None or at_once < 1:
        raise OptionError(
            f"{where} has concurrency={stage.concurrency!r}: give a whole number from 1 on"
        )
    if at_once > 1 and not is_coroutine_function(stage.kernel):
        raise OptionError(
            f"{where} has concurrency={at_once}, and its function is not known to be a coroutine function: tasks share "
            f"a slot only while they await. Define it by `async def`, mark one that returns an awaitable with "
            f"inspect.markcoroutinefunction, or leave concurrency out and give the executor more workers"
        )
