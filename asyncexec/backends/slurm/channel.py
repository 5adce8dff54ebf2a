"""The messages between a job and its driver: three files in a folder that both see.

The driver appends to ``work``: batches, and at last an empty frame, after which the job ends. The job appends to
``answer``: reports as plain data (``codec.encode_reports``), then an empty frame at the end of each batch. The driver
appends to ``dropped`` the attempts that must not start.

Both sides write before they read: the job reports that an attempt starts, and then reads whether it was dropped; the
driver drops it, and then reads whether it has started. So at least one of them sees the other.

The driver creates the files. They are closed after each write and opened for each read, because network file systems
are consistent only then.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from pathlib import Path

from asyncexec.backends.contract import Report
from asyncexec.worker.codec import encode_reports
from asyncexec.worker.framing import FrameReader, pack_frame

_ATTEMPT = struct.Struct("<Q")
END = b""


class AppendOnlyFile:
    """A file of frames: one side appends, the other reads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0
        self._frames = FrameReader()

    def create(self) -> None:
        """Create the file."""
        self._file.touch()

    def append(self, frame: bytes) -> None:
        """Append a frame."""
        with self._file.open("ab") as file:
            file.write(pack_frame(frame))

    def frames(self) -> list[bytes]:
        """Return the complete frames that have arrived since the last call."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        return list(self._frames.feed(data))


class JobChannel:
    """The files of one job, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = AppendOnlyFile(folder / "work")
        self.answer = AppendOnlyFile(folder / "answer")

    def create(self) -> None:
        """Create the folder and the files."""
        self.folder.mkdir(parents=True)
        self.work.create()
        self.answer.create()
        self._dropped.touch()

    def drop(self, attempts: Collection[int]) -> None:
        """Drop these attempts, unless they have started."""
        with self._dropped.open("ab") as file:
            file.write(b"".join(map(_ATTEMPT.pack, attempts)))

    def was_dropped(self, attempt: int) -> bool:
        """Return whether the driver has dropped the attempt."""
        data = self._dropped.read_bytes()
        whole = len(data) - len(data) % _ATTEMPT.size
        return (attempt,) in _ATTEMPT.iter_unpack(data[:whole])

    def report(self, reports: Sequence[Report]) -> None:
        """Append reports to the answer."""
        self.answer.append(encode_reports(reports))

    @property
    def _dropped(self) -> Path:
        return self.folder / "dropped"
