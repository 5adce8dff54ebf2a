"""Exception classes that a policy names, and how what a worker raised is found among them, by names alone.

A worker sends the qualified names of an exception's class and of all its bases. So a class is found that the driver
cannot import, and subclasses of it are.
"""

from __future__ import annotations

import builtins
import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncexec.errors import OptionError

if TYPE_CHECKING:
    from asyncexec.events.outcome import ErrorInfo

type ExceptionClasses = (
    tuple[type[BaseException] | str, ...]
    | list[type[BaseException] | str]
    | type[BaseException]
    | str
)
"""Exception classes, or their dotted names, or one of them."""


@dataclass(frozen=True, slots=True)
class ExceptionNames:
    """Exception classes, each with something of type ``T``.

    Attributes
    ----------
    exact : dict
        By qualified name.
    paths : dict
        By dotted names that users wrote, which may be those under which a package offers a class of one of its modules.
    """

    exact: dict[str, object] = field(default_factory=dict[str, object])
    paths: dict[str, object] = field(default_factory=dict[str, object])

    def add(self, option: str, classes: ExceptionClasses, value: object) -> None:
        """Add classes, which all have this value.

        Raises
        ------
        OptionError
            If one is no exception class and no name, or has another value already.
        """
        each = classes if isinstance(classes, tuple | list) else (classes,)
        for one in each:
            if isinstance(one, str) and one:
                name = one if "." in one else f"builtins.{_built_in(option, one)}"
                self._put(self.paths, name, value)
                self._put(self.exact, name, value)
            elif isinstance(one, type) and issubclass(one, BaseException):
                self._put(self.exact, f"{one.__module__}.{one.__qualname__}", value)
                # What travels to a worker by value loses the names of the functions and classes around it.
                self.exact.setdefault(f"{one.__module__}.{one.__name__}", value)
            else:
                raise OptionError(
                    f"retry: {option} holds exception classes or their qualified names, not {one!r}"
                )

    def _put(self, table: dict[str, object], name: str, value: object) -> None:
        if table.setdefault(name, value) != value:
            both = " and ".join(sorted((str(table[name]), str(value))))
            raise OptionError(f"retry: {name} cannot be both {both}")

    def find(self, error: ErrorInfo) -> object:
        """Return the value of the most specific class that is named; None if none is."""
        # The bases come in the order of the class's MRO, so the first hit is the most specific class.
        for name in (error.type, *error.bases):
            if (found := self.exact.get(name)) is not None:
                return found
            if self.paths and (found := self._find_offered(name)) is not None:
                return found
        return None

    def _find_offered(self, name: str) -> object:
        """Return the value of a class that is named as a package above its module offers it."""
        *modules, last = name.split(".")
        for count in range(len(modules) - 1, 0, -1):
            if (found := self.paths.get(".".join((*modules[:count], last)))) is not None:
                return found
        return None


def _built_in(option: str, name: str) -> str:
    """Return a name without a module, which is that of a built-in exception.

    Raises
    ------
    OptionError
        If it is not: it would match no exception, without a word.
    """
    known = [
        n for n, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, BaseException)
    ]
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    raise OptionError(
        f"retry: {option} names {name!r}, which is no built-in exception"
        f"{f' (did you mean {near[0]!r}?)' if near else ''}: other classes are named with their module, such as "
        f"'aiohttp.ClientError'"
    )
