"""The registration of ``executor_name="asyncexec"`` with Cubed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cubed.core.array
import cubed.runtime.create
import cubed.spec

from asyncexec.errors import OptionError
from asyncexec.integrations.cubed.executor import AsyncexecExecutor

# The modules of Cubed 0.28 that hold the function that makes executors from names: two import it by name.
_PLACES: tuple[Any, ...] = (cubed.runtime.create, cubed.spec, cubed.core.array)


class _Names:
    """The replacement for Cubed's ``create_executor``: it handles registered names, and passes on all others."""

    def __init__(self, own: Callable[..., Any]) -> None:
        self.own = own
        self.known: set[str] = set()

    def __call__(self, name: str, executor_options: dict[str, Any] | None = None) -> Any:
        if name in self.known:
            return AsyncexecExecutor(**(executor_options or {}))
        return self.own(name, executor_options)


def register_name(name: str = "asyncexec") -> None:
    """Make ``executor_name=name`` mean :class:`AsyncexecExecutor` in ``Spec``, Cubed's configuration and ``compute``.

    Cubed has a fixed list of executor names and no way to add one. So this replaces its ``create_executor``, for the
    whole process, until :func:`unregister_name`. ``executor_options`` are then the arguments of the executor:
    ``{"executor": "processes", "max_workers": 4}``.

    >>> import cubed, cubed.array_api as cxp
    >>> from asyncexec.integrations.cubed import register_name, unregister_name
    >>> register_name()
    >>> spec = cubed.Spec(allowed_mem="500MB", executor_name="asyncexec")
    >>> cxp.sum(cxp.ones((4,), chunks=2, spec=spec)).compute()
    array(4.)
    >>> unregister_name()

    Raises
    ------
    OptionError
        If Cubed has an executor of that name.
    """
    names = _names()
    if names is None:
        own = cubed.runtime.create.create_executor
        names = _Names(own)
    if name not in names.known and _is_cubeds(names.own, name):
        raise OptionError(f"Cubed has an executor {name!r} of its own: choose another name")
    names.known.add(name)
    for place in _PLACES:
        place.create_executor = names


def unregister_name(name: str = "asyncexec") -> None:
    """Undo :func:`register_name`; a name that is not registered changes nothing.

    >>> from asyncexec.integrations.cubed import register_name, unregister_name
    >>> register_name("engine")
    >>> unregister_name("engine")
    """
    names = _names()
    if names is None:
        return
    names.known.discard(name)
    if not names.known:
        for place in _PLACES:
            place.create_executor = names.own


def _names() -> _Names | None:
    found = cubed.runtime.create.create_executor
    return found if isinstance(found, _Names) else None


def _is_cubeds(own: Callable[..., Any], name: str) -> bool:
    try:
        own(name)
    except ValueError as error:
        return "Unrecognized executor name" not in str(error)
    except Exception:  # noqa: BLE001 - the name is known, and what it needs is not installed
        return True
    return True
