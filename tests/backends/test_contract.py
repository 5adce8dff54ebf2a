"""Backends of other packages go on to import what they need by the names that it had."""

from dataclasses import replace

import pytest

from asyncexec.backends import contract
from asyncexec.backends.adapters import calls
from asyncexec.backends.contract import Capabilities, Locality


def test_former_names_answer_with_the_present_ones():
    assert contract.Job is contract.AttemptSpec
    assert contract.Program is contract.StageProgram
    assert calls.Progress is calls.CallContext


@pytest.mark.parametrize(
    "old,locality",
    [
        ({}, Locality.ELSEWHERE),
        ({"local": False}, Locality.ELSEWHERE),
        ({"local": True}, Locality.SAME_HOST),
        ({"shares_memory": True}, Locality.SAME_PROCESS),
        ({"local": True, "shares_memory": True}, Locality.SAME_PROCESS),
        ({"local": True, "shares_memory": False}, Locality.SAME_HOST),
    ],
)
def test_the_old_booleans_are_taken_for_the_locality(old, locality):
    assert Capabilities(name="other", **old).locality is locality


@pytest.mark.parametrize(
    "locality,local,shares_memory",
    [
        (Locality.SAME_PROCESS, True, True),
        (Locality.SAME_HOST, True, False),
        (Locality.ELSEWHERE, False, False),
    ],
)
def test_the_old_booleans_answer_by_the_locality(locality, local, shares_memory):
    capabilities = Capabilities(name="own", locality=locality)
    assert (capabilities.local, capabilities.shares_memory) == (local, shares_memory)


def test_a_locality_is_changed_by_its_own_name_or_by_an_old_one():
    here = Capabilities(name="own", locality=Locality.SAME_PROCESS)
    assert replace(here, name="other").locality is Locality.SAME_PROCESS
    assert replace(here, locality=Locality.ELSEWHERE).locality is Locality.ELSEWHERE
    assert replace(here, shares_memory=False).locality is Locality.SAME_HOST
    assert replace(here, local=False).locality is Locality.ELSEWHERE


def test_what_is_no_capability_is_still_refused():
    with pytest.raises(TypeError, match="sharing"):
        Capabilities(name="own", sharing=True)
