"""The abilities of an executor, described in words."""

from __future__ import annotations

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.features import ExecutorFeatures
from asyncexec.plan.locality import Locality
from asyncexec.plan.memory import format_bytes

COLUMNS = (
    "a running task that is cancelled",
    "a dead worker is noticed",
    "a task that kills its process",
    "a slow worker",
    "memory",
    "values and chunks",
    "messages",
    "chunks of stores elsewhere",
    "retries of its own",
    "billed by time",
)


def describe(executor: ExecutorFeatures) -> dict[str, str]:
    """Return the description of ``executor`` under each of ``COLUMNS``."""
    can = executor.features
    if can is None:
        return dict.fromkeys(COLUMNS, "not said")
    return dict(
        zip(
            COLUMNS,
            (
                "is killed" if can.kills else "is given up",
                _loss(can),
                "costs its own attempt" if can.isolated else "ends the program",
                "is left idle for a while" if executor.chooses else "is told of",
                _memory(can),
                _HANDED_OVER[can.locality],
                _messages(can),
                "are asked for ahead and written behind"
                if can.overlaps
                else "one task after another",
                can.native_retry or "none",
                "yes" if can.metered else "no",
            ),
            strict=True,
        )
    )


_HANDED_OVER = {
    Locality.SAME_PROCESS: "stay in memory",
    Locality.SAME_HOST: "travel as bytes, or through storage, on this machine",
    Locality.ELSEWHERE: "travel as bytes, or through storage",
}

SHORT_COLUMNS = ("cancelled", "worker loss", "memory", "isolated", "billed")


def describe_briefly(executor: ExecutorFeatures) -> tuple[str, ...]:
    """Return the little that fits into a terminal, as ``SHORT_COLUMNS``."""
    can = executor.features
    if can is None:
        return ("?",) * len(SHORT_COLUMNS)
    loss = "timeout" if can.loss_seconds is None else f"{can.loss_seconds:g} s"
    guarded, measured = can.guarantees_memory, can.measures_memory
    return (
        "killed" if can.kills else "given up",
        loss if can.isolated else "-",
        "guarded" if guarded else "measured" if measured else "-",
        "yes" if can.isolated else "no",
        "yes" if can.metered else "no",
    )


def _loss(can: Capabilities) -> str:
    if not can.isolated:
        return "-"
    return "by timeout only" if can.loss_seconds is None else f"within {can.loss_seconds:g} s"


def _memory(can: Capabilities) -> str:
    said = []
    if can.worker_bytes is not None:
        said.append(f"{format_bytes(can.worker_bytes)} a task")
    if can.measures_memory:
        said.append("measured")
    said.append("guarded" if can.guarantees_memory else "not guarded")
    return ", ".join(said)


def _messages(can: Capabilities) -> str:
    if can.batch_limit == 1:
        return "one task each"
    told = "as it happens" if can.tells_progress else "at the end of each"
    return f"up to {can.batch_limit:,} tasks each, told of {told}"
