"""What tasks ask of Ray, and whether any node of a cluster can give it; pure.

Ray keeps a task that no node can run waiting for ever, so that is found out before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncexec.backends.contract import StageProgram
from asyncexec.plan.memory import format_bytes

RAY_NAMES: Mapping[str, str] = {"cpus": "CPU", "gpus": "GPU"}
"""Ray's names of the resources that have a name of our own."""

_INTERNAL = ("node:", "object_store_memory", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one call takes of the node that runs it.

    Attributes
    ----------
    cpus, gpus : float
    memory_bytes : int
        0 where nobody said; Ray then does not look at memory.
    custom : tuple of (str, float)
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int = 0
    custom: tuple[tuple[str, float], ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """The demand as options of a Ray task."""
        options: dict[str, Any] = {"num_cpus": self.cpus, "num_gpus": self.gpus}
        if self.memory_bytes:
            options["memory"] = self.memory_bytes
        if self.custom:
            options["resources"] = dict(self.custom)
        return options

    @property
    def amounts(self) -> dict[str, float]:
        """The demand by Ray's names."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": float(self.memory_bytes)}
        return {name: amount for name, amount in {**named, **dict(self.custom)}.items() if amount}


def demand_of(program: StageProgram, *, memory_bytes: int = 0) -> Demand:
    """Return what a call of ``program`` takes: one CPU, if its stage does not say otherwise.

    ``memory_bytes`` stands in where its stage says nothing of memory.
    """
    asked = dict(program.resources)
    return Demand(
        cpus=float(asked.pop("cpus", 1.0)),
        gpus=float(asked.pop("gpus", 0.0)),
        memory_bytes=program.memory_bytes or memory_bytes,
        custom=tuple(sorted((name, float(amount)) for name, amount in asked.items())),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """What each living node of a cluster has, by Ray's names.

    Attributes
    ----------
    resources : tuple of mappings
    """

    resources: tuple[Mapping[str, float], ...] = field(default=())

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, Any]]) -> Nodes:
        """Return the living ones among what ``ray.nodes()`` returns."""
        return cls(resources=tuple(dict(node["Resources"]) for node in nodes if node["Alive"]))

    def total(self, name: str) -> float:
        """Return how much there is in all."""
        return sum(node.get(name, 0.0) for node in self.resources)

    def most(self, name: str) -> float:
        """Return how much the node has that has most."""
        return max((node.get(name, 0.0) for node in self.resources), default=0.0)

    @property
    def named(self) -> dict[str, float]:
        """What stages may ask for, in all and by our names; ``cpus`` and ``gpus`` are always among it."""
        ours = {ray: name for name, ray in RAY_NAMES.items()}
        totals = dict.fromkeys(RAY_NAMES, 0.0)
        for ray_name in {name for node in self.resources for name in node}:
            if not ray_name.startswith(_INTERNAL):
                totals[ours.get(ray_name, ray_name)] = self.total(ray_name)
        return totals

    def fit(self, demand: Demand) -> bool:
        """Whether some node could run it, when idle."""
        return any(
            all(node.get(name, 0.0) >= amount for name, amount in demand.amounts.items())
            for node in self.resources
        )

    def why_not(self, demand: Demand) -> str:
        """Say what no node has, for a demand that does not fit."""
        asked = [(name, amount, self.most(name)) for name, amount in demand.amounts.items()]
        short = [
            f"{_told(name, amount)} of {name!r} (the node with most has {_told(name, most)})"
            for name, amount, most in asked
            if most < amount
        ]
        together = "all at once: " + ", ".join(f"{_told(n, a)} of {n!r}" for n, a, _ in asked)
        return (
            f"no node of the Ray cluster has {'; '.join(short) or together}. Ray would wait for ever. "
            f"Ask for less, or give the cluster such a node"
        )


def _told(name: str, amount: float) -> str:
    return format_bytes(amount) if name == "memory" else f"{amount:g}"
