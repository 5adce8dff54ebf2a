"""The conformance suite, less what it proves elsewhere; `make test-backends` runs the rest."""

import pytest

from asyncexec.testing.conformance import BackendConformance


class Brief(BackendConformance):
    """The suite with one way of cancelling a run instead of three: each starts a backend and ends it."""

    @pytest.mark.parametrize("how", ["leave"])
    async def test_a_run_that_is_cancelled_stops(self, backend, files, how):
        await super().test_a_run_that_is_cancelled_stops(backend, files, how)
