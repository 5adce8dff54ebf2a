"""Log records on standard error, as the section ``logging`` of a configuration says."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, override

from rich.console import Console
from rich.logging import RichHandler

if TYPE_CHECKING:
    from asyncexec.config.settings import LoggingSettings

LOGGER = "asyncexec"


@contextmanager
def logging_as(settings: LoggingSettings) -> Generator[None]:
    """Have this package's records, and those of tasks, on standard error meanwhile; other loggers stay as they are."""
    handler = _json_handler(settings) if settings.format == "json" else _console_handler(settings)
    logger = logging.getLogger(LOGGER)
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(settings.level.upper())
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates
        handler.close()


def _console_handler(settings: LoggingSettings) -> logging.Handler:
    handler = RichHandler(
        console=Console(stderr=True, highlight=False),
        show_path=False,
        rich_tracebacks=settings.show_tracebacks,
        tracebacks_show_locals=settings.traceback_show_locals,
        tracebacks_max_frames=max(4, settings.traceback_max_frames),
    )
    if not settings.show_tracebacks:
        handler.addFilter(_without_traceback)
    return handler


def _json_handler(settings: LoggingSettings) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(tracebacks=settings.show_tracebacks))
    return handler


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy without the traceback: other handlers may show it."""
    copy = logging.makeLogRecord(vars(record))
    copy.exc_info, copy.exc_text = None, None
    return copy


class _JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    @override
    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        said = {
            "at": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._tracebacks and record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)
