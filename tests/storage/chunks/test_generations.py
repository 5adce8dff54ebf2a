"""Whose a chunk is that another attempt has written before, and what becomes of it."""

import pytest

from asyncexec.storage.chunks.generations import Verdict, is_own, owns, verdict
from asyncexec.storage.places.stamps import Stamp

PLAN = "0123456789abcdef"
OWN, OTHER = Stamp(run="2"), Stamp(run="1")


@pytest.mark.parametrize(
    "found, generation, own",
    [
        ("2", "2", True),
        ("1", "2", False),
        ("", "2", False),
        (f"{PLAN}-1", f"{PLAN}-2", True),
        ("other-1", f"{PLAN}-2", False),
        ("1", f"{PLAN}-2", False),
        ("", f"{PLAN}-2", False),
    ],
)
def test_chunks_of_the_same_run_or_plan_are_own(found, generation, own):
    assert is_own(found, generation) is own


def test_the_stamp_says_whose_the_array_is_also_for_another_run_of_the_plan():
    assert owns(Stamp(run="1", plan=f"{PLAN}-and-more"), f"{PLAN}-2")
    assert owns(Stamp(run="2"), "2")
    assert not owns(Stamp(run="1"), "2")
    assert not owns(None, "2")


@pytest.mark.parametrize(
    "found, stamp, expected",
    [
        ("2", None, Verdict.OWN),
        ("1", OWN, Verdict.LATE),
        ("3", OWN, Verdict.LATE),
        ("", OWN, Verdict.LATE),
        ("1", OTHER, Verdict.LOST),
        ("", OTHER, Verdict.LOST),
        ("", None, Verdict.LOST),
        # Of two runs that are both not on the stamp, the later one has the place.
        ("1", Stamp(run="0"), Verdict.LATE),
        ("3", Stamp(run="0"), Verdict.LOST),
        ("1", None, Verdict.LATE),
    ],
)
def test_the_run_whose_array_it_is_replaces_what_others_wrote_and_others_give_up(
    found, stamp, expected
):
    assert verdict(found, "2", stamp) is expected
