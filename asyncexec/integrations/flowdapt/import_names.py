"""The import names of Flowdapt, found in this package: an import hook, in this process and in those of workers."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import ModuleType
from typing import Any, Self, override

from asyncexec.config.dotted import DottedPath, import_target
from asyncexec.errors import UsageError

FLOWDAPT = "flowdapt"
_HERE = "asyncexec.integrations.flowdapt"


class _Alias(Loader):
    """Loads a module of ours under a name of Flowdapt's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    @override
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    @override
    def exec_module(self, module: ModuleType) -> None:
        # The module has been executed, by its own name, which it keeps.
        module.__spec__ = self._spec


class FlowdaptFinder(MetaPathFinder):
    """Finds ``flowdapt`` and its modules in :mod:`asyncexec.integrations.flowdapt`."""

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != FLOWDAPT:
            return None
        ours = _HERE + fullname.removeprefix(FLOWDAPT)
        if find_spec(ours) is None:
            raise ModuleNotFoundError(
                f"asyncexec has no {fullname}: of Flowdapt's modules, there are those that the functions of workflows "
                f"use, below asyncexec.integrations.flowdapt",
                name=fullname,
            )
        return spec_from_loader(fullname, _Alias(ours), is_package=True)


def install() -> None:
    """Let ``import flowdapt...`` find the names of this package, also where Flowdapt is installed.

    >>> from asyncexec.integrations import flowdapt
    >>> flowdapt.install()
    >>> from flowdapt.compute.artifacts import get_artifact
    >>> get_artifact.__module__
    'asyncexec.artifacts.finding'

    Raises
    ------
    UsageError
        If Flowdapt itself has been imported already.
    """
    loaded = sys.modules.get(FLOWDAPT)
    if loaded is not None and loaded.__name__ != _HERE:
        raise UsageError(
            "Flowdapt itself has been imported in this process: call asyncexec.integrations.flowdapt.install() before"
        )
    if not any(isinstance(finder, FlowdaptFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, FlowdaptFinder())


def uninstall() -> None:
    """Undo :func:`install`; modules that have been imported keep what they have."""
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, FlowdaptFinder)]
    for name in [n for n in sys.modules if n.partition(".")[0] == FLOWDAPT]:
        del sys.modules[name]


class FlowdaptFunction:
    """A function of a module that needs the import names of Flowdapt, on workers too."""

    def __init__(self, path: str) -> None:
        install()
        dotted = DottedPath.of(path)
        if dotted is None:
            raise ImportError(f"{path!r} is not a path such as package.module.function")
        self._path = path
        self.__wrapped__: Callable[..., Any] = dotted.load()
        self.__name__ = dotted.name
        self.__doc__ = self.__wrapped__.__doc__
        if inspect.iscoroutinefunction(self.__wrapped__):
            inspect.markcoroutinefunction(self)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.__wrapped__(*arguments, **keywords)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self._path,)

    def __repr__(self) -> str:
        return f"<function {self._path}>"


def find_target(path: str) -> Callable[..., Any]:
    """Return the function at a path, after the import names of Flowdapt are there; ImportError if it is none."""
    install()
    function = import_target(path)
    # Once some module has a name of Flowdapt's, this one may need it as well, where it is imported on a worker.
    return FlowdaptFunction(path) if FLOWDAPT in sys.modules else function
