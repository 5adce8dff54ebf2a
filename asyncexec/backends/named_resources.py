"""Named resources as an option of executors: what stages may request by names of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from asyncexec.config.checks import amounts
from asyncexec.errors import OptionError

_OPTIONS = frozenset({"cpus", "gpus", "CPU", "GPU", "memory", "object_store_memory"})
"""Names that are options of their own, or Ray's names of what they mean."""


def custom_amounts(value: object, where: str) -> dict[str, float]:
    """Return what maps names of custom resources to amounts above 0 as a dict."""
    given = amounts(value, where, above_zero=True)
    for name in given:
        if name in _OPTIONS:
            raise OptionError(
                f"{where}: {name!r} is not a custom resource; give CPUs, GPUs and memory as options of their own"
            )
    return given


NamedResources = Annotated[Mapping[str, float], custom_amounts]
"""Custom resources by name, with their amounts."""


def declared_resources(
    *, cpus: float, gpus: float | None, named: Mapping[str, float] | None
) -> dict[str, float]:
    """Return the resources that stages may request; ``gpus`` only where they were given."""
    gpus_too = {} if gpus is None else {"gpus": float(gpus)}
    return {"cpus": float(cpus), **gpus_too, **(named or {})}
