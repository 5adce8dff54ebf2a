"""A wait in a test is as long as the machine, its load and the environment ask for."""

import os

import pytest

from asyncexec.testing import patience
from asyncexec.testing.patience import scaled


@pytest.fixture(autouse=True)
def usual(monkeypatch):
    """A machine that is as fast as usual and has nothing to do."""
    monkeypatch.setattr(patience, "_slowness", lambda: 0.5)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.delenv("ASYNCEXEC_PATIENCE", raising=False)


def test_a_machine_that_is_as_usual_waits_as_long_as_is_said():
    assert scaled(20.0) == 20.0


def test_a_machine_that_starts_programs_slowly_waits_longer(monkeypatch):
    monkeypatch.setattr(patience, "_slowness", lambda: 3.0)
    assert scaled(20.0) == 60.0


def test_work_that_queues_for_the_cores_makes_waits_longer(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (8.0, 1.0, 1.0))
    assert scaled(20.0) == 80.0


def test_the_environment_has_the_last_word(monkeypatch):
    monkeypatch.setattr(patience, "_slowness", lambda: 3.0)
    monkeypatch.setenv("ASYNCEXEC_PATIENCE", "2.5")
    assert scaled(20.0) == 150.0


@pytest.mark.parametrize("said", ["soon", "0", "-1", "inf", "nan"])
def test_a_factor_that_is_none_is_refused(monkeypatch, said):
    monkeypatch.setenv("ASYNCEXEC_PATIENCE", said)
    with pytest.raises(ValueError, match="ASYNCEXEC_PATIENCE"):
        scaled(20.0)


def test_the_start_of_an_interpreter_is_measured_once(monkeypatch):
    monkeypatch.undo()
    assert patience._slowness() > 0.0
    assert patience._slowness() == patience._slowness()
