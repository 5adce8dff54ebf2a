"""Functions of tasks that share values by key, for the conformance suite."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.cluster_memory.inside import get_cluster_memory
from asyncexec.errors import UsageError
from asyncexec.worker.task_context import get_run_context

COUNT = 50_000
"""Elements of the arrays."""


def has_run_context(_: int) -> bool:
    """Return whether tasks of this backend have a run context."""
    try:
        get_run_context()
    except UsageError:
        return False
    return True


async def collect_shared(numbers: list[int]) -> list[Any]:
    """Return what the tasks of these numbers have put."""
    memory = get_cluster_memory()
    found = [
        [
            (await memory.get(f"small {n}"))["number"],
            int((await memory.get(f"array {n}", namespace="arrays")).sum()),
        ]
        for n in numbers
    ]
    return [found, sorted(await memory.keys(namespace="arrays"))]


def sum_of_shared(_: int) -> float:
    """Return the sum of the array that the driver has put."""
    memory = get_cluster_memory().sync
    memory.put("done", "yes")
    return float(memory.get("array").sum())


def share_two_values(number: int) -> int:
    """Put a small value and an array."""
    memory = get_cluster_memory().sync
    memory.put(f"small {number}", {"number": number})
    memory.put(f"array {number}", np.full(COUNT, number), namespace="arrays")
    return number


def use_one_key(_: int) -> list[Any]:
    """Return what the memory of a new run does with one key."""
    memory = get_cluster_memory().sync
    seen: list[Any] = [list(memory.keys())]
    memory.put("key", 1)
    memory.put("key", 2)
    memory.put("key", 3, namespace="other")
    seen += [memory.get("key"), memory.delete("key"), memory.delete("key")]
    seen += [memory.exists("key"), memory.exists("key", namespace="other")]
    memory.clear(namespace="other")
    seen.append(list(memory.keys(namespace="other")))
    try:
        memory.get("key")
    except KeyError as error:
        seen.append("there is no 'key'" in str(error))
    return seen


def share_generator(_: int) -> None:
    """Put a value that cannot be pickled anywhere."""
    get_cluster_memory().sync.put("key", (n for n in range(3)))
