"""How many inputs each task still waits for, in memory that grows with the frontier.

Counts live in pages of consecutive tasks. A page is made when one of its tasks first gets an input, and dropped when
its last task has got all of them: tasks that have all or none of their inputs cost nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

PAGE = 4096
_UNTOUCHED = -1


class _Page:
    __slots__ = ("counts", "left")

    def __init__(self, tasks: int) -> None:
        self.counts = array("i", [_UNTOUCHED]) * tasks
        self.left = tasks


class Countdown:
    """Counts each task's missing inputs down to zero.

    Parameters
    ----------
    tasks : int
        How many tasks there are.
    needs : callable
        ``needs(task)`` is how many inputs the task has; asked once, when its first input comes.
    """

    __slots__ = ("_needs", "_pages", "_tasks", "released")

    def __init__(self, tasks: int, needs: Callable[[int], int]) -> None:
        self._tasks = tasks
        self._needs = needs
        self._pages: dict[int, _Page | None] = {}  # None: every task of the page has all its inputs
        self.released = 0

    def arrive(self, task: int) -> bool:
        """Note that one input of ``task`` is there; return whether it was the last."""
        number = task // PAGE
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = _Page(min(PAGE, self._tasks - number * PAGE))
        at = task - number * PAGE
        left = page.counts[at]
        if left == _UNTOUCHED:
            left = self._needs(task)
        page.counts[at] = left - 1
        if left != 1:
            return False
        self._release(number, page)
        return True

    def untouched(self) -> Iterator[int]:
        """Iterate over the tasks no input of which ever came, and count them as released."""
        for number in range(-(-self._tasks // PAGE)):
            page = self._pages.get(number, ...)
            if page is None:
                continue
            tasks = range(number * PAGE, min((number + 1) * PAGE, self._tasks))
            for at, task in enumerate(tasks):
                if page is ... or page.counts[at] == _UNTOUCHED:
                    self.released += 1
                    yield task

    @property
    def pages(self) -> int:
        """How many pages are held."""
        return sum(page is not None for page in self._pages.values())

    def _release(self, number: int, page: _Page) -> None:
        self.released += 1
        page.left -= 1
        if not page.left:
            self._pages[number] = None
