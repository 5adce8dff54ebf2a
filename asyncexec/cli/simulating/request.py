"""From what was typed to what is simulated."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from asyncexec.cli.simulating.options import Billing, Order
from asyncexec.errors import OptionError
from asyncexec.plan.memory import parse_bytes
from asyncexec.plan.plan import Plan
from asyncexec.simulation import Cluster, Noise
from asyncexec.simulation.comparison import Variant
from asyncexec.simulation.plans import plan_at, staged
from asyncexec.simulation.spelling import durations_of, numbers_of
from asyncexec.straggler.names import RULE_NAMES, as_rule

DEFAULT_RULES = ("off", "two_phase")

# What the fields of Noise and Cluster are called here.
_NOISE_OPTIONS: Mapping[str, str] = {
    "slow_share": "--slow",
    "slow_factors": "--slow-by",
    "hang_share": "--hangs",
    "failure_share": "--failures",
    "storage_share": "--storage-tail",
    "storage_seconds": "the SECONDS of --storage-tail",
}
_CLUSTER_OPTIONS: Mapping[str, str] = {
    "workers": "--workers",
    "speed_sigma": "--speed-sigma",
    "slow_share": "--slow-workers",
    "slow_factor": "--slow-workers-by",
    "arrival_per_second": "--arrival",
    "cold_start_seconds": "--cold-start",
    "loss_per_hour": "--preemption",
    "starts_per_second": "--max-starts",
    "latency_seconds": "--latency",
    "price_per_hour": "--price",
    "price_per_start": "--price-per-start",
    "billed_least_seconds": "--bill-least",
    "billed_step_seconds": "--bill-step",
    "memory_bytes": "--memory",
}


def plan_of(path: str | None, *, allow_import: bool, numbered: Mapping[str, Any]) -> Plan:
    """Return the plan that was named, or the one of so many stages (``numbered`` by the options' names).

    Raises
    ------
    OptionError
        If it cannot be had, both are given, or somebody's module would be imported without leave.
    """
    if path is None:
        refuse({"--allow-import": allow_import}, without="a PLAN")
        asked = {name: value for name, value in numbered.items() if value is not None}
        return staged(
            asked.get("--stages", 1),
            asked.get("--tasks", 1000),
            asked.get("--relation", "one-to-one"),
            task_bytes=parse_bytes(asked.get("--task-memory", "0"), what="--task-memory"),
        )
    refuse(numbered, beside="PLAN")
    if not allow_import:
        raise OptionError(f"to take the plan {path!r}, its module is run: say --allow-import")
    return plan_at(path)


def refuse(given: Mapping[str, Any], *, beside: str = "", without: str = "") -> None:
    """Raise OptionError if any of these options was given, which say nothing ``beside`` another, or ``without`` one."""
    found = [name for name, value in given.items() if value not in (None, False)]
    if found and beside:
        raise OptionError(f"{', '.join(found)} cannot be given with {beside}, which says it")
    if found:
        raise OptionError(f"{', '.join(found)} says nothing without {without}: give that too")


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
    with _as_typed(_NOISE_OPTIONS):
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
               price_per_start: float, billing: Billing, metered: bool | None, **figures: Any) -> Cluster:  # fmt: skip
    """Return the workers; ``figures`` are named as :class:`Cluster` names them.

    Raises
    ------
    OptionError
        If a figure is out of range.
    """
    if metered is None:
        # Where workers are billed whether they work or not, a backup on an idle one costs nothing.
        metered = billing is Billing.ATTEMPTS and price + price_per_start > 0
    with _as_typed(_CLUSTER_OPTIONS):
        return Cluster(
            price_per_hour=price,
            price_per_start=price_per_start,
            billed=billing.value,
            metered=metered,
            memory_bytes=None if memory is None else parse_bytes(memory, what="--memory"),
            arrival_per_second=math.inf if arrival is None else arrival,
            starts_per_second=math.inf if max_starts is None else max_starts,
            **figures,
        )


@contextmanager
def _as_typed(options: Mapping[str, str]) -> Generator[None]:
    """Have errors name the options that were typed, not the fields they became."""
    try:
        yield
    except OptionError as error:
        said = str(error).removeprefix("simulation: ")
        for field, option in options.items():
            said = re.sub(rf"\b{field}\b", option, said)
        raise OptionError(said) from error


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
