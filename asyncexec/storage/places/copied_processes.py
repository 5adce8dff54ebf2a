"""The copies of a process that has used obstore, by ``os.fork``: no client of obstore's works there.

Its requests are driven by threads, which a copy of the process does not have: a request would wait for ever.
"""

from __future__ import annotations

import os

from asyncexec.errors import UsageError


class ObstoreUse:
    """The use of obstore by this process, and by the one that it is a copy of.

    Attributes
    ----------
    is_checked : bool
        Whether this process has been checked for its first request, so that others need not be.
    was_copied : bool
        Whether it is a copy of one that had made a request.
    """

    __slots__ = ("is_checked", "was_copied")

    def __init__(self) -> None:
        self.is_checked = self.was_copied = False

    def check(self) -> None:
        """Note that a request is to be made.

        Raises
        ------
        UsageError
            If it would wait for ever.
        """
        if self.was_copied:
            raise UsageError(
                "this process is a copy (by fork) of one that has used an object store, and cannot use one itself. "
                "Give the pool another way to start its workers: "
                "ProcessPoolExecutor(4, mp_context=multiprocessing.get_context('forkserver')), or executor='processes'"
            )
        if not self.is_checked:
            self.is_checked = True
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._copied)

    def _copied(self) -> None:
        self.is_checked, self.was_copied = False, True


OBSTORE_USE = ObstoreUse()
