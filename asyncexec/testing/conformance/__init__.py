"""The rules of a backend as tests: subclass :class:`BackendConformance`, and say how to make yours.

::

    class TestMine(BackendConformance):
        @pytest.fixture
        def backend(self):
            return lambda: MyBackend(workers=2)

Give it at least two slots where it can have them. Tests of what ``capabilities`` says a backend cannot do are skipped,
and say so.
"""

from __future__ import annotations

import pytest

# Before they are imported, so that what fails in them is told in full.
_PARTS = (
    "cancelling",
    "coroutines",
    "demands",
    "keeping",
    "leaving",
    "outcomes",
    "overlapping",
    "placement",
    "runs",
    "sameness",
    "saying",
    "sharing",
    "starts",
    "suite",
    "travel",
)
pytest.register_assert_rewrite(*[f"{__name__}.{part}" for part in _PARTS])

from asyncexec.testing.conformance.cancelling import CancelRules
from asyncexec.testing.conformance.coroutines import CoroutineRules
from asyncexec.testing.conformance.demands import DemandRules
from asyncexec.testing.conformance.keeping import KeepingRules
from asyncexec.testing.conformance.leaving import EndRules
from asyncexec.testing.conformance.outcomes import OutcomeRules
from asyncexec.testing.conformance.overlapping import OverlapRules
from asyncexec.testing.conformance.placement import PlacementRules
from asyncexec.testing.conformance.runs import RunRules
from asyncexec.testing.conformance.sameness import SamenessRules
from asyncexec.testing.conformance.saying import SayingRules
from asyncexec.testing.conformance.sharing import SharingRules
from asyncexec.testing.conformance.starts import StartRules
from asyncexec.testing.conformance.travel import TravelRules

__all__ = ["BackendConformance"]


class BackendConformance(
    OutcomeRules,
    TravelRules,
    KeepingRules,
    StartRules,
    CancelRules,
    CoroutineRules,
    OverlapRules,
    EndRules,
    RunRules,
    SamenessRules,
    SayingRules,
    SharingRules,
    DemandRules,
    PlacementRules,
):
    """Rules that hold for every backend; a subclass has a fixture ``backend`` that returns a factory of backends.

    Attributes
    ----------
    patience : float
        Seconds to wait for any one thing before it counts as missing; more on a machine that is slow or busy.
    shares_files : bool
        Whether workers see the files that a test makes. Without it, half of the rules cannot be checked.
    owns_workers : bool
        Whether the workers are the backend's own, so that leaving it ends them.
    runs_at_once : bool
        Whether attempts of a program with ``concurrency`` run at once, rather than one after another all the same.
    many : int
        Tasks of the largest run.
    options : set of str
        Those of ``env_vars`` and ``resources`` that the constructor takes; with them, a fixture ``configured`` that
        returns a factory with options: ``lambda **options: MyBackend(workers=2, **options)``.
    library_threads : tuple of str
        The beginnings of the names of threads that the system's library starts once, and keeps.
    """
