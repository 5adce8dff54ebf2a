"""Packages that a backend needs beyond the core."""

from __future__ import annotations

from importlib.util import find_spec

from asyncexec.errors import MissingExtraError


def need(executor: str, extra: str, *modules: str) -> None:
    """Raise unless what ``executor`` needs is installed; nothing is imported.

    Parameters
    ----------
    executor : str
        As users write it.
    extra : str
        The extra of asyncexec that brings what it needs.
    *modules : str
        Top-level modules to look for; by default the one that is called as the extra.

    Raises
    ------
    MissingExtraError
        If one of them is not installed.
    """
    for module in modules or (extra,):
        if find_spec(module) is None:
            raise MissingExtraError(
                f"executor {executor!r} needs {module!r}, which is not installed. "
                f'Install it: pip install "asyncexec[{extra}]"'
            )
