"""Backends of other packages go on to import what they need by the names that it had."""

from asyncexec.backends import contract
from asyncexec.backends.adapters import calls


def test_former_names_answer_with_the_present_ones():
    assert contract.Job is contract.AttemptSpec
    assert contract.Program is contract.StageProgram
    assert calls.Progress is calls.CallContext
