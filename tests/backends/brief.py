"""The conformance suite, less what it proves elsewhere."""

import pytest

from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.conformance.cancelling import CancelRules
from asyncexec.testing.conformance.leaving import EndRules
from asyncexec.testing.conformance.outcomes import OutcomeRules
from asyncexec.testing.conformance.runs import RunRules
from asyncexec.testing.conformance.starts import StartRules
from asyncexec.testing.conformance.travel import TravelRules


class Brief(BackendConformance):
    """The suite with one way of cancelling a run instead of three: each starts a backend and ends it.

    `make test-backends` runs the rest.
    """

    @pytest.mark.parametrize("how", ["leave"])
    async def test_a_run_that_is_cancelled_stops(self, backend, files, how):
        await super().test_a_run_that_is_cancelled_stops(backend, files, how)


class Again(OutcomeRules, TravelRules, StartRules, CancelRules, EndRules, RunRules):
    """The rules of attempts and of runs, for a backend that passes the whole suite with other options."""
