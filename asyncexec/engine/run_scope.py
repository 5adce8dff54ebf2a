"""The scope of a run: what its tasks can ask about it, put together when the run begins."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from functools import cache
from typing import TYPE_CHECKING, Any

from asyncexec.backends.contract import RunScope

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan
    from asyncexec.worker.initializer import WorkerInitializer
    from asyncexec.worker.run_scope import DriverSettings, LogSettings

type ScopeEntry = Callable[[Plan], Any]
"""Returns, for a plan that is about to run, what its tasks find in their context's ``extras``; it may block."""

_FIRST = """
amber ancient autumn bold brave bright brisk calm clear clever cool coral crisp dapper deep eager early fair fleet
gentle glad golden grand green happy hazel honest humble ivory jolly keen kind late light lively lucid mellow merry mild
misty modest neat noble olive pale patient plain polite proud quick quiet rapid rosy royal rustic sandy silent silver
smooth snowy sober solid spring steady still summer sunny swift tidy true vivid warm wild winter wise witty young
"""
_SECOND = """
acorn alder ash aspen badger bay beech birch brook canyon cedar cliff cloud comet crane creek dawn delta dune eagle elm
falcon fern field finch fjord forest fox garden glacier grove harbor hawk heron hill island ivy lagoon lake lark lily
lynx maple marsh meadow moon moss oak otter owl pebble pine plover pond prairie rain raven reef ridge river robin sage
shore sky snow sparrow spruce star stone stream swan thrush valley wave willow wind wren
"""

_KNOWN = ("namespace", "workflow", "input", "config")


@cache
def _words(text: str) -> list[str]:
    return text.split()


class RunIdentity:
    """The id of a run, unique anywhere, and its name for people.

    Attributes
    ----------
    id : str
        32 hexadecimal digits.
    name : str
        Two words and the first four of those digits.
    """

    __slots__ = ("id", "name")

    def __init__(self) -> None:
        # Not by the module random, whose seed is the user's.
        number = uuid.uuid4().int
        self.id = f"{number:032x}"
        first, second = _words(_FIRST), _words(_SECOND)
        pair = f"{first[number % len(first)]}-{second[(number >> 16) % len(second)]}"
        self.name = f"{pair}-{self.id[:4]}"


def scope_of(
    plan: Plan,
    execution: str,
    *,
    run: RunIdentity,
    executor: str,
    entries: Mapping[str, ScopeEntry],
    logs: LogSettings | None = None,
    initializer: WorkerInitializer | None = None,
    settings: DriverSettings | None = None,
) -> RunScope:
    """Return the scope of a run of ``plan``; called in a thread, since entries may block."""
    context = dict(plan.context)
    context.pop("fingerprint", None)
    known = {name: context.pop(name) for name in _KNOWN if name in context}
    return RunScope(
        execution=execution,
        run_id=run.id,
        run_name=run.name,
        plan=plan.name,
        executor=executor,
        logs=logs,
        initializer=initializer,
        settings=settings,
        extras={**context, **{name: make(plan) for name, make in entries.items()}},
        **known,
    )


def callers_context() -> Context:
    """Return a copy of the caller's context variables, for tasks in threads of this process."""
    context = copy_context()
    if (sniffio := sys.modules.get("sniffio")) is not None:
        # It would say in those threads that an event loop runs there.
        context.run(sniffio.current_async_library_cvar.set, None)
    return context
