"""Sessions in which a person types: where an event loop runs under each line, and a call may block it."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

_ASYNCIO_PROMPT = "asyncio.__main__"
# Jupyter's kernel runs the cells of further consoles in threads of its own.
_KERNEL_PACKAGE = "ipykernel"


def is_interactive() -> bool:
    """Return whether this is IPython, Jupyter, or a Python prompt (that of ``python -m asyncio`` included)."""
    return hasattr(sys, "ps1") or _is_ipython() or _is_asyncio_prompt()


def may_block_loop() -> bool:
    """Return whether the event loop that runs here is that of the session itself, which waits for each line anyway.

    A loop in a thread is never the session's: it is one of a service, or of an engine.
    """
    thread = threading.current_thread()
    of_the_kernel = type(thread).__module__.partition(".")[0] == _KERNEL_PACKAGE
    in_the_session = thread is threading.main_thread() or of_the_kernel
    return in_the_session and (_is_ipython() or _is_asyncio_prompt())


def is_loop_running() -> bool:
    """Return whether an event loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def is_trio_running() -> bool:
    """Return whether trio runs this thread, whose loop is none of asyncio's."""
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    in_trio_run = getattr(lowlevel, "in_trio_run", None)
    return in_trio_run is not None and bool(in_trio_run())


@contextmanager
def interruptible() -> Generator[None]:
    """Have Ctrl-C raise KeyboardInterrupt in the block, where the running loop would only note it for later."""
    on_loop = threading.current_thread() is threading.main_thread() and is_loop_running()
    before = signal.getsignal(signal.SIGINT) if on_loop else None
    if not callable(before) or before is signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _is_ipython() -> bool:
    # Found and never imported: who does not use IPython must not pay for it.
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and get_ipython() is not None


def _is_asyncio_prompt() -> bool:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return getattr(spec, "name", "") == _ASYNCIO_PROMPT
