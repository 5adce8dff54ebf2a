"""How long a task, a stage and a plan may take."""

import math

import pytest

from asyncexec.errors import OptionError
from asyncexec.policies.timeout import Timeout, as_timeout


@pytest.mark.parametrize(
    "value, timeout",
    [
        (None, Timeout()),
        (30, Timeout(task=30.0)),
        (0.5, Timeout(task=0.5)),
        (Timeout(plan=3600.0), Timeout(plan=3600.0)),
    ],
)
def test_what_users_write_for_a_timeout(value, timeout):
    assert as_timeout(value) == timeout


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, True, "30", object()])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(OptionError, match="seconds above 0"):
        as_timeout(value)
    for name in ("task", "stage", "plan"):
        with pytest.raises(OptionError, match=name):
            Timeout(**{name: value})
