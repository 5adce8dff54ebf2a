"""Packages that the demo needs beyond asyncexec itself."""

from __future__ import annotations

from importlib import util

from asyncexec.errors import MissingExtraError

NEEDED = ("iris_sample_data", "matplotlib", "netCDF4")


def require_extras() -> None:
    """Check that everything the demo reads and draws with is installed, without importing it.

    Raises
    ------
    MissingExtraError
        If something is not; the message holds the install command.
    """
    missing = [name for name in NEEDED if not installed(name)]
    if missing:
        raise MissingExtraError.of("the demo", ", ".join(missing), extra="demo")


def installed(name: str) -> bool:
    """Whether the top-level module ``name`` can be imported."""
    try:
        return util.find_spec(name) is not None
    except ValueError:  # `sys.modules` holds None under that name: it was made unavailable.
        return False
