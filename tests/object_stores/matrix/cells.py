"""The cells of the matrix: when a fault comes, which one, to which attempt, in which kind of store.

The moments, of one task of many:

- *before read*: its input is asked for;
- *mid-compute*: its kernel runs;
- *before PUT*: its output is on the way, and nothing of it has been stored;
- *after PUT before ack*: the output is stored, and the fault comes in place of the store's answer;
- *ack lost*: the output is stored and the answer is lost (a connection that is reset; on a disk, a rename that happened
  and says that there is no such file, as network file systems do), and the fault comes to what is asked next for it.
"""

from dataclasses import dataclass
from itertools import product

MOMENTS = ("before read", "mid-compute", "before PUT", "after PUT before ack", "ack lost")
FAULTS = ("exception", "hang", "SIGKILL", "403", "429 burst", "outage", "silence")
ATTEMPTS = ("first", "retry", "backup")
STORES = ("local", "S3")

PERMANENT = {"403"}
"""The faults that end a run with an error, as they should."""
MAY_END = {"silence"}
"""Those after which either is right: the request is repeated, or the run ends and names what is silent."""


@dataclass(frozen=True, slots=True)
class Cell:
    moment: str
    fault: str
    attempt: str
    store: str

    def __str__(self) -> str:
        words = f"{self.store} {self.fault} {self.moment} {self.attempt}"
        return words.replace(" ", "-")

    @property
    def senseless(self) -> str:
        """Why there is no such thing, or nothing."""
        if self.fault == "silence" and self.moment == "mid-compute":
            return "a kernel asks the store for nothing"
        if self.store == "local" and self.fault in ("outage", "silence"):
            return "a disk refuses no connections, and one that is silent hangs"
        if self.store == "local" and self.fault == "429 burst" and self.moment != "mid-compute":
            return "a disk does not limit rates"
        return ""

    @property
    def must_end(self) -> bool:
        """Whether the run cannot be right: nothing had been stored, and no other attempt could be the one that is."""
        if self.attempt == "backup" and self.moment != "before PUT":
            return False
        return self.fault in PERMANENT and self.moment in MOMENTS[:3]

    @property
    def may_end(self) -> bool:
        return self.fault in PERMANENT | MAY_END


ALL = [
    Cell(moment, fault, attempt, store)
    for store, fault, moment, attempt in product(STORES, FAULTS, MOMENTS, ATTEMPTS)
]
CELLS = [cell for cell in ALL if not cell.senseless]
SENSELESS = [cell for cell in ALL if cell.senseless]
