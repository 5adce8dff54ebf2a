"""Packages whose names are imported when they are first used.

A worker imports single modules of such a package, and must not pay for everything the package offers to users.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

type _Getattr = Callable[[str], Any]
type _Dir = Callable[[], list[str]]

_DUNDERS = frozenset({"__all__", "__array_api_version__", "__array_namespace_info__"})
"""The names with double underscores that a package offers; Python asks modules for others of its own."""


def names_of(package: str, homes: Mapping[str, str]) -> tuple[_Getattr, _Dir]:
    """Return ``__getattr__`` and ``__dir__`` of a package that offers names of its modules.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    homes : mapping of str to str
        The module of each public name; where it is ``""``, the name is itself a module of the package.
    """
    offered = [name for name, home in homes.items() if home]

    def get(name: str) -> Any:
        if name == "__all__":
            return offered
        home = homes.get(name)
        if home is None:
            raise _missing(package, name)
        if not home:
            return import_module(f"{package}.{name}")
        return _kept(package, name, getattr(import_module(f"{package}.{home}"), name))

    return get, lambda: sorted({*vars(sys.modules[package]), *homes})


def names_from(
    package: str, module: str, modules: frozenset[str] = frozenset()
) -> tuple[_Getattr, _Dir]:
    """Return ``__getattr__`` and ``__dir__`` of a package that offers what ``__all__`` of one of its modules lists.

    The first name that is asked for imports the module, with all that it imports in turn. The package offers
    ``modules`` of its own as well.
    """

    def get(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        # `from package import module` asks here first, as Python does for `__path__` and its like.
        ours = name in _DUNDERS or not name.startswith("__")
        if not ours or find_spec(f"{package}.{name}") is not None:
            raise _missing(package, name)
        home = import_module(f"{package}.{module}")
        if name != "__all__" and name not in home.__all__:
            raise _missing(package, name)
        return _kept(package, name, getattr(home, name))

    return get, lambda: sorted(
        {*vars(sys.modules[package]), *import_module(f"{package}.{module}").__all__, *modules}
    )


def _kept(package: str, name: str, value: Any) -> Any:
    """Put ``value`` into the package, so that it is not asked for again."""
    setattr(sys.modules[package], name, value)
    return value


def _missing(package: str, name: str) -> AttributeError:
    return AttributeError(f"module {package!r} has no attribute {name!r}")
