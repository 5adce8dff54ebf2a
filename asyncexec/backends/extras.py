"""Packages that a backend needs beyond the core."""

from __future__ import annotations

from importlib.util import find_spec

from asyncexec.errors import MissingExtraError

# The extras whose name differs from their executor's.
_EXTRAS = {"aws-lambda": "lambda"}


def extra_of(executor: str) -> str:
    """Return the extra with the packages that an executor needs."""
    return _EXTRAS.get(executor, executor)


def install_command(executor: str, distribution: str = "asyncexec") -> str:
    """Return the command that installs the packages of an executor."""
    return f'pip install "{distribution}[{extra_of(executor)}]"'


def missing_extra(executor: str, package: str) -> MissingExtraError:
    """Return the error that an executor of asyncexec needs a package."""
    return MissingExtraError.of(f"executor {executor!r}", repr(package), extra=extra_of(executor))


def require_extra(executor: str, *modules: str) -> None:
    """Check that the packages of ``executor`` are installed; nothing is imported.

    Parameters
    ----------
    executor : str
        The name of the executor.
    *modules : str
        The modules to look for; by default the one with the name of the executor.

    Raises
    ------
    MissingExtraError
        If one of them is not installed.
    """
    for module in modules or (executor,):
        if find_spec(module) is None:
            raise missing_extra(executor, module)
