"""Decide what an error of Modal means for the running calls, or for the backend."""

from __future__ import annotations

from enum import Enum


class CallErrorAction(Enum):
    """The consequence of an error."""

    LOST = "the container is gone, with what it ran"
    REFUSED = "Modal has not taken the call, or cannot be reached; another time it may"
    BROKEN = "nothing more will run"


# By name, so that this can be decided, and tested, without the package.
_LOST = frozenset({"InternalFailure", "TimeoutError", "RemoteError", "ExecutionError"})
_REFUSED = frozenset(
    {
        "ResourceExhaustedError",
        "ServiceError",
        "InternalError",
        "ConnectionError",
        "DataLossError",
        "RequestSizeError",
    }
)
_TRANSPORT = frozenset({"aiohttp", "grpclib", "h2"})


def action_for(error: BaseException) -> CallErrorAction:
    """Return the consequence of ``error``.

    The function catches whatever tasks raise. So an exception that is not Modal's own comes from a container that could
    not load the function, and no other container could.
    """
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "modal.exception"}
    if names & _LOST:
        return CallErrorAction.LOST
    package = type(error).__module__.partition(".")[0]
    if names & _REFUSED or (not names and (isinstance(error, OSError) or package in _TRANSPORT)):
        return CallErrorAction.REFUSED
    return CallErrorAction.BROKEN


def advice(error: BaseException) -> str:
    """Return advice on an error that breaks the backend."""
    if isinstance(error, ImportError):
        return (
            "Its image lacks a module. Without the option image, asyncexec and what it needs are "
            "put in; add what your functions need with pip and py_modules"
        )
    return "See the app's page at modal.com/apps"
