"""Packages that a backend needs beyond the core."""

from __future__ import annotations

from importlib.util import find_spec

from asyncexec.errors import MissingExtraError

# Of executors that are not called as the extra that brings what they need.
_EXTRAS = {"aws-lambda": "lambda"}


def extra_of(executor: str) -> str:
    """Return the extra that brings what an executor needs."""
    return _EXTRAS.get(executor, executor)


def install_command(executor: str, distribution: str = "asyncexec") -> str:
    """Return the command that installs what an executor of a package needs."""
    return f'pip install "{distribution}[{extra_of(executor)}]"'


def missing_extra(executor: str, package: str) -> MissingExtraError:
    """Return the error that an executor of asyncexec needs a package."""
    return MissingExtraError.of(f"executor {executor!r}", repr(package), extra=extra_of(executor))


def need(executor: str, *modules: str) -> None:
    """Raise unless what ``executor`` needs is installed; nothing is imported.

    Parameters
    ----------
    executor : str
        As users write it.
    *modules : str
        Top-level modules to look for; by default the one that is called as the executor.

    Raises
    ------
    MissingExtraError
        If one of them is not installed.
    """
    for module in modules or (executor,):
        if find_spec(module) is None:
            raise missing_extra(executor, module)
