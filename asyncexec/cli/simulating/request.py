"""From what was typed to what is simulated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from asyncexec.cli.simulating.options import Order
from asyncexec.errors import OptionError
from asyncexec.plan.memory import parse_bytes
from asyncexec.plan.plan import Plan
from asyncexec.simulation import Cluster, Noise
from asyncexec.simulation.comparison import Variant
from asyncexec.simulation.plans import plan_at, staged
from asyncexec.simulation.spelling import durations_of, numbers_of
from asyncexec.straggler.names import RULE_NAMES, as_rule

DEFAULT_RULES = ("off", "two_phase")


def plan_of(
    path: str | None, *, allow_import: bool, task_memory: str, numbered: Mapping[str, Any]
) -> Plan:
    """Return the plan that was named, or the one of so many stages (``numbered`` by the options' names).

    Raises
    ------
    OptionError
        If it cannot be had, both are given, or somebody's module would be imported without leave.
    """
    if path is None:
        asked = {name: value for name, value in numbered.items() if value is not None}
        return staged(
            asked.get("--stages", 1),
            asked.get("--tasks", 1000),
            asked.get("--relation", "one-to-one"),
            task_bytes=parse_bytes(task_memory, what="--task-memory"),
        )
    refuse(numbered, beside="PLAN")
    if not allow_import:
        raise OptionError(f"to take the plan {path!r}, its module is run: say --allow-import")
    return plan_at(path)


def refuse(given: Mapping[str, Any], *, beside: str) -> None:
    """Raise OptionError if any of these options was given, which say nothing ``beside`` another."""
    found = [name for name, value in given.items() if value not in (None, False)]
    if found:
        raise OptionError(f"{', '.join(found)} cannot be given with {beside}, which says it")


def noise_of(
    *,
    slow: float,
    slow_by: str,
    spread: str | None,
    hangs: float,
    failures: float,
    storage_tail: str,
) -> Noise:
    """Return what happens to attempts.

    Raises
    ------
    OptionError
        If a figure is out of range, or cannot be read.
    """
    low, high = numbers_of(slow_by, 2, what="--slow-by")
    waits, seconds = numbers_of(storage_tail, 2, what="--storage-tail")
    return Noise(
        factor=None if spread is None else durations_of(spread),
        slow_share=slow,
        slow_factors=(low, high),
        hang_share=hangs,
        failure_share=failures,
        storage_share=waits,
        storage_seconds=seconds,
    )


def cluster_of(*, arrival: float | None, max_starts: float | None, memory: str | None, price: float,
               price_per_start: float, metered: bool | None, **figures: Any) -> Cluster:  # fmt: skip
    """Return the workers; ``figures`` are named as :class:`Cluster` names them.

    Raises
    ------
    OptionError
        If a figure is out of range.
    """
    return Cluster(
        price_per_hour=price,
        price_per_start=price_per_start,
        metered=price + price_per_start > 0 if metered is None else metered,
        memory_bytes=None if memory is None else parse_bytes(memory, what="--memory"),
        arrival_per_second=math.inf if arrival is None else arrival,
        starts_per_second=math.inf if max_starts is None else max_starts,
        **figures,
    )


def variants_of(rules: Sequence[str], order: Order) -> list[Variant]:
    """Return each rule in each order; what comes first is what the others are compared to.

    Raises
    ------
    OptionError
        If there is no such rule.
    """
    names: list[str] = []
    for rule in rules or DEFAULT_RULES:
        names += RULE_NAMES if rule == "all" else (as_rule(rule).name,)
    barriers = {Order.PIPELINED: (False,), Order.BARRIERS: (True,), Order.BOTH: (True, False)}
    return [Variant(name, barrier) for barrier in barriers[order] for name in dict.fromkeys(names)]


def seeds_of(first: int, count: int) -> range:
    """Return the seeds.

    Raises
    ------
    OptionError
        If there is none, or one is negative.
    """
    if count < 1 or first < 0:
        raise OptionError(f"--seeds is at least 1 and --seed at least 0, not {count} and {first}")
    return range(first, first + count)
