"""Functions of blocks that fail, die and dawdle the first time; importable by workers."""

import os
import signal
import threading
from pathlib import Path


class Once:
    """Does something in the first attempt of each task; `folder` has a file for each that it was done in."""

    def __init__(self, folder):
        self.folder = str(folder)

    def first(self, block):
        """Return whether this is the first attempt at the block that begins with this element."""
        try:
            (Path(self.folder) / f"{int(block.flat[0])}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class FailsFirst(Once):
    def __call__(self, block):
        if self.first(block):
            raise ConnectionError("the first attempt")
        return block * 2


class DiesFirst(Once):
    """Kills its worker in the first attempt at one block."""

    def __call__(self, block):
        if block.flat[0] == 0 and self.first(block):
            os.kill(os.getpid(), signal.SIGKILL)
        return block * 2


class SleepsFirst(Once):
    """Sleeps in the first attempt at one block until it is killed."""

    def __call__(self, block):
        if block.flat[0] == 0 and self.first(block):
            threading.Event().wait(60)
        return block * 2


WAITING, GO_ON = threading.Event(), threading.Event()


class WaitsFirst(Once):
    """Waits in the first attempt at one block, in this process; what it returns then is another thing."""

    def __call__(self, block):
        if block.flat[0] == 0 and self.first(block):
            WAITING.set()
            GO_ON.wait(60)
            return block * 2 - 1_000
        return block * 2
