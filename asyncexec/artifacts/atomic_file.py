"""Files that are there whole, or not at all: they are written elsewhere, and put in their place when closed."""

from __future__ import annotations

import io
import os
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class AtomicFile(io.BufferedWriter):
    """A file to write bytes to; what is left without being closed, or by an exception, is put nowhere.

    Parameters
    ----------
    commit : callable
        Puts the finished file in its place, and takes it away from where it was.
    directory : str, optional
        The directory of the unfinished file.
    """

    def __init__(self, commit: Callable[[Path], None], directory: str | None = None) -> None:
        # In its place it is what the process's umask allows; elsewhere it is nobody else's.
        where, mode = (tempfile.gettempdir(), 0o600) if directory is None else (directory, 0o666)
        self._path = Path(where, f".{uuid.uuid4().hex}.partial")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        super().__init__(io.FileIO(os.open(self._path, flags, mode), "w"))
        self._commit: Callable[[Path], None] | None = commit

    def discard(self) -> None:
        """Drop the content: closing the file then puts it nowhere."""
        self._commit = None

    def close(self) -> None:
        """Finish the file, and put it in its place."""
        if self.closed:
            return
        commit, self._commit = self._commit, None
        try:
            super().close()
            if commit is not None:
                commit(self._path)
        finally:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.discard()
        self.close()

    def __del__(self) -> None:
        self.discard()
        with suppress(Exception):
            self.close()


class AtomicText(io.TextIOWrapper):
    """The same for text, in UTF-8.

    Parameters
    ----------
    file : AtomicFile
    """

    def __init__(self, file: AtomicFile) -> None:
        super().__init__(file, encoding="utf-8", newline="")
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._file.discard()
        self.close()
