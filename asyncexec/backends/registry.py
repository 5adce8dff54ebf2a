"""Make a backend of an executor as users write it: a name, a path, a class or a backend.

The built-in executors are found like those of other packages: by the entry points of the group ``asyncexec.backends``.
Packages that are installed or removed while the program runs are noticed (:mod:`asyncexec.backends.entry_points`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from asyncexec.backends.contract import Backend
from asyncexec.backends.entry_points import BACKENDS
from asyncexec.backends.extras import missing_extra
from asyncexec.config.dotted import DottedPath
from asyncexec.config.fields import nearest
from asyncexec.errors import (
    AsyncexecError,
    ConfigurationError,
    MissingExtraError,
    OptionError,
    UnknownExecutorError,
)

type Constructor = Callable[..., Any]
type ExecutorLike = str | Constructor | Backend
"""A name, a dotted path, a class or function that makes a backend, or a backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownExecutor:
    """An executor that can be chosen by name.

    Attributes
    ----------
    name : str
        What users write.
    target : str
        Its class as ``module:Class``.
    distribution : str
        The installed package that brings it.
    """

    name: str
    target: str
    distribution: str


_POOLS = {
    "concurrent.futures": "concurrent.futures.ProcessPoolExecutor",
    "loky": "loky.ProcessPoolExecutor",
    "mpi": "mpi4py.futures.MPIPoolExecutor",
    "mpi4py": "mpi4py.futures.MPIPoolExecutor",
    "parsl": "parsl.concurrent.ParslPoolExecutor",
}
"""Systems that users call by their names, and that are no executors here but pools of the standard library's kind."""


def known_executors() -> tuple[KnownExecutor, ...]:
    """Return the executors that installed packages bring, by name; none of them is imported."""
    found = {
        KnownExecutor(name=e.name, target=e.value, distribution=e.dist.name if e.dist else "")
        for e in BACKENDS.all()
    }
    return tuple(sorted(found, key=lambda k: (k.name, k.target, k.distribution)))


def make_backend(
    executor: ExecutorLike,
    options: Mapping[str, Any] | None = None,
    *,
    allow_import: bool = True,
) -> Backend:
    """Return the backend of ``executor``, not yet entered.

    Parameters
    ----------
    executor : str, callable or Backend
        A name; a dotted path, ``"package.module:Class"`` or ``"package.module.Class"``; a class or a function that
        makes a backend; or a backend, which then takes no options.
    options : mapping of str to object
        Keyword arguments of its class.
    allow_import : bool
        Whether a dotted path may be imported, which runs the module's code. Python callers can run what they like
        anyway; whoever passes on a configuration file or a command line passes False unless its owner agreed.

    Raises
    ------
    UnknownExecutorError
        If nothing goes by that name or path.
    OptionError
        If an option is unknown or its value is not allowed.
    MissingExtraError
        If it needs a package that is not installed.
    """
    given = dict(options or {})
    if isinstance(executor, str):
        constructor = _find(executor, allow_import=allow_import)
        return _construct(constructor, given, executor)
    if isinstance(executor, Executor):
        raise OptionError(
            "an executor of concurrent.futures is passed as an option: "
            "executor='futures', executor_options={'executor': pool}"
        )
    if isinstance(executor, Backend) and not isinstance(executor, type):
        if given:
            raise OptionError(
                f"a {type(executor).__name__} that has been made already takes no options: {', '.join(given)}"
            )
        return executor
    if not callable(executor):
        raise UnknownExecutorError(
            f"an executor is a name, a dotted path, a class or a backend, not {executor!r}"
        )
    return _construct(executor, given, getattr(executor, "__qualname__", repr(executor)))


def load(name: str, *, allow_import: bool = False) -> Constructor:
    """Return the class or function of the executor with this name (or dotted path, if allowed), without calling it.

    Raises
    ------
    UnknownExecutorError, ConfigurationError
        If nothing goes by that name, or several do.
    MissingExtraError
        If it cannot be imported.
    """
    return _find(name, allow_import=allow_import)


def unknown(name: str) -> UnknownExecutorError:
    """Return the error for an unknown name, with the known ones."""
    return UnknownExecutorError(f"there is no executor {name!r}. {_hint(name)}")


def option_names(executor: ExecutorLike, *, allow_import: bool = True) -> frozenset[str]:
    """Return the option names of ``executor``; none if it cannot be found, which constructing it reports better."""
    constructor: object = executor
    if isinstance(executor, str):
        try:
            constructor = _find(executor, allow_import=allow_import)
        except AsyncexecError:
            return frozenset()
    if not callable(constructor):
        return frozenset()
    try:
        return frozenset(inspect.signature(constructor).parameters)
    except (TypeError, ValueError):
        return frozenset()


