"""The configuration of a deployed function, and checks of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from asyncexec.errors import BackendError, OptionError


class Deployment(NamedTuple):
    """The configuration of a function."""

    state: str
    """``"Active"``, ``"Pending"``, ``"Inactive"`` or ``"Failed"``."""
    reason: str
    """The reason for its state."""
    memory_bytes: int | None
    timeout: float | None
    """In seconds; Lambda ends a longer invocation."""
    runtime: str
    """For example ``"python3.12"``; ``""`` for a container image."""

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        """Parse an answer of GetFunctionConfiguration."""
        memory, timeout = configuration.get("MemorySize"), configuration.get("Timeout")
        return cls(
            str(configuration.get("State", "Active")),
            str(configuration.get("StateReason", "")),
            memory * 1024 * 1024 if memory else None,
            float(timeout) if timeout else None,
            str(configuration.get("Runtime", "")),
        )


def check_deployment(deployment: Deployment, function: str, *, timeout: float | None) -> None:
    """Check that tasks can run in the function, for as long as they may.

    Raises BackendError if the function cannot run, or runs another Python, and OptionError if Lambda ends it before
    ``timeout``.
    """
    where = f"executor 'aws-lambda': function {function!r}"
    if deployment.state == "Failed":
        raise BackendError(f"{where} cannot run: {deployment.reason or 'its state is Failed'}")
    ours = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if deployment.runtime and deployment.runtime != ours:
        raise BackendError(
            f"{where} runs {deployment.runtime}, and functions that are sent from {ours} do not work there. "
            f"Deploy it for this Python: asyncexec lambda package --python {ours.removeprefix('python')}"
        )
    if timeout is not None and deployment.timeout is not None and timeout > deployment.timeout:
        raise OptionError(
            f"{where} ends what runs longer than {deployment.timeout:g} s, and timeout is {timeout:g} s. "
            f"Ask for less, or: aws lambda update-function-configuration --function-name {function} "
            f"--timeout {min(int(timeout) + 1, 900)}"
        )
