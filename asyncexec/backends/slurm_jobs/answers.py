"""How a job and its driver talk: by two files in a folder that both see.

The job appends frames to ``answer``: reports as plain data (``wire.encode_reports``), and an empty frame at its end.
The driver appends attempts that are not to be started to ``dropped``. Whoever is about to act writes first and reads
then: the job tells that an attempt starts, and then looks whether it was dropped; the driver drops it, and then looks
whether it has started. So one of them at least sees the other.

Files are made by the driver, appended to, closed after each write and opened for each read, since that is what network
file systems are consistent about.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from pathlib import Path

from asyncexec.backends.contract import Report
from asyncexec.backends.wire import encode_reports

_SIZE = struct.Struct("<Q")
_ATTEMPT = struct.Struct("<Q")
END = b""


class Answer:
    """The two files of one job, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read = 0

    # The driver's side.

    def make(self) -> None:
        """Make the files."""
        self.folder.mkdir(parents=True)
        self._answer.touch()
        self._dropped.touch()

    def drop(self, attempts: Collection[int]) -> None:
        """Have these left out, unless they have started."""
        with self._dropped.open("ab") as file:
            file.write(b"".join(map(_ATTEMPT.pack, attempts)))

    def frames(self) -> list[bytes]:
        """Return the whole frames that have come since it was last asked."""
        with self._answer.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        frames: list[bytes] = []
        position = 0
        while position + _SIZE.size <= len(data):
            (size,) = _SIZE.unpack_from(data, position)
            end = position + _SIZE.size + size
            if end > len(data):
                break
            frames.append(data[position + _SIZE.size : end])
            position = end
        self._read += position
        return frames

    # The job's side.

    def tell(self, reports: Sequence[Report]) -> None:
        """Append reports."""
        self._append(encode_reports(reports))

    def end(self) -> None:
        """Say that nothing more comes."""
        self._append(END)

    def was_dropped(self, attempt: int) -> bool:
        """Whether the driver does not want it any more."""
        data = self._dropped.read_bytes()
        whole = len(data) - len(data) % _ATTEMPT.size
        return (attempt,) in _ATTEMPT.iter_unpack(data[:whole])

    def _append(self, frame: bytes) -> None:
        with self._answer.open("ab") as file:
            file.write(_SIZE.pack(len(frame)) + frame)

    @property
    def _answer(self) -> Path:
        return self.folder / "answer"

    @property
    def _dropped(self) -> Path:
        return self.folder / "dropped"
