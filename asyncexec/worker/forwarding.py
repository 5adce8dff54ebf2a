"""Log records, warnings and printed lines of tasks, as notes for the driver; in processes other than the driver's.

One :class:`Forwarding` serves a process. It is loaded with the first program whose run wants to know, adds a handler to
the root logger, and replaces ``sys.stdout``, ``sys.stderr`` and ``warnings.showwarning``. Words of attempts whose run
does not want to know, and of no attempt at all, go where they would go without it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

from asyncexec.worker.task_context import current_attempt

if TYPE_CHECKING:
    from asyncexec.worker.records import AttemptSpec
    from asyncexec.worker.task_context import BatchContext

type Speaker = tuple[BatchContext, AttemptSpec | None]
"""A batch, and the attempt of it that says something, if it is one."""

RATE, BURST = 200.0, 1_000
"""The notes that a worker sends in a second, for long, and at once."""
LONGEST_TEXT = 10_000
"""The most characters of a message or a line."""
TELL_SECONDS = 1.0
"""The least time between two messages about dropped notes."""


class NoteAllowance:
    """A bucket of tokens, one for each note.

    Attributes
    ----------
    dropped : int
        The notes that found no token, since the last :meth:`message`.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens", "dropped")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = self._tokens = float(burst)
        self._at = time.monotonic()
        self.dropped = 0

    def take(self) -> bool:
        """Take a token; False, and counted, if there is none."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            self.dropped += 1
            return False
        self._tokens -= 1
        return True

    def message(self) -> str:
        """Return a message about the dropped notes, and count from 0 again."""
        dropped, self.dropped = self.dropped, 0
        return f"… {dropped:,} records dropped (more than {self._rate:,.0f} a second for long)"


class Forwarding:
    """The notes of a process."""

    def __init__(self) -> None:
        self.pending = False
        """Whether :meth:`flush` has something to do; read after every attempt."""
        self._process = 0
        self._batch: BatchContext | None = None
        self._allowance = NoteAllowance(RATE, BURST)
        self._said_at = 0.0
        # Lines that have not ended, by the attempt (None: outside attempts) and the stream, with their speaker.
        self._unended: dict[tuple[int | None, str], tuple[Speaker, str]] = {}
        self._show = warnings.showwarning
        logging.getLogger().addHandler(_NoteHandler(self))
        sys.stdout = _LineForwarder(self, "stdout", sys.stdout)
        sys.stderr = _LineForwarder(self, "stderr", sys.stderr)
        warnings.showwarning = self._warn

    def begin(self, batch: BatchContext) -> None:
        """Prepare for a batch, whose run wants its notes."""
        self._process = os.getpid()
        self._batch = batch

    def flush(self, attempt: int | None = None) -> None:
        """Send the lines of ``attempt``, or of all, that have not ended, and how many notes were dropped.

        The latter once a second, or at the end of a batch, which is without an ``attempt``.
        """
        # A copy: threads that a task has started may print meanwhile.
        for key in tuple(self._unended):
            if attempt is None or key[0] == attempt:
                found = self._unended.pop(key, None)
                if found is not None:
                    self._line(found[0], key[1], found[1])
        now = time.monotonic()
        if self._allowance.dropped and (attempt is None or now - self._said_at >= TELL_SECONDS):
            self._said_at = now
            speaker = self._speaker()
            if speaker is not None:
                words = self._allowance.message()
                _send(speaker, "log", words, level=logging.WARNING, logger="asyncexec")
        self.pending = bool(self._unended) or self._allowance.dropped > 0

    def _take(self) -> bool:
        """Take a token for a note; False if there is none, which :meth:`flush` is to say."""
        taken = self._allowance.take()
        self.pending = self.pending or not taken
        return taken

    def record(self, record: logging.LogRecord) -> bool:
        """Send a log record, formatted; return False if no run wants it."""
        speaker = self._speaker()
        settings = None if speaker is None else speaker[0].scope.logs
        if speaker is None or settings is None:
            return False
        if record.levelno >= settings.level_of(record.name) and self._take():
            _send(
                speaker,
                "log",
                record.getMessage(),
                level=record.levelno,
                logger=record.name,
                path=record.pathname,
                line=record.lineno,
                function=record.funcName or "",
                trace=_trace(record),
            )
        return True

    def write(self, stream: str, text: str) -> bool:
        """Send what was written to a stream, line by line; return False if no run wants it."""
        speaker = self._speaker()
        settings = None if speaker is None else speaker[0].scope.logs
        if speaker is None or settings is None or not getattr(settings, stream):
            return False
        key = (None if speaker[1] is None else speaker[1].attempt, stream)
        before = self._unended.pop(key, None)
        *lines, rest = ((before[1] if before else "") + text).split("\n")
        for line in lines:
            self._line(speaker, stream, line)
        # A line that never ends would grow in memory for as long as its task runs.
        if len(rest) > LONGEST_TEXT:
            self._line(speaker, stream, rest)
        elif rest:
            self._unended[key] = speaker, rest
            self.pending = True
        return True

    def _line(self, speaker: Speaker, stream: str, line: str) -> None:
        if line and self._take():
            level = logging.INFO if stream == "stdout" else logging.WARNING
            _send(speaker, stream, line, level=level)

    def _warn(  # noqa: PLR0917 - as warnings.showwarning is called
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        # A task must not fail because its warning cannot be told.
        with contextlib.suppress(Exception):
            speaker = self._speaker() if file is None else None
            if speaker is not None:
                text = warnings.formatwarning(message, category, filename, lineno, line).strip()
                if self._take():
                    _send(speaker, "log", text, level=logging.WARNING, logger="py.warnings")
                return
        self._show(message, category, filename, lineno, file, line)

    def _speaker(self) -> Speaker | None:
        """Return the batch and the attempt that speak here; None if nobody wants to know."""
        if os.getpid() != self._process:
            return None  # A process that a task has forked.
        current = current_attempt()
        if current is not None:
            return None if current[0].scope.logs is None else current
        batch = self._batch
        if batch is None or not batch.owns_process or batch.scope.logs is None:
            return None
        return batch, None


class _NoteHandler(logging.Handler):
    """Sends records as notes; those that no run wants go where they would go without this handler."""

    def __init__(self, forwarding: Forwarding) -> None:
        super().__init__()
        self._forwarding = forwarding

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._forwarding.record(record):
                return
            last = logging.lastResort
            # As logging does where there is no handler: the one that this module has added must not hide that.
            alone = len(logging.getLogger().handlers) == 1
            if last is not None and alone and record.levelno >= last.level:
                last.handle(record)
        except Exception:  # noqa: BLE001 - a task must not fail because its record cannot be formatted
            self.handleError(record)


class _LineForwarder(io.TextIOBase):
    """A text stream whose lines go to the driver, where a run wants them, and to the stream before it otherwise."""

    def __init__(self, forwarding: Forwarding, name: str, stream: TextIO) -> None:
        self._forwarding = forwarding
        self._name = name
        self._stream = stream

    def write(self, text: str) -> int:
        if not self._forwarding.write(self._name, text):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False

    @property
    def encoding(self) -> str:  # type: ignore[override] # as the stream before it has it
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override] # as the stream before it has it
        return self._stream.errors


def _send(speaker: Speaker, kind: str, text: str, **more: Any) -> None:
    batch, spec = speaker
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]} … ({len(text) - LONGEST_TEXT:,} characters left out)"
    batch.noted(spec, kind, text, **more)


def _trace(record: logging.LogRecord) -> str:
    parts = [record.exc_text or ""]
    if record.exc_info and not record.exc_text:
        parts = [logging.Formatter().formatException(record.exc_info)]
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(part for part in parts if part)[-LONGEST_TEXT:]


@cache
def forwarding() -> Forwarding:
    """Return the one of this process, made when it is first asked for."""
    return Forwarding()
