"""Faults of a disk: put around what Python offers to open and to rename files, in a worker's process."""

import builtins
import errno
import os
import pathlib
import signal
import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DiskFaults:
    """The initializer of workers that puts a fault at a moment of the files of one chunk.

    Attributes
    ----------
    folder : str
        Where calls are counted over all processes.
    moment, fault : str
        Of the cell.
    source, target : str
        The files of the chunk that is read and of the one that is written.
    first : int
        The call from which on the fault comes.
    """

    folder: str
    moment: str
    fault: str
    source: str
    target: str
    first: int = 1

    def __call__(self):
        if self.moment == "before read":
            builtins.open = self.around_open(builtins.open)
        else:
            os.replace = self.around_replace(os.replace)

    def around_open(self, opened):
        def open_(file, *args, **kwargs):
            if file == self.source:
                self.meet("open")
            return opened(file, *args, **kwargs)

        return open_

    def around_replace(self, replaced):
        def replace(source, target, **kwargs):
            if target != self.target:
                return replaced(source, target, **kwargs)
            if self.moment == "ack lost":
                return self.lose_answer(replaced, source, target)
            if self.moment == "before PUT":
                self.meet("replace")
            replaced(source, target, **kwargs)
            if self.moment == "after PUT before ack":
                self.meet("replace")
            return None

        return replace

    def lose_answer(self, replaced, source, target):
        """Rename, and say that there is no such file; the fault comes to what follows."""
        if nth(self.folder, "lost") == 1:
            replaced(source, target)
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", source)
        self.meet("replace")
        replaced(source, target)

    def meet(self, name):
        call = nth(self.folder, name)
        if call < self.first or (self.fault != "403" and call > self.first):
            return
        match self.fault:
            case "exception":
                raise OSError(errno.ESTALE, "Stale file handle", self.target)
            case "hang":
                time.sleep(3600)
            case "SIGKILL":
                os.kill(os.getpid(), signal.SIGKILL)
            case "403":
                raise PermissionError(errno.EACCES, "Permission denied", self.target)


def came(folder, name, number):
    """Return whether there was a call with that number."""
    return pathlib.Path(folder, "calls", f"{name}~{number}").exists()


def nth(folder, name):
    """Return the number of this call, from 1 on, over all processes."""
    number = 1
    while True:
        try:
            descriptor = os.open(
                pathlib.Path(folder, "calls", f"{name}~{number}"), os.O_CREAT | os.O_EXCL
            )
        except FileExistsError:
            number += 1
        else:
            os.close(descriptor)
            return number
