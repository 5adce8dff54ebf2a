"""The base of every error, and what stands for an exception of a worker."""

from __future__ import annotations

import copy
from typing import Any, Self

from asyncexec.masking import masked_logins


class AsyncexecError(Exception):
    """Base of every error of this package; logins in URLs are masked in its message.

    It keeps its ``__cause__`` where it is pickled, of which it then is one made again of plain data, as in a
    :class:`TaskError`; and where it is copied, the cause itself.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(masked_logins(a) if isinstance(a, str) else a for a in args))

    def __reduce__(self) -> tuple[Any, ...]:
        from asyncexec.exception_data.pickling import with_cause

        return with_cause(self, self._parts(), stand_in=RemoteError.of)

    def __copy__(self) -> Self:
        from asyncexec.exception_data.pickling import copied

        return copied(self, self._parts())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        from asyncexec.exception_data.pickling import copied

        return copied(self, copy.deepcopy(self._parts(), memo))

    def _parts(self) -> tuple[Any, ...]:
        parts: Any = super().__reduce__()
        return tuple(parts)


class RemoteError(AsyncexecError):
    """Stands for an exception of a worker whose class is not here, or that holds more than plain data.

    Nothing that a worker reports is unpickled, and no module is imported for it. So an exception whose class this
    process has not imported (or that was defined on the worker) is this one, with its notes and its chain of causes.

    Attributes
    ----------
    exception_type : str
        Qualified name of its class (``"botocore.exceptions.ClientError"``).
    exception_message : str
        Its message, as ``str`` gave it on the worker.
    remote_traceback : str
        Its traceback on the worker, as text; ``""`` for one further down the chain of causes.
    """

    def __init__(
        self,
        message: str = "",
        *,
        exception_type: str = "",
        exception_message: str = "",
        remote_traceback: str = "",
    ) -> None:
        super().__init__(message)
        self.exception_type = exception_type
        self.exception_message = exception_message
        self.remote_traceback = remote_traceback

    @classmethod
    def of(cls, name: str, message: str) -> Self:
        """Return what stands for an exception of a class of that name, with that message."""
        told = f"{name}: {message}" if message else name
        return cls(told, exception_type=name, exception_message=message)
