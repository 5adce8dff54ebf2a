"""What to run: plans, stages, relations between stages, memory arithmetic, validation, fingerprint.

The names load when they are first used: workers need the arithmetic of index spaces and nothing else,
and must not wait for NumPy and networkx.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan, Plannable
    from asyncexec.plan.stage import ChunkedOutput, Items, Read, Stage

__all__ = ["ChunkedOutput", "Items", "Plan", "Plannable", "Read", "Stage"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "plan" if name.startswith("Plan") else "stage"
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