def _find(name: str, *, allow_import: bool) -> Constructor:
    dotted = "." in name or ":" in name
    points = BACKENDS.named(name, reread=not dotted)
    if len({point.value for point in points}) > 1:
        brought = ", ".join(f"{p.value} ({p.dist.name if p.dist else '?'})" for p in points)
        raise ConfigurationError(
            f"executor {name!r} is brought by several packages: {brought}. "
            f"Choose by class or dotted path, or uninstall one"
        )
    if points:
        return _load(points[0])
    if not dotted:
        raise unknown(name)
    if not allow_import:
        raise UnknownExecutorError(
            f"executor {name!r} is a dotted path, and importing code from here has to be allowed "
            f"first (allow_import=True). {_hint(name)}"
        )
    return _import(name)


def _hint(name: str) -> str:
    names = sorted({known.name for known in known_executors()})
    near = nearest(name.lower(), names, most=2)
    meant = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    if (pool := _POOLS.get(name.lower())) is not None:
        meant = (
            f"It is a pool of workers, on which the executor 'futures' runs: make a {pool}, and give "
            "executor='futures', executor_options={'executor': pool}. "
        )
    return (
        f"{meant}Known: {', '.join(names) or 'none, as asyncexec is not installed as a package'}. "
        f"One's own: a class, or 'package.module:Class'"
    )


def _load(point: EntryPoint) -> Constructor:
    try:
        return _callable(point.load(), point.name)
    except ImportError as error:
        raise _missing(point.name, error, point.dist.name if point.dist else "") from error
    except AttributeError as error:
        raise UnknownExecutorError(
            f"executor {point.name!r} should be {point.value}, which is not there: {error}"
        ) from error


def _import(path: str) -> Constructor:
    dotted = DottedPath.of(path)
    if dotted is None:
        raise UnknownExecutorError(f"{path!r} is not a dotted path such as 'package.module:Class'")
    try:
        found = dotted.load()
    except ModuleNotFoundError as error:
        if dotted.lacks(error):
            raise UnknownExecutorError(
                f"executor {path!r}: there is no module {error.name!r}. {_hint(path)}"
            ) from error
        raise _missing(path, error, "") from error
    except AttributeError as error:
        raise UnknownExecutorError(f"executor {path!r}: {error}") from error
    return _callable(found, path)


def _callable(found: Any, name: str) -> Constructor:
    if not callable(found):
        raise UnknownExecutorError(f"executor {name!r} is {found!r}, which makes no backend")
    return found  # type: ignore[no-any-return] # what it makes is checked when it has made it


def _missing(name: str, error: ImportError, distribution: str) -> MissingExtraError:
    ours = distribution in {"asyncexec", ""} and name.replace("-", "_").isidentifier()
    if ours and error.name:
        return missing_extra(name, error.name)
    lacking = f"{error.name!r}, which is not installed" if error.name else f"more: {error}"
    return MissingExtraError(
        f"executor {name!r} (of {distribution or name.partition('.')[0]}) needs {lacking}. "
        f"Install what it needs"
    )


def _construct(constructor: Constructor, options: dict[str, Any], name: str) -> Backend:
    _check_names(constructor, options, name)
    try:
        backend = constructor(**options)
    except AsyncexecError:
        raise
    except ImportError as error:
        raise _missing(name, error, "") from error
    except (TypeError, ValueError, OverflowError) as error:
        # Not what they are set to: some are secret.
        given_text = f"the options {', '.join(options)}" if options else "no options"
        raise OptionError(f"executor {name!r} does not take {given_text}: {error}") from error
    if not isinstance(backend, Backend):
        raise UnknownExecutorError(
            f"executor {name!r} made {backend!r}, which is not a backend: it needs capabilities, "
            f"slots, map, cancel, __aenter__ and __aexit__ (asyncexec.backends.contract.Backend)"
        )
    return backend


def _check_names(constructor: Constructor, options: Mapping[str, Any], name: str) -> None:
    try:
        parameters = inspect.signature(constructor).parameters.values()
    except (TypeError, ValueError):
        return  # No signature to be had, as for some classes written in C: its own error will do.
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    named = [p for p in parameters if p.kind in {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}]
    known = {p.name: ... if p.default is p.empty else p.default for p in named}
    known_text = f"It takes {_with_defaults(known)}" if known else "It takes no options"
    for option in options:
        if option not in known:
            raise OptionError(
                f"executor {name!r} has no option {option!r}{_near(option, tuple(known))}{other_takers(option)}. "
                f"{known_text}"
            )
    lacking = [
        option for option, default in known.items() if default is ... and option not in options
    ]
    if lacking:
        raise OptionError(f"executor {name!r} needs the option {lacking[0]!r}. {known_text}")


def _with_defaults(options: Mapping[str, Any]) -> str:
    """Return option names with their defaults; ``...`` stands for a required one."""
    return ", ".join(
        name if default is ... else f"{name}={default!r}" for name, default in options.items()
    )


def other_takers(option: str) -> str:
    """Return a hint at the executors that take an option that was refused."""
    takers = executors_with(option)
    return f"; it is one of {', '.join(takers)}" if takers else ""


def executors_with(option: str) -> list[str]:
    """Return the names of the known executors that take ``option``; their classes are imported, so for errors only."""
    return [k.name for k in known_executors() if option in option_names(k.name)]


def _near(option: str, known: Sequence[str]) -> str:
    near = nearest(option, known)
    return f" (did you mean {near[0]!r}?)" if near else ""
