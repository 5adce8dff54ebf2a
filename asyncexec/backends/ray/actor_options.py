"""The actor of a cluster memory on Ray: its options, and whether a cluster has a place for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from asyncexec.config.checks import Amount, Count, amounts, mapping
from asyncexec.config.fields import check_fields, nearest, read_fields
from asyncexec.errors import ResourceError

RAY_OPTION = "cluster_memory_actor"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorOptions:
    """Options of the actor that holds a cluster memory; those that are left out have these defaults."""

    name: str = "RayClusterMemoryActor"
    """The actor's name in Ray."""

    num_cpus: Amount = 1.0
    """CPUs that the actor takes of the cluster while it is there."""

    max_concurrency: Count = 1000
    """Requests that the actor answers at once."""

    resources: Annotated[Mapping[str, float], amounts] = field(default_factory=dict)
    """Custom resources of the node that the actor shall be on, which it takes."""

    def __post_init__(self) -> None:
        check_fields(self, f"executor 'ray': {RAY_OPTION}.")

    @property
    def takes(self) -> dict[str, float]:
        """The resources that the actor takes, by the names of asyncexec."""
        return {"cpus": self.num_cpus, **self.resources}


def actor_options(value: object, where: str) -> ActorOptions:
    """Return the options of the actor, with defaults for those that are not given."""
    if isinstance(value, ActorOptions):
        return value
    return read_fields(ActorOptions, mapping(value, where), prefix=f"{where}.", section=where)


def check_place(actor: ActorOptions, has: Mapping[str, float], *, cluster: str) -> None:
    """Raise unless a cluster has what the actor asks for; tasks must have something left.

    Parameters
    ----------
    actor : ActorOptions
    has : mapping of str to float
        The resources of the cluster, by the names of asyncexec.
    cluster : str
        The cluster, for the message.

    Raises
    ------
    ResourceError
        If a resource is not there, or not enough of it.
    """
    custom = sorted(name for name in has if name not in {"cpus", "gpus"})
    for name, amount in actor.takes.items():
        where = f"executor 'ray': {RAY_OPTION} asks for {amount:g} of resource {name!r}"
        if amount and name not in has:
            near = nearest(name, custom)
            hint = f": did you mean {near[0]!r}? " if near else ". "
            raise ResourceError(
                f"{where}, and {cluster} has none of that name{hint}It has {_listed(has)}"
            )
        if amount > has.get(name, 0.0):
            raise ResourceError(f"{where}, and {cluster} has {has.get(name, 0.0):g}")
    if "cpus" in has and actor.num_cpus and has["cpus"] - actor.num_cpus <= 0:
        raise ResourceError(
            f"executor 'ray': {RAY_OPTION} takes {actor.num_cpus:g} of {has['cpus']:g} CPUs (num_cpus), which leaves "
            f"none for tasks. Give the cluster more (cpus), or the actor less (num_cpus: 0)"
        )


def _listed(has: Mapping[str, Any]) -> str:
    return ", ".join(f"{amount:g} of {name!r}" for name, amount in sorted(has.items())) or "nothing"
