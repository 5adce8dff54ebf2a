"""Objects by their dotted path, ``package.module:name`` or ``package.module.name``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class DottedPath(NamedTuple):
    """The path of an object: its module, and its name in there."""

    module: str
    name: str

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Return the path that a text spells; None where it spells none."""
        module, _, name = text.partition(":") if ":" in text else text.rpartition(".")
        parts = [*module.split("."), *name.split(".")]
        return cls(module, name) if all(part.isidentifier() for part in parts) else None

    def load(self) -> Any:
        """Import the module, which runs it, and return the object; raises what the import does, or AttributeError."""
        found: Any = import_module(self.module)
        for part in self.name.split("."):
            found = getattr(found, part)
        return found

    def lacks(self, error: ModuleNotFoundError) -> bool:
        """Return True if it is this path's own module that is not there, not one that it imports."""
        return bool(error.name) and f"{self.module}.".startswith(f"{error.name}.")


def import_target(path: str) -> Callable[..., Any]:
    """Return the function at ``package.module.function`` or ``package.module:function``, which imports the module."""
    dotted = DottedPath.of(path)
    if dotted is None:
        raise ImportError(f"{path!r} is not a path such as package.module.function")
    found = dotted.load()
    if not callable(found):
        raise ImportError(f"{path} is {found!r}, which cannot be called")  # noqa: TRY004 - as if it were not there
    function: Callable[..., Any] = found
    return function
