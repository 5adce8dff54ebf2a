"""Functions of the plans that the conformance suite runs.

They are apart from its tests because workers import the module of a function: they need no pytest for it.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncexec.testing.kernels import Held, HeldAwaiting
from asyncexec.worker.task_context import get_run_context


def value(item: int) -> Any:
    """Return one of twelve values of different types."""
    import numpy as np

    values: list[Any] = [
        None,
        True,
        2**100,
        1.5,
        2 + 3j,
        "text é",
        b"bytes",
        {"a": [1, (2, 3)], "b": {4}},
        np.float32(1.25),
        np.arange(6).reshape(2, 3),
        [],
        np.zeros(0),
    ]
    return values[item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hungry:
    """Takes so much memory for a moment."""

    bytes_: int

    def __call__(self, _item: int) -> int:
        """Write to all of the memory, and return the last byte."""
        import numpy as np

        return int(np.ones(self.bytes_, dtype=np.uint8)[-1])


def environ(name: str) -> str | None:
    """Return the worker's environment variable; `os.environ.get` itself would travel with the driver's."""
    return os.environ.get(name)


def nothing(_index: object) -> None:
    """Return at once."""


def hold(held: Held, item: int) -> int:
    """Return the item once it is released."""
    return held((item,))[0]


async def trace(held: Held, item: int) -> None:
    """Leave a trace until it is released."""
    await HeldAwaiting(held=held)((item,))


async def hang_once(held: Held, item: int) -> int:
    """Await the release the first time that the item is 3; the second time, which is after its timeout, brings it.

    Where an attempt can only be given up, the others of its call come when it ends.
    """
    if item == 3:
        try:
            (Path(held.directory) / "tried").touch(exist_ok=False)
        except FileExistsError:
            held.release()
            return item
        await trace(held, item)
    return item


async def pass_on(item: int) -> int:
    """Return the item, as a coroutine."""
    return item


def look(_item: str) -> list[Any]:
    """Return what a task knows of itself and its run."""
    context = get_run_context()
    run = (context.run_id, context.run_name, context.plan, context.input, context.namespace)
    return [(context.stage, context.task, context.attempt, run)]


def look_again(before: list[Any]) -> list[Any]:
    """Return what was known before, and what this task knows."""
    return [*before, *look("")]


def progress(_item: int) -> None:
    """Say how far the task is: twice."""
    context = get_run_context()
    context.progress(0.5, "half way")
    context.progress(1.0)


class Unpicklable:
    """A value of a log record that cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __str__(self) -> str:
        return "<unlocked>"


def log(item: int) -> None:
    """Log a warning with something that cannot be pickled, and what is not wanted."""
    logger = get_run_context().logger
    logger.warning("item %d of %s", item, Unpicklable())
    logger.debug("not wanted")
    if not isinstance(logger, logging.LoggerAdapter):
        raise TypeError(f"the logger of a task is a {type(logger).__name__}")


def here() -> str:
    """Return which process of which machine this is."""
    return f"{os.uname().nodename} {os.getpid()}"


def prepare(calls: Path) -> None:
    """Note in a file that this process was initialized."""
    with calls.open("a") as file:
        file.write(f"{here()}\n")


def was_prepared(calls: Path, _item: int) -> bool:
    """Return whether this process was initialized."""
    return here() in calls.read_text().splitlines()


def fail() -> None:
    """Raise ValueError: an initializer that fails."""
    raise ValueError("no licence")
