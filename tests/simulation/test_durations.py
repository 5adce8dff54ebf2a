"""Distributions as people type them."""

import numpy as np
import pytest

from asyncexec.errors import OptionError
from asyncexec.simulation import Constant, Lognormal, Mixture, Pareto
from asyncexec.simulation.durations import durations_given, parse_durations


@pytest.mark.parametrize(
    "text, meant",
    [
        ("10", Constant(10.0)),
        ("constant:0.5", Constant(0.5)),
        ("lognormal:10,0.6", Lognormal(mean_seconds=10.0, sigma=0.6)),
        ("pareto:1,1.5,100", Pareto(least_seconds=1.0, exponent=1.5, most=100.0)),
        (
            "0.95*constant:1+0.05*lognormal:3,0.1",
            Mixture(((0.95, Constant(1.0)), (0.05, Lognormal(mean_seconds=3.0, sigma=0.1)))),
        ),
    ],
)
def test_a_text_spells_a_distribution(text, meant):
    assert parse_durations(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", "ten", "normal:1,2", "lognormal:1", "constant:x", "constant:0", "0.5*1+0.6*2", "0.5*1+2"],
)
def test_what_spells_none_is_refused(text):
    with pytest.raises(OptionError):
        parse_durations(text)


def test_durations_are_for_all_stages_or_for_one():
    assert durations_given([], ["a", "b"]) == (None, {})
    assert durations_given(["5"], ["a", "b"]) == (Constant(5.0), {})
    assert durations_given(["5", "b=1"], ["a", "b"]) == (Constant(5.0), {"b": Constant(1.0)})


@pytest.mark.parametrize("texts, says", [(["5", "6"], "twice"), (["c=1"], "the stages are a, b")])
def test_durations_that_contradict_the_plan_are_refused(texts, says):
    with pytest.raises(OptionError, match=says):
        durations_given(texts, ["a", "b"])


def test_what_is_spelled_can_be_drawn_from():
    drawn = parse_durations("0.5*constant:1+0.5*pareto:2,1.5,10").sample(
        np.random.default_rng(0), 500
    )
    assert 0.3 < np.mean(drawn == 1.0) < 0.7
    assert drawn.max() <= 20.0
