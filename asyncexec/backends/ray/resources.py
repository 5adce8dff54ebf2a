"""The resources that tasks request of Ray, and whether any node of a cluster has them; pure.

Ray lets a task that fits no node wait for ever, so this is checked before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncexec.backends.contract import StageProgram
from asyncexec.plan.memory import format_bytes

RAY_NAMES: Mapping[str, str] = {"cpus": "CPU", "gpus": "GPU"}
"""The names in Ray of the resources that have a name in asyncexec."""

_INTERNAL = ("node:", "object_store_memory", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequest:
    """The resources that one call takes on the node that runs it."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int = 0
    """0 if none was given; Ray then does not look at memory."""
    custom: tuple[tuple[str, float], ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """The request as options of a Ray task."""
        options: dict[str, Any] = {"num_cpus": self.cpus, "num_gpus": self.gpus}
        if self.memory_bytes:
            options["memory"] = self.memory_bytes
        if self.custom:
            options["resources"] = dict(self.custom)
        return options

    @property
    def amounts(self) -> dict[str, float]:
        """The request by Ray's names."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": float(self.memory_bytes)}
        return {name: amount for name, amount in {**named, **dict(self.custom)}.items() if amount}


def resource_request(
    program: StageProgram, *, memory_bytes: int = 0, known: Collection[str] | None = None
) -> ResourceRequest:
    """Return the request of a call of ``program``: one CPU, unless its stage says otherwise.

    ``memory_bytes`` is the default for stages that give no memory. ``known`` are the custom resources of the cluster:
    the engine itself hands out all others, of which Ray knows nothing.
    """
    asked = dict(program.resources)
    return ResourceRequest(
        cpus=float(asked.pop("cpus", 1.0)),
        gpus=float(asked.pop("gpus", 0.0)),
        memory_bytes=program.memory_bytes or memory_bytes,
        custom=tuple(
            sorted(
                (name, float(amount))
                for name, amount in asked.items()
                if known is None or name in known
            )
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The resources of each living node of a cluster, by Ray's names."""

    resources: tuple[Mapping[str, float], ...] = field(default=())

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, Any]]) -> Nodes:
        """Return the living nodes in the result of ``ray.nodes()``."""
        return cls(resources=tuple(dict(node["Resources"]) for node in nodes if node["Alive"]))

    def total(self, name: str) -> float:
        """Return the total of a resource."""
        return sum(node.get(name, 0.0) for node in self.resources)

    def largest(self, name: str) -> float:
        """Return the largest amount of a resource on one node."""
        return max((node.get(name, 0.0) for node in self.resources), default=0.0)

    @property
    def named(self) -> dict[str, float]:
        """The totals that stages may request, by the names of asyncexec; always with ``cpus`` and ``gpus``."""
        ours = {ray: name for name, ray in RAY_NAMES.items()}
        totals = dict.fromkeys(RAY_NAMES, 0.0)
        for ray_name in {name for node in self.resources for name in node}:
            if not ray_name.startswith(_INTERNAL):
                totals[ours.get(ray_name, ray_name)] = self.total(ray_name)
        return totals

    def fit(self, request: ResourceRequest) -> bool:
        """Return whether some node could run it, when idle."""
        return any(
            all(node.get(name, 0.0) >= amount for name, amount in request.amounts.items())
            for node in self.resources
        )

    def shortage(self, request: ResourceRequest) -> str:
        """Describe the amounts that no node has, for a request that does not fit."""
        asked = [(name, amount, self.largest(name)) for name, amount in request.amounts.items()]
        short = [
            f"{_amount_text(name, amount)} of {name!r} (the node with most has {_amount_text(name, largest)})"
            for name, amount, largest in asked
            if largest < amount
        ]
        together = "all at once: " + ", ".join(
            f"{_amount_text(n, a)} of {n!r}" for n, a, _ in asked
        )
        return (
            f"no node of the Ray cluster has {'; '.join(short) or together}. Ray would wait for ever. "
            f"Ask for less, or give the cluster such a node"
        )


def _amount_text(name: str, amount: float) -> str:
    return format_bytes(amount) if name == "memory" else f"{amount:g}"
