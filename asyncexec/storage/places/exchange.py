"""Two directories of this machine that exchange their names, in one step where the system has one for it."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_AT_CWD = -100
_EXCHANGE = 2
_UNABLE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


def exchange(first: Path, second: Path) -> bool:
    """Exchange what is named ``first`` and ``second``; return False where system or file system cannot do so at once.

    There is no moment at which nothing has either name. Links are exchanged themselves, not what they lead to.

    Raises
    ------
    OSError
        As the system has it: where one is missing, or the right to rename it.
    """
    function = _function()
    if function is None:
        return False
    if function(_AT_CWD, os.fsencode(first), _AT_CWD, os.fsencode(second), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))


@cache
def _function() -> Any:
    """Return the C library's ``renameat2``; None where it has none, as outside of Linux."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = (
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_uint,
        )
    return function
