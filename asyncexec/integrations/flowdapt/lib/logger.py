"""Loggers that take keywords, as those that Flowdapt gives out do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

__all__ = ["get_logger"]

_OF_LOGGING = ("exc_info", "stack_info", "stacklevel", "extra")


class KeywordLogger(logging.LoggerAdapter[logging.Logger]):
    """Writes further keywords of a call behind its message: ``logger.info("loaded", rows=3)``."""

    def bind(self, **keywords: Any) -> KeywordLogger:
        """Return a logger that writes these keywords with every message."""
        return KeywordLogger(self.logger, {**(self.extra or {}), **keywords})

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[str, MutableMapping[str, Any]]:
        """Return the message with the keywords, and those that logging takes."""
        said: Mapping[str, Any] = {
            **(self.extra or {}),
            **{name: value for name, value in kwargs.items() if name not in _OF_LOGGING},
        }
        words = "".join(f" {name}={value!r}" for name, value in said.items())
        return f"{msg}{words}", {n: v for n, v in kwargs.items() if n in _OF_LOGGING}


def get_logger(name: str = "flowdapt", **keywords: Any) -> KeywordLogger:
    """Return the logger of that name; keywords are written with every message.

    >>> from asyncexec.integrations.flowdapt.lib.logger import get_logger
    >>> get_logger("nowcast", city="Utrecht").process("loaded", {"rows": 3})
    ("loaded city='Utrecht' rows=3", {})
    """
    return KeywordLogger(logging.getLogger(name), keywords)
