"""Errors of what was asked for and cannot be had: options, executors, packages, resources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from asyncexec.errors.base import AsyncexecError


class ConfigurationError(AsyncexecError, ValueError):
    """A request that cannot be met; nothing has run."""


class OptionError(ConfigurationError):
    """An option is unknown, or its value is out of range."""


class UnknownOptionError(OptionError, TypeError):
    """A call was given an option that it does not take; the message says where it goes, or what was meant."""


class SettingsError(OptionError):
    """A configuration is not allowed; the message holds all its problems, a line each.

    Attributes
    ----------
    problems : tuple of str
        Each says the file and line (or the variable, or the option) and the key.
    """

    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, problems: Iterable[str]) -> Self:
        """Return the error with these problems."""
        told = tuple(problems)
        error = cls("\n".join(told))
        error.problems = told
        return error


class UnknownExecutorError(ConfigurationError):
    """No executor goes by that name."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional dependency is not installed; the message holds the install command."""

    @classmethod
    def of(cls, what: str, package: str, *, extra: str) -> Self:
        """Return the error that ``what`` needs a package, which an extra of asyncexec brings."""
        return cls(
            f'{what} needs {package}, which is not installed. Install it: pip install "asyncexec[{extra}]"'
        )


class ResourceError(ConfigurationError):
    """A stage asks for a resource that nobody has, or more of it than anybody has."""
